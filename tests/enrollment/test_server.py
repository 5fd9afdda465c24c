"""The enrollment server over real TLS: every vector's reply, and hostile peers beside real ones."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from garrison.config.home import Home
from garrison.config.model import AuthConfig, ForceConfig
from garrison.enrollment.server import EnrollmentServer, Surroundings
from garrison.ground.errors import ConfigError
from garrison.ground.tasks import Stop, start
from garrison.registry.status import AgentStatus
from garrison.registry.store import Registry
from garrison.wire.client_keys import decode_key_file
from tests.support.clock import FakeClock, SeededEntropy
from tests.support.memory_fabric import Hub
from tests.support.reference import ROOT
from tests.support.wait import until


class Manager:
    def __init__(
        self, root: Path, config: AuthConfig, *, groups: tuple[str, ...] = ("default", "web"), **more: Any
    ):
        self.hub = Hub()
        self.clock = FakeClock()
        self.statuses: dict[str, AgentStatus] = {}
        self.home = Home(root)
        self.registry = Registry(
            self.hub.link("node"), self.home, self.clock, SeededEntropy(), self.statuses.get
        )
        around = Surroundings(
            root=root,
            registry=self.registry,
            group_exists=lambda name: name in groups,
            host_name="manager01",
            clock=self.clock,
        )
        self.server = EnrollmentServer(config, around, **more)


def free_port(address: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def running(manager: Manager) -> AsyncIterator[Manager]:
    stop = Stop()
    tasks = [start(manager.registry.run(stop), name="registry")]
    await asyncio.wait_for(manager.registry.caught_up.wait(), 10)
    tasks.append(start(manager.server.run(stop), name="server"))
    try:
        await until(lambda: manager.server.listening.is_set() or tasks[1].done())
        yield manager
    finally:
        stop.set()
        manager.registry._view_is_old.set()
        await manager.clock.advance(5)
        await asyncio.gather(*tasks)


async def ask(port: int, request: bytes, address: str = "127.0.0.1") -> bytes:
    """What a stock agent gets: everything until the peer closes, or one record of a success."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(address, port, ssl=context)
    writer.write(request)
    await writer.drain()
    reply = await asyncio.wait_for(reader.read(65536), 10)
    writer.close()
    return reply


def auth(**more: Any) -> AuthConfig:
    return AuthConfig(local_ip="127.0.0.1", port=free_port(), **more)


def vector_cases() -> list[Any]:
    path = ROOT / "spec/vectors/agent-channel/enrollment.json"
    if not path.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason="reference data not present"))]
    rows = json.loads(path.read_text("utf-8"))["cases"]
    return [pytest.param(row, id=row["name"]) for row in rows if "manager_4_13_plus" in row]


def config_of(case: dict[str, Any]) -> AuthConfig:
    given = case["config"]
    force = given.get("force", {})
    return auth(
        use_password="password" in given,
        use_source_ip=bool(given.get("use_source_ip")),
        allow_higher_versions=bool(given.get("allow_higher_versions")),
        force=ForceConfig(
            enabled=bool(force.get("enabled", 1)),
            key_mismatch=bool(force.get("key_mismatch", 1)),
            disconnected_time_enabled=bool(force.get("disconnected_time_enabled", 1)),
            disconnected_time_s=force.get("disconnected_time", 3600),
            after_registration_time_s=force.get("after_registration_time", 3600),
        ),
    )


async def prepare(manager: Manager, case: dict[str, Any]) -> None:
    now = manager.clock.now().timestamp()
    await manager.registry.import_keys(case["client_keys_before"], "client.keys")
    found = decode_key_file(case["client_keys_before"])
    manager.registry._highest = max(manager.registry._highest, found.highest_id)
    state = case.get("existing_agent_db_state")
    for entry in found.entries:
        agent = manager.registry.agent(entry.id)
        assert agent is not None
        if state is None:
            continue
        registered = now - state["registered_ago"]
        await manager.registry._change(entry.id, lambda record, at=registered: record_at(record, at))
        gone = state["disconnected_ago"]
        manager.statuses[entry.id] = AgentStatus(
            id=entry.id, state=state["status"], disconnected_at=0.0 if gone < 0 else now - gone
        )


def record_at(record: Any, at: float) -> Any:
    from dataclasses import replace

    return replace(record, added_at=at)


@pytest.mark.parametrize("case", vector_cases())
def test_every_vector_through_the_whole_server(case: dict[str, Any], tmp_path: Path) -> None:
    async def scene() -> None:
        config = config_of(case)
        (tmp_path / "etc").mkdir()
        if config.use_password:
            (tmp_path / "etc/authd.pass").write_text(case["config"]["password"] + "\n")
        groups = tuple(case.get("groups_present", ("default", "web", "db.prod")))
        manager = Manager(tmp_path, config, groups=groups, within_s=0.4)
        async with running(manager):
            await prepare(manager, case)
            decide = manager.server._decide
            request = case["request"].encode()
            if not request.endswith(b"\n"):
                assert await ask(config.port, request) == b""
                return
            reply, agent = await decide(request, case["source_ip"])
            outcome = case["manager_4_13_plus"]
            if outcome["ok"]:
                form = re.escape(outcome["reply_format"]).replace(
                    re.escape("<64 lower-case hex>"), "[0-9a-f]{64}"
                )
                assert re.fullmatch(form, reply.decode())
                for replaced in case.get("replaced_ids", []):
                    assert manager.registry.agent(replaced) is None
            else:
                assert [reply.decode()] == outcome["writes"] and agent is None

    asyncio.run(scene())


