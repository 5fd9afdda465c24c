"""`garrison check-rules`: what an author of rules reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from garrison.cli.main import main

ROOT = '<rule id="1" level="0" noalert="1"><description>r</description></rule>'


def check(
    folder: Path, rules: str, capsys: pytest.CaptureFixture[str], *options: str
) -> tuple[int, str, str]:
    (folder / "rules").mkdir(exist_ok=True)
    (folder / "rules/a.xml").write_text(f'<group name="g,">\n{ROOT}\n{rules}\n</group>')
    status = main(["check-rules", str(folder), *options])
    told = capsys.readouterr()
    return status, told.out, told.err.replace(str(folder) + "/", "")


def test_faults_show_their_line_and_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = """  <rule id="100001" level="5">
\t<if_sid>1</if_sid> <mach>failed</mach> <description>x</description>
  </rule>
  <rule id="100002" level="99"> <description>x</description> </rule>"""
    assert check(tmp_path, rules, capsys) == (
        1,
        "2 errors, 0 warnings in 1 file: the ruleset does not load\n",
        """rules/a.xml:4: error: rule 100001: unknown element <mach>; expected <match>?
    <if_sid>1</if_sid> <mach>failed</mach> <description>x</description>
                       ^
rules/a.xml:6: error: rule 100002: level="99"; a number from 0 to 16
    <rule id="100002" level="99"> <description>x</description> </rule>
    ^
""",
    )


def test_long_lines_are_shown_around_the_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = f'<rule id="100001" level="5"><match>{"a" * 300}</match><nonsense/><description>x</description></rule>'
    _, _, told = check(tmp_path, rules, capsys)
    fault, line, mark = told.splitlines()
    assert (
        line[mark.index("^") :].startswith("<nonsense/>")
        and len(line) < 120
        and fault.startswith("rules/a.xml:3:")
    )


def test_hostile_bytes_are_shown_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, _, told = check(tmp_path, '<rule id="100001" level="5">\x1b[31m<nonsense/></rule>', capsys)
    assert "\x1b" not in told and "\\x1b[31m" in told


def test_warnings_alone_are_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = '<rule id="100001" level="5"><if_sid>7</if_sid><description>x</description></rule>'
    status, out, told = check(tmp_path, rules, capsys)
    assert (status, out) == (0, "1 rule of 1 file loaded, 0 errors, 1 warning\n")
    assert told.splitlines()[0].startswith("rules/a.xml:3: warning: rule 100001: its parent 7 is not loaded")
    assert check(tmp_path, rules, capsys, "--quiet") == (0, out, "")


def test_what_holds_no_ruleset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-rules", str(tmp_path / "nowhere")]) == 1
    assert main(["check-rules", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "nowhere: not a folder" in told and "neither rules/ nor ruleset.json in it" in told
    (tmp_path / "ruleset.json").write_text("[]")
    assert main(["check-rules", str(tmp_path)]) == 1
    assert "ruleset.json: error: not an object; an object" in capsys.readouterr().err


def test_the_ruleset_of_a_home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "etc/rules").mkdir(parents=True)
    (tmp_path / "etc/ossec.conf").write_text(
        "<ossec_config><ruleset><rule_dir>etc/rules</rule_dir><decoder_dir>etc/decoders</decoder_dir></ruleset></ossec_config>"
    )
    (tmp_path / "etc/rules/a.xml").write_text(f'<group name="g,">{ROOT}</group>')
    assert main(["check-rules", str(tmp_path)]) == 0
    assert main(["check-rules", "--home", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("1 rule of 1 file loaded, 0 errors, 0 warnings") == 2
