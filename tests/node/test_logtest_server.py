"""The log test's socket with real connections: framing, hostile peers, edits that show at once, a published client."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from garrison.alerts.record import Context
from garrison.analysis.load import load_folder
from garrison.config.model import RuleTestConfig
from garrison.ground.clock import SystemClock
from garrison.ground.entropy import SystemEntropy
from garrison.ground.tasks import Stop
from garrison.node.logtest import Sessions
from garrison.node.logtest_server import LogTestServer
from garrison.ruleset import FOLDER
from tests.support.wait import until

LOG = "Dec 10 06:55:46 gate sshd[24200]: Failed password for root from 203.0.113.9 port 4001 ssh2"


def played(folder: Path, script: Callable[[Path], Awaitable[None]], ruleset: Path = FOLDER) -> None:
    async def play() -> None:
        path = folder / "queue/sockets/logtest"
        sessions = Sessions(RuleTestConfig(), b"gate", Context(manager_name="gate"))
        server = LogTestServer(path, sessions, lambda: load_folder(ruleset), SystemClock(), SystemEntropy())
        stop = Stop()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(server.run(stop, 900.0))
            await until(lambda: path.exists())
            try:
                await script(path)
            finally:
                stop.set()
            await running
        assert not path.exists()

    asyncio.run(play())


async def exchange(path: Path, raw: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(raw)
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return answer


async def ask(path: Path, command: str, **parameters: Any) -> dict[str, Any]:
    text = json.dumps({"command": command, "parameters": parameters}).encode()
    answer = await exchange(path, len(text).to_bytes(4, "little") + text)
    assert int.from_bytes(answer[:4], "little") == len(answer) - 4
    reply: dict[str, Any] = json.loads(answer[4:])
    return reply


def test_a_session_from_its_first_log_to_its_end(tmp_path: Path) -> None:
    async def script(path: Path) -> None:
        assert path.stat().st_mode & 0o777 == 0o660
        first = (await ask(path, "log_processing", event=LOG, log_format="syslog", location="stdin"))["data"]
        assert first["output"]["rule"]["level"] == 5 and first["alert"]
        token = first["token"]
        again = await ask(
            path, "log_processing", event=LOG, log_format="syslog", location="stdin", token=token
        )
        assert again["data"]["output"]["rule"]["firedtimes"] == 2 and "messages" not in again["data"]
        gone = await ask(path, "remove_session", token=token)
        assert gone["codemsg"] == gone["data"]["codemsg"] == 0
        stale = await ask(
            path, "log_processing", event=LOG, log_format="syslog", location="stdin", token=token
        )
        assert stale["data"]["messages"][0] == f"WARNING: (7003): '{token}' token expires"
        assert stale["data"]["codemsg"] == 1 and stale["data"]["token"] != token

    played(tmp_path, script)


def test_hostile_peers_get_an_answer_or_nothing(tmp_path: Path) -> None:
    async def script(path: Path) -> None:
        assert await exchange(path, bytes(4)) == b""
        too_long = await exchange(path, (70_000).to_bytes(4, "little"))
        assert json.loads(too_long[4:]) == {
            "message": "(7315): Failure to receive message: size is bigger than expected", "error": 5,
        }  # fmt: skip
        refused = await exchange(path, (5).to_bytes(4, "little") + b"\xff\x00{[\xfe")
        assert json.loads(refused[4:])["error"] == 1
        silent = [await asyncio.open_unix_connection(str(path)) for _ in range(80)]
        for _, writer in silent:
            writer.close()
        reply = await ask(path, "log_processing", event="x" * 60_000, log_format="syslog", location="stdin")
        assert reply["error"] == 0

    played(tmp_path, script)


def test_an_edited_ruleset_shows_in_the_next_session(tmp_path: Path) -> None:
    rules = tmp_path / "rs/rules"
    rules.mkdir(parents=True)
    root = '<rule id="1" level="0" noalert="1"><category>syslog</category><description>R</description></rule>'
    bad = '<rule id="100" level="%s"><match>bad</match><description>Bad</description></rule>'

    def write(level: str) -> None:
        (rules / "r.xml").write_text(f'<group name="t,">{root}{bad % level}</group>')

    async def script(path: Path) -> None:
        asked = {"event": "a bad thing", "log_format": "syslog", "location": "stdin"}
        first = (await ask(path, "log_processing", **asked))["data"]
        write("9")
        kept = (await ask(path, "log_processing", **asked, token=first["token"]))["data"]
        new = (await ask(path, "log_processing", **asked))["data"]
        levels = [data["output"]["rule"]["level"] for data in (first, kept, new)]
        assert levels == [5, 5, 9]
        write("99")
        broken = (await ask(path, "log_processing", **asked))["data"]
        assert broken["codemsg"] == -1 and broken["messages"][-1].startswith("ERROR: (7311)")
        assert "level" in broken["messages"][0] and "r.xml" in broken["messages"][0]

    write("5")
    played(tmp_path, script, tmp_path / "rs")


def test_a_published_client_works_against_the_socket(tmp_path: Path) -> None:
    async def script(path: Path) -> None:
        client = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "wazuhtester", "--socket", str(path), "--json",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(client.communicate(f"{LOG}\nno rule says anything\n".encode()), 60)
        assert client.returncode == 0, err
        first, second = map(json.loads, out.splitlines())
        assert (first["decoder"], first["rule_level"], first["alert"]) == ("sshd", 5, True)
        assert second["rule_id"] is None and not second["alert"]

    played(tmp_path, script)
