"""The regression corpus of stock rules: expected decoder, rule and level, and the reference's whole answers in order."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from garrison.alerts.json_text import encode_json
from garrison.cli.logtest_jsonl import answer_all
from tests.support.reference import ROOT, full_program

FOLDER = ROOT / "ruleset"


def lines(name: str) -> list[Any]:
    path = FOLDER / name
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def cases() -> list[Any]:
    found = [case for case in lines("cases.jsonl") if "geoip" not in case.get("requires", [])]
    if not found:
        return [pytest.param(None, marks=pytest.mark.skip(reason="reference data not present"))]
    groups: dict[str, list[Any]] = {}
    for case in found:
        groups.setdefault(case["file"], []).append(case)
    return [pytest.param(group, id=name) for name, group in groups.items()]


@cache
def golden() -> dict[str, Any]:
    return {line["id"]: line["answers"] for line in lines("golden.jsonl")}


@pytest.mark.parametrize("group", cases())
def test_cases(group: list[Any]) -> None:
    for case in group:
        found = answer_all(full_program(), case["logs"], case["location"])
        expected = case["expected"]
        wanted = (expected["decoder"], expected["rule_id"], expected["level"])
        got = (found["decoder"], int(found["rule_id"]) if found["rule_id"] else None, found["level"])
        if not case.get("vacuous"):
            assert (got == wanted) != case["negate"], case["id"]
        if case["id"] in golden():
            assert json.dumps(comparable(found["answers"])) == json.dumps(golden()[case["id"]]), case["id"]


def comparable(answers: list[Any]) -> list[Any]:
    """As the corpus keeps them: through JSON, without the time and the id."""
    kept = []
    for answer in answers:
        output = json.loads(encode_json(answer["output"]))
        del output["timestamp"], output["id"]
        kept.append({"alert": answer["alert"], "output": output})
    return kept
