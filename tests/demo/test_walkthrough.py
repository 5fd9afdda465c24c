"""The walkthrough as a test: real processes, real ports, real nginx where it is installed; and what it leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.reference import ROOT

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.mark.timeout(240)
def test_the_walkthrough_passes_and_leaves_no_process(tmp_path: Path) -> None:
    log = ROOT / "logs/OpenSSH_2k.log"
    words = ["--log", str(log)] if log.exists() else []
    folder = tmp_path / "demo-home"
    done = subprocess.run(
        [sys.executable, "-m", "garrison.cli.main", "demo", "--folder", str(folder), *words],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        cwd=tmp_path,
        env={"PATH": os.environ.get("PATH", "")},
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert done.stdout.rstrip().endswith("Verdict: PASSED")
    assert not running_below(folder)
    assert_secrets_are_kept(folder)
    assert_logs_say_what_operators_look_for(folder)


def running_below(folder: Path) -> list[str]:
    """Command lines of processes that name the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if str(folder) in line and "pytest" not in line and "garrison.cli.main demo" not in line:
                found.append(line)
    return found


def assert_secrets_are_kept(folder: Path) -> None:
    """Neither the cluster key nor an agent's key is in any log or alert, and the files that hold them are closed."""
    conf = (folder / "master/etc/ossec.conf").read_text()
    key = conf.split("<key>")[1].split("</key>")[0]
    agent_keys = [line.split()[3] for line in (folder / "master/etc/client.keys").read_text().splitlines()]
    for path in folder.rglob("logs/**/*"):
        if path.is_file():
            text = path.read_bytes()
            assert key.encode() not in text, path
            assert not any(agent_key.encode() in text for agent_key in agent_keys), path
    for path in (
        "master/etc/ossec.conf",
        "master/etc/client.keys",
        "agent-0/etc/client.keys",
        "master/etc/authd.pass",
    ):
        assert (folder / path).stat().st_mode & 0o007 == 0, path


def assert_logs_say_what_operators_look_for(folder: Path) -> None:
    master = (folder / "master/logs/ossec.log").read_text()
    assert "is not copied to others" in master
    assert "Agent key generated for 'agent-100' (requested by 127.0.0.1)" in master
    agent = (folder / "agent-0/logs/ossec.log").read_text()
    assert "(4102): Connected to the server ([127.0.1.210]:1514/tcp)." in agent
    assert "Trying next server ip in the line: '127.0.1.220'." in agent
    alerts = (folder / "worker-1/logs/alerts/alerts.json").read_bytes()
    assert b'"tactic":["Credential Access"' in alerts
    alert = json.loads(alerts.split(b"\n")[0])
    assert alert["cluster"] == {"name": "wazuh", "node": "worker-1"}
