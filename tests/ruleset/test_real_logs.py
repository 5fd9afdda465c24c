"""The starter ruleset on logs of real machines: what each rule answers, line by line kinds looked at by hand.

The logs come one a second. They are reference data beside the checkout; the tests skip where they are absent.
"""

from __future__ import annotations

from collections import Counter

import pytest

from garrison.analysis.event import Verdict
from tests.ruleset.running import judge_all
from tests.support.reference import reference_path


def judged(name: str) -> list[Verdict]:
    lines = reference_path(f"logs/{name}").read_bytes().splitlines()
    return judge_all((b"/var/log/x", line) for line in lines)


def answers(verdicts: list[Verdict]) -> Counter[int | None]:
    return Counter(verdict.rule.id if verdict.rule else None for verdict in verdicts)


def test_a_server_under_a_guessing_attack() -> None:
    verdicts = judged("OpenSSH_2k.log")
    assert {verdict.event.decoder.name for verdict in verdicts if verdict.event.decoder} == {b"sshd", b"pam"}
    assert all(verdict.event.decoder for verdict in verdicts)
    assert answers(verdicts) == {
        200117: 502,  # 413 + 45 + 34 + 7 + 2 + 1 ways of coming and going
        200201: 440,  # with 200209: 494 lines of PAM, "authentication failure"
        200209: 54,
        200104: 337,  # with the next four: 522 lines "Failed ..."
        200103: 126,
        200110: 55,
        200123: 3,
        200124: 1,
        200203: 135,
        200108: 113,
        200107: 106,  # with 200111: 113 lines "Invalid user"
        200111: 7,
        200113: 78,  # with 200114: 85 lines "reverse mapping"
        200114: 7,
        200202: 10,
        200115: 10,
        200208: 7,
        200109: 3,
        200106: 2,
        200101: 1,
        200204: 1,
        200206: 1,
        200122: 1,
    }
    brute = [verdict for verdict in verdicts if verdict.rule and verdict.rule.id == 200110]
    assert all(verdict.level == 10 and len(verdict.previous) == 7 for verdict in brute)
    assert {verdict.event.static["srcip"] for verdict in brute} >= {b"183.62.140.253", b"187.141.143.180"}


def test_an_old_server_with_many_services() -> None:
    verdicts = judged("Linux_2k.log")
    found = answers(verdicts)
    assert found[200201] + found[200209] == 490
    assert found[200204] == found[200206] == 123
    assert found[200801] + found[200802] == 909
    assert found[200811] + found[200812] == 46
    assert found[200833] == found[200834] == 1
    left = [verdict for verdict in verdicts if verdict.rule is None]
    assert len(left) < 135
    assert all(b"fail" not in verdict.event.log.lower() for verdict in left)


def test_a_web_server_with_a_broken_connector() -> None:
    found = answers(judged("Apache_2k.log"))
    assert found == {201109: 1405, 201107: 524, 201108: 27, 201103: 32, 201101: 12}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Mac_2k.log", {200835: 276, 200615: 12}),
        ("Thunderbird_2k.log", {200835: 55}),
        ("Windows_2k.log", {200835: 250}),
    ],
)
def test_machines_that_nobody_attacks_raise_no_alarm(name: str, expected: dict[int, int]) -> None:
    verdicts = judged(name)
    found = answers(verdicts)
    del found[None]
    assert found == expected
    assert max(verdict.level for verdict in verdicts) <= 3
