"""`garrison init` and `check-config` as a new user meets them, wrong input included."""

from __future__ import annotations

import os
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
        (
            ["--node-type", "worker"],
            "Invalid elements in node fields: NODE_IP.; the addresses of one, three or five nodes",
        ),
        (["--bind", "0.0.0.0"], "Invalid elements in node fields: 0.0.0.0."),
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


def test_all_wrong_answers_are_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "m"
    words = [
        "--node-name",
        "a b",
        "--port",
        "x",
        "--agent-port",
        "1515",
        "--password",
        "",
        "--node-type",
        "boss",
    ]
    assert init_manager(home, *words, "--key", "short") == 1
    told = capsys.readouterr().err
    for part in (
        "not a password",
        "'node_name': a b",
        "must be an integer",
        "port 1515 is also",
        "Invalid node type boss",
        "Key must be 32",
    ):
        assert part in told
    assert "short" not in told and not home.exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--manager", "a/b"], "invalid value for element 'address': a/b"),
        (["--manager", "a:b"], "invalid value for element 'port': b"),
        (["--manager", "a:²"], "invalid value for element 'port': ²"),
        (["--manager", "[::1"], "invalid value for element 'address': [::1"),
        (["--manager", "a:70000"], "invalid value for element 'port': 70000"),
        (["--manager", "a", "--name", ".x"], "invalid value for element 'agent_name': .x"),
        (["--manager", "a", "--name", ""], None),
        (["--manager", "a", "--enroll-manager", "b c"], "invalid value for element 'manager_address': b c"),
        (["--manager", "a", "--notify-time", "often"], "invalid value for element 'notify_time': often"),
        (["--manager", "a", "--password", "x\ny"], "not a password"),
        (["--manager", "[::1]:99"], None),
    ],
)
def test_answers_about_an_agent(
    words: list[str], told: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "a"
    assert main(["init", "agent", "--home", str(home), *words]) == (0 if told is None else 1)
    assert home.exists() is (told is None)
    if told is not None:
        assert told in capsys.readouterr().err


def test_modes_do_not_hang_on_the_umask_and_folders_of_others_keep_theirs(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    home = tmp_path / "opt" / "m"
    before = os.umask(0)
    try:
        assert init_manager(home, "--password", "secret") == 0
    finally:
        os.umask(before)
    assert tmp_path.stat().st_mode & 0o777 == 0o711
    for path in home.rglob("*"):
        mode = path.stat().st_mode & 0o777
        if path.is_dir() or path.parent.name == "bin":
            assert mode == 0o750, path
        else:
            assert mode == (0o660 if "shared" in path.parts else 0o640), path


def test_force_renews_the_configuration_and_nothing_else_of_the_operator(tmp_path: Path) -> None:
    assert init_manager(tmp_path) == 0
    (tmp_path / "etc/shared/default/agent.conf").write_text("<agent_config>mine</agent_config>")
    (tmp_path / "etc/client.keys").write_text("001 a any k\n")
    assert init_manager(tmp_path, "--force", "--node-name", "other") == 0
    assert "mine" in (tmp_path / "etc/shared/default/agent.conf").read_text()
    assert (tmp_path / "etc/client.keys").read_text() == "001 a any k\n"
    assert "<node_name>other</node_name>" in (tmp_path / "etc/ossec.conf").read_text()


def test_tools_find_their_home_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "it's a python"
    python.write_text('#!/bin/sh\necho "$GARRISON_HOME|$*"\n')
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    home = tmp_path / "a home"
    assert init_manager(home) == 0
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "control"
    link.symlink_to(home / "bin/wazuh-control")
    for tool in (home / "bin/wazuh-control", link):
        done = subprocess.run([tool, "a  b", "c"], capture_output=True, text=True, check=True, cwd="/")
        assert done.stdout == f"{home}|-m garrison.cli.control a  b c\n"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("x")
    assert init_manager(tmp_path / "file" / "m") == 1
    assert "ERROR: " in capsys.readouterr().err


def test_a_home_is_checked_with_its_groups(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init_manager(tmp_path) == 0
    group = tmp_path / "etc/shared/web"
    group.mkdir()
    (group / "agent.conf").write_text('<agent_config name="x">\n<labels><y/></labels></agent_config>')
    (tmp_path / "etc/local_internal_options.conf").write_text("remoted.nonsense=1\n")
    capsys.readouterr()
    assert main(["check-config", "--home", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert (
        told.err
        == f"{group}/agent.conf:2: error: invalid element in the configuration: 'y'; <labels> knows label\n"
    )
    warning, last = told.out.splitlines()
    assert warning.endswith(
        "local_internal_options.conf:1: warning: remoted.nonsense has no effect here; it is not used by this product"
    )
    assert last == "4 files, 36 options read: 1 error, 1 warning"


def test_rules_are_checked_the_same_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/a.xml").write_text(
        '<group name="x,">\n<rule id="1" level="3"><nonsense/></rule>\n</group>'
    )
    assert main(["check-rules", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert "a.xml:2: error: rule 1: unknown element <nonsense>" in told.err
    assert "the ruleset does not load" in told.out
    assert main(["check-rules", str(tmp_path / "nowhere")]) == 1


def test_former_files_of_the_starter_ruleset_go_and_those_of_others_stay(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert init_manager(home) == 0
    rules = home / "ruleset/rules"
    for name in ("0100-sshd.xml", "0095-sshd_rules.xml"):
        (rules / name).write_text("<group name='x,'></group>")
    assert init_manager(home, "--force") == 0
    assert not (rules / "0100-sshd.xml").exists()
    assert (rules / "0095-sshd_rules.xml").exists()
