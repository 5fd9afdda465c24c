"""Every rule of the starter ruleset against logs that it must answer and logs that it must leave alone.

A line of `samples/*.jsonl`: `logs` are sent in order to a fresh analyzer (`[8, "... {n}"]` is eight logs, numbered),
one each `every_s` seconds, from `location`, on the queue of a module where `queue` names one. A log that is an object
is sent as its JSON. The last one's answer is compared with `rule`, `level`, `decoder` and
`fields`. `not` names the rules for which this is the near miss.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from garrison.alerts.attack_load import attack_table
from garrison.ruleset import FOLDER
from tests.ruleset.running import judge_all, program

SAMPLES = Path(__file__).parent / "samples"


def samples() -> Iterator[Any]:
    for path in sorted(SAMPLES.glob("*.jsonl")):
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
            sample = json.loads(line)
            yield pytest.param(sample, id=f"{path.stem}:{number}:{sample['rule']}")


def expanded(sample: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    place = sample.get("location", "/var/log/x")
    messages = []
    for log in sample["logs"]:
        times, text = log if isinstance(log, list) else (1, log)
        text = text if isinstance(text, str) else json.dumps(text)
        for n in range(times):
            messages.append(tuple(part.replace("{n}", str(n)).encode() for part in (place, text)))
    return messages


@pytest.mark.parametrize("sample", list(samples()))
def test_sample(sample: dict[str, Any]) -> None:
    verdict = judge_all(expanded(sample), sample.get("every_s", 1.0), sample.get("queue", "1"))[-1]
    event = verdict.event
    assert (verdict.rule.id if verdict.rule else None, verdict.level) == (sample["rule"], sample["level"])
    assert verdict.rule is None or verdict.rule.id not in sample["not"]
    assert (event.decoder.name.decode() if event.decoder else None) == sample["decoder"]
    found = {name: text.decode() for name, text in event.static.items()}
    found |= {name.decode(): text.decode() for name, text in reversed(event.dynamic)}
    expected = sample.get("fields", {})
    assert {name: found.get(name) for name in expected} == expected
    assert b"$(" not in verdict.description


def test_every_rule_has_a_sample_and_a_near_miss() -> None:
    answers, misses = set(), set()
    for param in samples():
        answers.add(param.values[0]["rule"])
        misses.update(param.values[0]["not"])
    rules = set()
    for path in sorted((FOLDER / "rules").glob("*.xml")):
        for head in re.findall(r"<rule ([^>]*)>", path.read_text("utf-8")):
            if 'noalert="1"' not in head:
                rules.add(int(re.findall(r'id="(\d+)"', head)[0]))
    assert rules - answers == set()
    assert rules - misses == set()


def test_ids_are_our_own() -> None:
    ids = {rule.card.id for rule in program().rules}
    assert len(ids) > 100
    assert all(rule_id < 10 or 200_000 <= rule_id < 210_000 for rule_id in ids)


def test_every_technique_is_one_of_attack() -> None:
    marks = [rule.card.mitre for rule in program().rules if rule.card.mitre is not None]
    assert len(marks) > 100
    assert {name for mark in marks for name in attack_table().unknown(mark)} == set()


def test_levels_are_those_of_the_page() -> None:
    assert all(rule.card.level <= 12 for rule in program().rules)
    urgent = [rule.card for rule in program().rules if rule.card.level >= 12]
    assert all(card.mitre is not None or b"agent_flooding" in card.groups for card in urgent)


def test_the_ruleset_loads_without_a_word() -> None:
    assert program().warnings == ()


def test_every_group_list_ends_with_a_comma() -> None:
    for path in sorted((FOLDER / "rules").glob("*.xml")):
        text = path.read_text("utf-8")
        lists = re.findall(r'<group name="([^"]*)">', text) + re.findall(r"<group>([^<]*)</group>", text)
        assert [found for found in lists if not re.fullmatch(r"(?:[A-Za-z0-9_.-]+,)+", found)] == []
