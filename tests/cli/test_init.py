"""`garrison init` and `check-config` as a new user meets them, wrong input included."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from garrison.cli.main import main

KEY = "0123456789abcdef0123456789abcdef"


def init_manager(home: Path, *more: str) -> int:
    return main(["init", "manager", "--home", str(home), "--key", KEY, "--bind", "127.0.0.1", *more])


def test_a_node_s_home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "m"
    assert init_manager(home, "--node-name", "m-1", "--password", "secret") == 0
    told = capsys.readouterr().out
    assert f"Start it with: {home}/bin/garrison-control start" in told and KEY not in told
    for tool in (
        "cluster_control",
        "agent_control",
        "agent_groups",
        "manage_agents",
        "garrison-control",
        "wazuh-control",
    ):
        assert (home / "bin" / tool).stat().st_mode & 0o777 == 0o750
    assert (home / "etc/ossec.conf").stat().st_mode & 0o777 == 0o640
    assert (home / "etc/authd.pass").read_text() == "secret\n"
    assert len(list((home / "ruleset/rules").glob("*.xml"))) > 5
    assert main(["check-config", "--home", str(home)]) == 0
    assert capsys.readouterr().out == "2 files, 36 options read: 0 errors, 0 warnings\n"


def test_an_existing_configuration_is_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init_manager(tmp_path) == 0
    (tmp_path / "etc/ossec.conf").write_text("mine")
    assert init_manager(tmp_path) == 1
    assert (tmp_path / "etc/ossec.conf").read_text() == "mine"
    assert "exists already; --force to overwrite it" in capsys.readouterr().err
    assert init_manager(tmp_path, "--force") == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--key", "short"], "Key must be 32 characters long"),
        (["--node-name", "a b"], "invalid value for element 'node_name': a b"),
        (["--node-type", "boss"], "Invalid node type boss"),
        (["--nodes", "127.0.0.1,127.0.0.2"], "two nodes are listed"),
        (["--port", "80"], "Port must be higher than 1024"),
        (["--bind", "nowhere at all"], "invalid value for element 'bind_addr'"),
        (["--password", " "], "not a password"),
    ],
)
def test_wrong_answers_write_nothing(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "m"
    assert init_manager(home, *words) == 1
    assert told in capsys.readouterr().err
    assert not home.exists()


def test_an_agent_s_home_and_its_tool(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "a"
    words = ["--manager", "10.0.0.1", "--manager", "10.0.0.2:99", "--log", "x.log", "--name", "web01"]
    assert main(["init", "agent", "--home", str(home), *words]) == 0
    capsys.readouterr()
    assert main(["check-config", "--home", str(home)]) == 0
    done = subprocess.run([home / "bin/agent-auth", "-h"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "-m" in done.stdout + done.stderr


def test_faults_are_printed_as_a_compiler_prints_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "ossec.conf"
    wrong.write_text("<ossec_config>\n<cluster><port>x</port></cluster>\n</ossec_config>\n")
    missing = tmp_path / "missing.conf"
    assert main(["check-config", str(wrong), str(missing)]) == 1
    told = capsys.readouterr()
    assert f"{wrong}:2: error: Cluster port must be an integer." in told.err
    assert f"{missing}: error: No such file or directory" in told.err
    assert told.out.endswith("1 file, 1 option read: 4 errors, 0 warnings\n")


def test_rules_are_checked_the_same_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/a.xml").write_text(
        '<group name="x,">\n<rule id="1" level="3"><nonsense/></rule>\n</group>'
    )
    assert main(["check-rules", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert "a.xml:2: error: unknown element <nonsense> in rule 1" in told.err
    assert "the ruleset does not load" in told.out
    assert main(["check-rules", str(tmp_path / "nowhere")]) == 1
