"""What alerts show for ATT&CK ids. Source: spec/analysis-3-outputs.md 2; spec/analysis.md 14."""

from __future__ import annotations

import pytest

from garrison.alerts.attack import Technique, parse_table
from garrison.analysis.event import MitreMark

TEXT = """\
# a comment
TA1\tInitial Access
TA2\tPersistence
T10\tValid Accounts\tTA1 TA2
T11\tExternal Remote Services\tTA2
"""
TABLE = parse_table(TEXT)


def test_a_table_is_read() -> None:
    assert TABLE.tactics == {"TA1": "Initial Access", "TA2": "Persistence"}
    assert TABLE.techniques["T10"] == Technique(name="Valid Accounts", tactics=("TA1", "TA2"))


@pytest.mark.parametrize("line", ["T10", "T10\tName\tTA9", "a\tb\tc\td", ""])
def test_other_lines_are_faults(line: str) -> None:
    with pytest.raises(ValueError, match="neither a tactic nor a technique"):
        parse_table(TEXT + line + "\n")


@pytest.mark.parametrize(
    ("ids", "shown"),
    [
        (
            (b"T10",),
            {"id": ["T10"], "tactic": ["Initial Access", "Persistence"], "technique": ["Valid Accounts"]},
        ),
        (
            (b"T11", b"T99", b"T10"),
            {
                "id": ["T11", "T99", "T10"],
                "tactic": ["Persistence", "Initial Access"],
                "technique": ["External Remote Services", "Valid Accounts"],
            },
        ),
        ((b"T99",), None),
        ((), None),
    ],
)
def test_ids_are_all_shown_when_one_is_known(ids: tuple[bytes, ...], shown: object) -> None:
    assert TABLE.shown(MitreMark(ids=ids)) == shown


@pytest.mark.parametrize(
    ("pairs", "shown"),
    [
        (((b"TA2", b"T10"),), {"id": ["T10"], "tactic": ["Persistence"], "technique": ["Valid Accounts"]}),
        (
            ((b"TA2", b"T10"), (b"TA1", b"T10"), (b"TA1", b"T11"), (b"TA2", b"T11")),
            {
                "id": ["T10", "T11"],
                "tactic": ["Persistence", "Initial Access"],
                "technique": ["Valid Accounts", "External Remote Services"],
            },
        ),
        (((b"TA1", b"T11"),), None),
        (((b"TA9", b"T10"), (b"TA1", b"T99")), None),
    ],
)
def test_pairs_are_shown_whose_tactic_belongs_to_the_technique(
    pairs: tuple[tuple[bytes, bytes], ...], shown: object
) -> None:
    assert TABLE.shown(MitreMark(pairs=pairs)) == shown


def test_unknown_ids_are_named() -> None:
    mark = MitreMark(ids=(b"T10", b"T\xff"), pairs=((b"TA9", b"T11"),))
    assert TABLE.unknown(mark) == ("T\udcff", "TA9")
