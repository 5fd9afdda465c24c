"""What is left of a ruleset without its broken files."""

from __future__ import annotations

from dataclasses import replace

from garrison.analysis.salvage import salvage
from garrison.analysis.source import SourceFile
from garrison.ground.errors import Fault
from tests.analysis.lab import child, source

BROKEN = SourceFile(path="broken.xml", text=b'<group name="g,"><rule id="9"></group>')


def ids(number_of: object) -> set[int]:
    return {rule.card.id for rule in number_of.program.rules}  # type: ignore[attr-defined]


def test_a_good_ruleset_is_whole() -> None:
    found = salvage(source(child(101, "")))
    assert (ids(found), found.left_out) == ({1, 100, 101, 200}, ())


def test_broken_files_go_and_what_hangs_below_them_with_a_warning() -> None:
    mine = source(child(101, ""))
    dangling = SourceFile(
        path="z.xml", text=f'<group name="g,">{child(103, "", parent="102")}</group>'.encode()
    )
    half = SourceFile(
        path="half.xml", text=f'<group name="g,">{child(102, "")}{child(105, "<no/>")}</group>'.encode()
    )
    found = salvage(replace(mine, rules=(*mine.rules, half, BROKEN, dangling)))
    assert ids(found) == {1, 100, 101, 200}
    assert found.left_out == ("broken.xml", "half.xml")
    assert [fault.path for fault in found.program.warnings] == ["z.xml"]


def test_rules_of_a_missing_decoder_go_too() -> None:
    mine = source(child(101, "<decoded_as>tst</decoded_as>"), decoders="<decoder>")
    found = salvage(mine)
    assert (ids(found), found.left_out) == ({1, 100, 200}, ("decoders.xml", "my.xml"))


def test_an_end_comes_even_where_nothing_is_left() -> None:
    assert salvage(replace(source(""), rules=(BROKEN,))).program.rules == []
    fault = Fault(path="<ruleset>", line=0, found="x", expected="y")
    found = salvage(replace(source(""), faults=(fault,)))
    assert (ids(found), found.left_out) == ({1, 100, 200}, ("<ruleset>",))
