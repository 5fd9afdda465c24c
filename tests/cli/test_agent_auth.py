"""`agent-auth` against a real enrollment server: the lines that operators know, and what is stored."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

from garrison.wire.client_keys import decode_key_file
from tests.enrollment.test_server import Manager, auth, running


async def run(home: Path, *words: str) -> tuple[int, list[str]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "garrison.cli.agent_auth", *words,
        env={"GARRISON_HOME": str(home)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    lines = output.decode().splitlines()
    form = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d agent-auth: (.*)")
    return process.returncode or 0, [match[1] if (match := form.fullmatch(line)) else line for line in lines]


def test_the_lines_of_a_success_and_of_a_refusal(tmp_path: Path) -> None:
    async def play() -> None:
        config = auth(use_password=True)
        (tmp_path / "m/etc").mkdir(parents=True)
        (tmp_path / "m/etc/authd.pass").write_text("secret\n")
        for folder in ("etc", "logs"):
            (tmp_path / "a" / folder).mkdir(parents=True)
        async with running(Manager(tmp_path / "m", config)) as manager:
            where = ("-m", "127.0.0.1", "-p", str(config.port))
            status, lines = await run(tmp_path / "a", *where, "-P", "secret", "-A", "web01")
            assert status == 0 and re.fullmatch(r"INFO: Started \(pid: \d+\)\.", lines[0])
            assert lines[1:] == [
                "INFO: Requesting a key from server: 127.0.0.1",
                "INFO: Using agent name as: web01",
                "INFO: Waiting for server reply",
                "INFO: Valid key received",
            ]
            keys = tmp_path / "a/etc/client.keys"
            assert keys.stat().st_mode & 0o777 == 0o640
            agent = manager.registry.agent("001")
            assert agent is not None and decode_key_file(keys.read_text()).entries == (agent.entry,)
            before = keys.read_text()
            status, lines = await run(tmp_path / "a", *where, "-P", "wrong", "-A", "web02")
            assert status == 1 and lines[-1] == "ERROR: Invalid password. Unable to add agent (from manager)"
            assert keys.read_text() == before
            status, lines = await run(tmp_path / "a", *where, "-P", "secret", "-A", "web01")
            assert lines[-1] == "ERROR: Duplicate agent name: web01. Unable to add agent (from manager)"

    asyncio.run(play())


def test_wrong_use_is_told(tmp_path: Path) -> None:
    async def play() -> None:
        status, lines = await run(tmp_path)
        assert status == 1 and "ERROR: Manager IP not set." in lines[-1]
        status, lines = await run(tmp_path, "-m", "127.0.0.1", "-p", "1", "-A", "web01")
        assert status == 1 and "Unable to connect to enrollment service at '[127.0.0.1]:1'" in lines[-1]
        status, lines = await run(tmp_path, "-m", "127.0.0.1", "-A", "bad name")
        assert status == 1 and lines[-1] == 'ERROR: Invalid agent name "bad name". Please pick a valid name.'
        status, lines = await run(tmp_path, "-m", "127.0.0.1", "-I", "10.0.0.1", "-i")
        assert status == 1 and lines[-1] == "ERROR: Options '-I' and '-i' are uncompatible."

    asyncio.run(play())
