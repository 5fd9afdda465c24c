"""The starter ruleset beside the rules that a site brings: it answers what those leave unanswered, and nothing else."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from pathlib import PurePath

from garrison.analysis.compile import compile_program
from garrison.analysis.load import load_folder
from garrison.analysis.program import Program
from garrison.analysis.source import SourceFile
from garrison.analysis.syntax import read_elements
from garrison.cli.logtest_jsonl import answer_all
from garrison.ruleset import FOLDER
from tests.support.reference import full_program, reference_path

ROOTS = "8001-roots.xml"


def by_name(files: tuple[SourceFile, ...]) -> tuple[SourceFile, ...]:
    return tuple(sorted(files, key=lambda file: PurePath(file.path).name.encode()))


@cache
def both() -> Program:
    """The reference rules with ours beside them, as two folders in `<ruleset>` and one `<rule_exclude>` give."""
    brought, ours = load_folder(reference_path("ruleset/full")), load_folder(FOLDER)
    rules = tuple(file for file in ours.rules if PurePath(file.path).name != ROOTS)
    return compile_program(
        dataclasses.replace(
            brought, decoders=by_name(brought.decoders + ours.decoders), rules=by_name(brought.rules + rules)
        )
    )


def test_beside_others_it_loads_without_a_word() -> None:
    assert set(both().warnings) == set(full_program().warnings)
    names = {rule.card.id for rule in both().rules} - {rule.card.id for rule in full_program().rules}
    assert len(names) > 100
    assert all(200_000 <= name < 210_000 for name in names)


def test_verdicts_of_the_other_ruleset_stay_as_they_are() -> None:
    for line in reference_path("ruleset/cases.jsonl").read_text("utf-8").splitlines():
        case = json.loads(line)
        alone = answer_all(full_program(), case["logs"], case["location"])
        beside = answer_all(both(), case["logs"], case["location"])
        verdicts = [
            {name: found[name] for name in ("decoder", "rule_id", "level")} for found in (alone, beside)
        ]
        assert verdicts[0] == verdicts[1], case["id"]


def test_what_the_others_do_not_know_is_answered_by_ours() -> None:
    log = "Nov 25 10:00:00 gate kubelet[411]: E1125 10:00:00.123456     411 server.go:300] "
    log += '"Unable to authenticate the request" err="x509: unknown authority"'
    assert answer_all(full_program(), [log], "stdin")["decoder"] is None
    found = answer_all(both(), [log], "stdin")
    assert (found["decoder"], found["rule_id"], found["level"]) == ("kubelet", "202034", 7)


def test_our_rules_stand_behind_all_others() -> None:
    for path in sorted((FOLDER / "rules").glob("*.xml")):
        for group in read_elements(path.read_bytes(), path.name):
            for rule in group.children:
                named = {child.name for child in rule.children}
                if path.name != ROOTS and not named & {"if_sid", "if_matched_sid", "if_matched_group"}:
                    found = [rule.attribute(name) for name in ("level", "accuracy", "noalert")]
                    assert found == [b"1", b"0", b"1"], rule.attribute("id")