def test_an_agent_gets_its_key_in_one_record_and_delivery_is_noted(tmp_path: Path) -> None:
    async def scene() -> None:
        config = auth()
        async with running(Manager(tmp_path, config)) as manager:
            reply = await ask(config.port, b"OSSEC A:'web01' V:'v4.14.7' G:'default,web'\n")
            assert re.fullmatch(rb"OSSEC K:'001 web01 any [0-9a-f]{64}'", reply)
            await until(lambda: manager.registry.agent("001").offered_to == "")  # type: ignore[union-attr]
            reply = await ask(config.port, b"OSSEC A:'web01'\n")
            assert reply == b"ERROR: Duplicate agent name: web01. Unable to add agent"
            assert (tmp_path / "etc/sslmanager.key").stat().st_mode & 0o777 == 0o600

    asyncio.run(scene())


def test_a_lost_answer_gives_the_same_agent_again(tmp_path: Path) -> None:
    async def scene() -> None:
        config = auth()
        async with running(Manager(tmp_path, config)) as manager:
            first, agent = await manager.server._decide(b"OSSEC A:'web01'\n", "127.0.0.1")
            assert agent is not None and await ask(config.port, b"OSSEC A:'web01'\n") == first
            assert len(manager.registry.agents()) == 1

    asyncio.run(scene())


def test_without_the_engine_the_answer_is_a_clear_error(tmp_path: Path) -> None:
    async def scene() -> None:
        config = auth()
        async with running(Manager(tmp_path, config)) as manager:
            manager.hub.cut_all()
            reply = await ask(config.port, b"OSSEC A:'web01'\n")
            assert reply == b"ERROR: Cannot comunicate with master. Unable to add agent"

    asyncio.run(scene())


def test_the_password_file_is_read_again_and_a_random_one_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        config = auth(use_password=True)
        with caplog.at_level("INFO"):
            async with running(Manager(tmp_path, config)):
                match = re.search(
                    r"Random password chosen for agent authentication: ([0-9a-f]{32})", caplog.text
                )
                assert match is not None
                reply = await ask(config.port, f"OSSEC PASS: {match[1]} OSSEC A:'web01'\n".encode())
                assert reply.startswith(b"OSSEC K:'001 web01 any ")
                (tmp_path / "etc/authd.pass").write_text("new secret\n")
                assert (await ask(config.port, b"OSSEC PASS: new secret OSSEC A:'db01'\n")).startswith(
                    b"OSSEC K:'002"
                )
                assert b"Invalid password" in await ask(config.port, b"OSSEC A:'x1'\n")

    asyncio.run(scene())


def test_an_empty_password_file_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/authd.pass").write_text("\n")

    async def scene() -> None:
        manager = Manager(tmp_path, auth(use_password=True))
        with pytest.raises(ConfigError, match="no password"):
            await manager.server.run(Stop())

    asyncio.run(scene())


def test_hostile_bytes_end_only_their_own_connection(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        config = auth()
        async with running(Manager(tmp_path, config, within_s=0.5)):
            for raw in (b"", b"\x16\x03\x01", b"GET / HTTP/1.0\r\n\r\n", bytes(range(256)) * 300):
                reader, writer = await asyncio.open_connection("127.0.0.1", config.port)
                writer.write(raw)
                assert await asyncio.wait_for(drained(reader), 10) is not None
                writer.close()
            for request in (
                b"x" * 80000,
                b"OSSEC A:'\x1b[31m\x00evil'\n",
                b"\xff\xfe\n",
                b"OSSEC A:'" + b"a" * 60000 + b"'\n",
            ):
                reply = await ask(config.port, request)
                assert reply == b"" or reply.startswith(b"ERROR: ")
            assert (await ask(config.port, b"OSSEC A:'web01'\n")).startswith(b"OSSEC K:'001")
            assert "\x1b" not in caplog.text

    asyncio.run(scene())


async def drained(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(100000)
    except ConnectionResetError:
        return b"reset"


def test_a_crowd_of_silent_peers_keeps_nobody_out(tmp_path: Path) -> None:
    async def scene() -> None:
        config = auth()
        async with running(Manager(tmp_path, config, most_clients=100, within_s=60.0)) as manager:
            silent = []
            for _ in range(400):
                connection = socket.socket()
                connection.setblocking(False)
                await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", config.port))
                silent.append(connection)
            await until(lambda: len(manager.server._unanswered) <= 100)
            replies = await asyncio.gather(
                *(ask(config.port, f"OSSEC A:'web{number:02}'\n".encode()) for number in range(20))
            )
            assert all(reply.startswith(b"OSSEC K:'") for reply in replies)
            for connection in silent:
                connection.close()

    asyncio.run(scene())
