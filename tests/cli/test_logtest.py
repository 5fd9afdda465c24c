"""`garrison logtest` and `wazuh-logtest` as people and harnesses run them."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from garrison.ruleset import FOLDER

LOG = "Dec 10 06:55:46 gate sshd[24200]: Failed password for root from 203.0.113.9 port 4001 ssh2"


def run(*options: str, lines: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "GARRISON_HOME": str(cwd or Path("/nonexistent"))}
    return subprocess.run(
        [sys.executable, "-m", "garrison.cli.logtest", *options],
        input=lines, capture_output=True, text=True, timeout=60, env=environment, check=False,
    )  # fmt: skip


def test_three_phases_on_standard_error() -> None:
    done = run("--ruleset", str(FOLDER), lines=f"{LOG}\n\nnothing\n")
    assert done.returncode == 0 and done.stdout == "\n\n\n"
    assert done.stderr.startswith(
        "Starting wazuh-logtest v4.14.7\nType one log per line\n\n"
        "**Phase 1: Completed pre-decoding.\n"
        f"\tfull event: '{LOG}'\n"
        "\ttimestamp: 'Dec 10 06:55:46'\n\thostname: 'gate'\n\tprogram_name: 'sshd'\n\n"
        "**Phase 2: Completed decoding.\n\tname: 'sshd'\n\tparent: 'sshd'\n\tdstuser: 'root'\n"
    )
    assert "\n\n**Phase 3: Completed filtering (rules).\n\tid: '200104'\n\tlevel: '5'\n" in done.stderr
    assert "\tmail: 'False'\n" in done.stderr and "**Alert to be generated.\n" in done.stderr
    assert done.stderr.endswith("\n**Phase 2: Completed decoding.\n\tNo decoder matched.\n")


def test_the_rules_that_were_tried_and_why_they_refused() -> None:
    done = run("--ruleset", str(FOLDER), "-v", "--explain", lines=f"{LOG}\n")
    assert "\n**Rule debugging:\n\tTrying rule: 1 - " in done.stderr
    assert "\n\t\t*Rule 200104 matched\n" in done.stderr
    assert "\n**Explanation:\n\tRule 200104 (level 5) answers: sshd: login of root failed" in done.stderr


@pytest.mark.parametrize(
    ("wanted", "status", "text"),
    [
        ("200104:5:sshd", 0, "Unit test OK"),
        ("200104:5:other", 1, "Unit test FAIL. Expected ['200104', '5', 'other'] , Result ['200104', '5', 'sshd']"),
        ("::", 1, "Unit test FAIL."),
        ("200104:5", 1, "Unit test configuration wrong syntax: 200104:5"),
    ],
)  # fmt: skip
def test_a_unit_test_says_so_by_its_exit_status(wanted: str, status: int, text: str) -> None:
    done = run("--ruleset", str(FOLDER), "-U", wanted, lines=f"{LOG}\n")
    assert done.returncode == status and text in done.stderr


def test_empty_words_of_a_unit_test_are_counted() -> None:
    assert run("--ruleset", str(FOLDER), "-U", "::", "-q", lines="nothing\n").returncode == 3


def test_quiet_prints_nothing() -> None:
    done = run("--ruleset", str(FOLDER), "-q", lines=f"{LOG}\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_lines_of_json_in_and_out() -> None:
    questions = [
        {"id": 1, "log": [LOG, LOG], "location": "stdin"},
        {"id": "x", "log": "nothing"},
        {"id": 3, "log": LOG, "location": "[001"},
    ]
    lines = "\n".join(json.dumps(each) for each in questions) + '\n\n{"log": 7}\nnot json\n'
    done = run("--ruleset", str(FOLDER), "--jsonl", lines=lines)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["id"] for answer in answers] == [1, "x", 3]
    assert (answers[0]["decoder"], answers[0]["rule_id"], answers[0]["level"]) == ("sshd", "200104", 5)
    assert [each["output"]["rule"]["firedtimes"] for each in answers[0]["answers"]] == [1, 2]
    assert [answers[1][name] for name in ("decoder", "rule_id", "level")] == [None] * 3
    assert answers[2]["answers"] == [{"alert": False, "output": {}}]
    assert done.returncode == 1
    assert "line 5: not a question: 'log' must be" in done.stderr and "line 6: not a question" in done.stderr


def test_explanations_in_lines_of_json() -> None:
    lines = json.dumps({"id": 1, "log": LOG})
    done = run("--ruleset", str(FOLDER), "--jsonl", "--explain", lines=lines)
    assert json.loads(done.stdout)["answers"][0]["explain"][0].startswith("Rule 200104 (level 5) answers")


def test_a_broken_ruleset_tells_every_fault(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/r.xml").write_text(
        '<group name="g,"><rule id="x" level="1"/><rule id="5" level="99"/></group>'
    )
    done = run("--ruleset", str(tmp_path), lines=f"{LOG}\n")
    assert done.returncode == 1 and done.stderr.count("r.xml:1") >= 2


@pytest.mark.parametrize("options", [(), ("--jsonl",), ("-U", "::")])
def test_a_folder_without_a_ruleset_is_refused(tmp_path: Path, options: tuple[str, ...]) -> None:
    for folder, word in ((tmp_path, "holds no ruleset"), (tmp_path / "absent", "no such folder")):
        done = run("--ruleset", str(folder), *options, lines=f"{LOG}\n")
        assert done.returncode == 1 and done.stdout == ""
        assert word in done.stderr and "Traceback" not in done.stderr


def test_without_a_node_the_tool_reads_the_ruleset_itself(tmp_path: Path) -> None:
    done = run(lines=f"{LOG}\n", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr.startswith("(no node runs here: the ruleset is read by this tool)\n")
    assert "id: '200104'" in done.stderr


def test_techniques_have_names_for_people_and_lines_of_json_stay_as_the_corpus_is() -> None:
    done = run("--ruleset", str(FOLDER), lines=f"{LOG}\n")
    assert "\tmitre.id: '['T1110.001', 'T1021.004']'\n" in done.stderr
    assert "\tmitre.tactic: '['Credential Access', 'Lateral Movement']'\n" in done.stderr
    assert "\tmitre.technique: '['Password Guessing', 'SSH']'\n" in done.stderr
    done = run("--jsonl", "--ruleset", str(FOLDER), lines=json.dumps({"id": 1, "log": LOG}) + "\n")
    assert '"id":"200104"' in done.stdout and "mitre" not in done.stdout


def test_version() -> None:
    done = run("-V")
    assert done.returncode == 0 and done.stdout.startswith("Wazuh v4.14.7 - Garrison v")


def test_a_person_at_a_terminal_types_and_leaves() -> None:
    """Both ends of a pseudo-terminal: lines typed, control-D to leave."""
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "garrison.cli.logtest", "--ruleset", str(FOLDER)],
            stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as tool:  # fmt: skip
            os.write(ours, f"{LOG}\n\x04".encode())
            try:
                _, shown = tool.communicate(timeout=60)
            finally:
                tool.kill()
    finally:
        os.close(ours)
        os.close(theirs)
    assert tool.returncode == 0
    assert shown.startswith(b"Starting wazuh-logtest") and b"\tid: '200104'" in shown
    assert b"Traceback" not in shown
