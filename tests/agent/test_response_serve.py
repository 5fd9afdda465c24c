"""Running active responses: de-duplication by keys, hanging programs, and nothing left behind at the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from garrison.agent import response_serve
from garrison.agent.commands import Log
from garrison.agent.response_serve import Responder
from tests.support.clock import FakeClock
from tests.support.wait import until

PROGRAM = """#!/bin/sh
read -r order
echo "$order" >> {said}
case "$order" in
*'"command":"add"'*)
    echo '{{"version":1,"origin":{{"name":"p","module":"ar"}},"command":"check_keys","parameters":{{"keys":["203.0.113.7"]}}}}'
    read -r verdict
    echo "$verdict" >> {said}
    ;;
esac
"""


class Rig:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.said = home / "said"
        self.clock = FakeClock()
        self.told: list[Log] = []
        self.restarts = 0
        (home / "active-response/bin").mkdir(parents=True)
        (home / "etc/shared").mkdir(parents=True)
        (home / "etc/shared/ar.conf").write_text("block15 - block - 15\nonce0 - once - 0\ngone5 - gone - 5\n")
        self.program("block", PROGRAM.format(said=self.said))
        self.responder = Responder(home, self.clock, self.told.append, self._restart)

    def _restart(self) -> None:
        self.restarts += 1

    def program(self, name: str, text: str) -> None:
        path = self.home / "active-response/bin" / name
        path.write_text(text)
        path.chmod(0o750)

    def order(self, command: str) -> None:
        value = {"version": 1, "origin": {"name": "n"}, "command": command, "parameters": {"alert": {}}}
        self.responder.respond(json.dumps(value).encode())

    @property
    def commands(self) -> list[str]:
        lines = self.said.read_text().splitlines() if self.said.exists() else []
        return [json.loads(line)["command"] for line in lines]

    def texts(self) -> str:
        return "\n".join(line.text for line in self.told)


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await scene()

    asyncio.run(run())


def test_a_response_at_work_is_not_repeated_and_is_taken_back(tmp_path: Path) -> None:
    async def scene() -> None:
        rig = Rig(tmp_path)
        rig.order("block15")
        await until(lambda: rig.commands == ["add", "continue"])
        await until(lambda: rig.responder._at_work)
        rig.order("block15")
        await until(lambda: rig.commands == ["add", "continue", "add", "abort"])

        async def taken_back() -> bool:
            await rig.clock.advance(1)
            return "delete" in rig.commands

        await until(taken_back)
        await rig.responder.end()
        assert rig.commands == ["add", "continue", "add", "abort", "delete"]

    play(scene)


def test_the_end_takes_responses_back(tmp_path: Path) -> None:
    async def scene() -> None:
        rig = Rig(tmp_path)
        rig.order("block15")
        await until(lambda: rig.responder._at_work)
        await rig.responder.end()
        assert rig.commands == ["add", "continue", "delete"]
        assert "(1314): Shutdown received. Deleting responses." in rig.texts()

    play(scene)


def test_a_program_that_reads_to_the_end_and_has_no_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response_serve, "KEYS_TIMEOUT_S", 0.1)

    async def scene() -> None:
        rig = Rig(tmp_path)
        rig.program("once", f"#!/bin/sh\ncat >> {rig.said}\n")
        rig.order("once0")
        await until(lambda: rig.commands == ["add"])
        await until(lambda: not rig.responder._tasks)
        await rig.responder.end()
        assert rig.commands == ["add"]

    play(scene)


def test_a_program_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_serve, "PROGRAM_TIMEOUT_S", 0.2)

    async def scene() -> None:
        rig = Rig(tmp_path)
        rig.program("once", "#!/bin/sh\nexec sleep 600\n")
        rig.order("once0")
        await until(lambda: "did not end within" in rig.texts())
        await until(lambda: not rig.responder._tasks)

    play(scene)


def test_what_is_refused(tmp_path: Path) -> None:
    async def scene() -> None:
        rig = Rig(tmp_path)
        rig.order("gone5")
        rig.order("nosuch0\nfaked line")
        rig.program("once", "no program at all")
        rig.order("once0")
        rig.responder.respond(b"junk")
        await until(lambda: "(1312): Error executing" in rig.texts())
        texts = rig.texts()
        assert "Active response command not present: 'active-response/bin/gone'." in texts
        assert "(1311): Invalid command name 'nosuch0\\x0afaked line' provided." in texts
        rig.responder.is_enabled = False
        told = len(rig.told)
        rig.order("block15")
        rig.order("restart-wazuh0")
        assert len(rig.told) == told
        assert rig.restarts == 0

    play(scene)


def test_the_agent_itself_is_restarted(tmp_path: Path) -> None:
    async def scene() -> None:
        rig = Rig(tmp_path)
        rig.order("restart-wazuh0")
        assert rig.restarts == 1

    play(scene)
