"""Our agent against our manager over real sockets: what travels between them is recorded and read with `wire` alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from garrison.agent.serve import serve
from garrison.config import template
from garrison.ground.clock import SystemClock
from garrison.ground.entropy import SystemEntropy
from garrison.ground.tasks import Stop, start
from garrison.registry.model import Agent
from garrison.wire import agent_message, control, event_line
from garrison.wire.agent_frame import FrameReader
from garrison.wire.agent_message import ById, Method
from garrison.wire.merged import encode_bundle
from tests.channel.test_server import WEB, Bundle, Node, running
from tests.support.wait import until


class Relay:
    """Stands between agent and manager and writes down every byte of both directions, a connection each."""

    def __init__(self, manager_port: int) -> None:
        self._manager_port = manager_port
        self.connections: list[tuple[bytearray, bytearray]] = []
        self._writers: list[asyncio.StreamWriter] = []

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            self.cut()

    def cut(self) -> None:
        """Ends every connection, as a network does that fails."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said, heard = bytearray(), bytearray()
        self.connections.append((said, heard))
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._manager_port)
        except OSError:
            writer.close()
            return
        self._writers += [writer, back]
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._copy(reader, back, said))
                group.create_task(self._copy(there, writer, heard))
        except* (ConnectionError, OSError):
            pass

    async def _copy(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, kept: bytearray
    ) -> None:
        while data := await source.read(65536):
            kept += data
            target.write(data)
            await target.drain()
        target.close()


def decoded(stream: bytes, agent: Agent, *, is_agent: bool) -> list[bytes]:
    """The messages of a recorded stream; each envelope, prefix and counter is checked on the way."""
    key = agent_message.derive(agent.entry)
    messages, last = [], None
    for envelope in FrameReader().feed(stream):
        found = agent_message.classify(envelope)
        assert isinstance(found, ById) == is_agent
        assert not isinstance(found, agent_message.Ping)
        opened = agent_message.open_envelope(found.rest, key)
        assert opened.method is Method.AES and (last is None or opened.counters > last)
        last = opened.counters
        messages.append(opened.message)
    return messages


def lay_out(home: Path, agent: Agent, ports: list[int], log: Path) -> None:
    for folder in ("etc/shared", "logs"):
        (home / folder).mkdir(parents=True)
    (home / "etc/client.keys").write_text(agent.entry.line() + "\n")
    servers = tuple(template.ServerAnswer(address="127.0.0.1", port=port) for port in ports)
    answers = template.AgentAnswers(
        servers=servers, logs=(str(log),), max_retries=1, retry_interval_s=1, notify_time_s=1
    )
    text = template.agent_conf(answers).replace("<enabled>yes</enabled>\n", "<enabled>no</enabled>\n", 1)
    (home / "etc/ossec.conf").write_text(text)


@asynccontextmanager
async def agent_running(home: Path) -> AsyncIterator[None]:
    stop = Stop()
    task = start(serve(home, SystemClock(), SystemEntropy(), stop), name="agent")
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


def append(log: Path, *lines: str) -> None:
    with log.open("a") as file:
        file.writelines(line + "\n" for line in lines)


def texts(node: Node) -> list[str]:
    return [event.text.decode() for event in node.events if event.location.endswith(b".log")]


def test_a_recorded_session_reads_as_the_protocol_says(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(Node(tmp_path / "m")) as node:
            bundle = encode_bundle(
                "web", [("agent.conf", b"<agent_config>\n</agent_config>\n"), ("x.txt", b"z" * 2000)]
            )
            node.bundles[("web",)] = Bundle(bundle)
            log, relay = tmp_path / "app.log", Relay(node.port)
            log.touch()
            async with relay.listening() as port:
                lay_out(tmp_path / "a", WEB, [port], log)
                async with agent_running(tmp_path / "a"):
                    await until(lambda: ("keepalive", "001", True) in node.statuses, within_s=15)
                    append(log, "one: |two|", "three \\ vier")
                    await until(lambda: texts(node) == ["one: |two|", "three \\ vier"], within_s=15)
                    assert (tmp_path / "a/etc/shared/x.txt").read_bytes() == b"z" * 2000
                await until(lambda: ("shutdown", "001") in node.statuses)
            said, heard = relay.connections[0]
            from_agent = decoded(bytes(said), WEB, is_agent=True)
            assert control.decode_from_agent(from_agent[0]) == control.Startup(version="v4.14.7")
            events = [
                event_line.decode_event(message) for message in from_agent if not control.is_control(message)
            ]
            assert events[0] == event_line.Event("1", b"wazuh-agent", b"ossec: Agent started: 'web01->any'.")
            assert [event.text for event in events[1:]] == [b"one: |two|", b"three \\ vier"]
            assert from_agent[-1] == control.SHUTDOWN
            kinds = {type(control.decode_from_agent(m)).__name__ for m in from_agent if control.is_control(m)}
            assert kinds == {"Startup", "Keepalive", "Shutdown"}
            from_manager = decoded(bytes(heard), WEB, is_agent=False)
            assert from_manager[0] == control.ACK
            assert isinstance(control.decode_from_manager(from_manager[2]), control.FileBegin)
            assert control.FILE_END in from_manager

    asyncio.run(play())


def test_nothing_is_lost_or_doubled_over_failover_restart_and_rotation(tmp_path: Path) -> None:
    async def play() -> None:
        async with running(Node(tmp_path / "m1")) as first, running(Node(tmp_path / "m2")) as second:
            log, relay = tmp_path / "app.log", Relay(first.port)
            log.touch()
            async with relay.listening() as port:
                lay_out(tmp_path / "a", WEB, [port, second.port], log)
                async with agent_running(tmp_path / "a"):
                    await until(lambda: first.server.connected() == 1, within_s=15)
                    append(log, *(f"before {number}" for number in range(50)))
                    await until(lambda: len(texts(first)) == 50, within_s=15)
                # the relay is gone now: the agent must find the second manager by itself
            log.rename(tmp_path / "app.log.1")
            append(tmp_path / "app.log.1", "last words of the old file")
            append(log, "first words of the new file")
            async with agent_running(tmp_path / "a"):
                await until(lambda: second.server.connected() == 1, within_s=20)
                append(log, *(f"after {number}" for number in range(50)))
                expected = ["last words of the old file", "first words of the new file"]
                expected += [f"after {number}" for number in range(50)]
                await until(lambda: len(texts(second)) >= len(expected), within_s=20, what=str(texts(second)))
                assert texts(second) == expected
            assert texts(first) == [f"before {number}" for number in range(50)]

    asyncio.run(play())


@pytest.mark.parametrize("seed", range(3))
def test_a_network_that_fails_again_and_again_doubles_nothing(tmp_path: Path, seed: int) -> None:
    async def play() -> None:
        async with running(Node(tmp_path / "m")) as node:
            log, relay = tmp_path / "app.log", Relay(node.port)
            log.touch()
            async with relay.listening() as port:
                lay_out(tmp_path / "a", WEB, [port], log)
                async with agent_running(tmp_path / "a"):
                    for round_ in range(3):
                        await until(lambda: node.server.connected() == 1, within_s=20)
                        append(log, *(f"{round_}.{number}" for number in range(20)))
                        await until(lambda r=round_: len(texts(node)) >= 20 * (r + 1), within_s=20)
                        relay.cut()
                        await until(lambda r=round_: len(relay.connections) > r + 1, within_s=20)
            assert texts(node) == [f"{round_}.{number}" for round_ in range(3) for number in range(20)]

    asyncio.run(play())
