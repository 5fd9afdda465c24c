"""Real engines for tests: a member or three on loopback, each in its own folder, ended with the test."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from garrison.fabric.client import EngineLink
from garrison.fabric.engine import Engine
from garrison.fabric.engine_conf import EngineSettings, replicas
from garrison.fabric.identity import IdentityFiles, derive_authority, issue_leaf, write_identity
from garrison.ground.clock import SystemClock
from garrison.ground.entropy import SystemEntropy
from garrison.ground.tasks import Stop, start

KEY = "0123456789abcdef0123456789abcdef"


def free_ports(count: int, address: str = "127.0.0.1") -> list[int]:
    """Ports that nobody listens on now, all different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((address, 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@dataclass
class Member:
    """One engine and its way to be ended and started again."""

    settings: EngineSettings
    files: IdentityFiles
    engine: Engine
    stop: Stop
    task: asyncio.Task[None]

    async def end(self) -> None:
        self.stop.set()
        await asyncio.wait_for(self.task, 20)

    def begin(self) -> None:
        self.stop = Stop()
        self.engine = Engine(self.settings, self.files, clock=SystemClock(), entropy=SystemEntropy())
        self.task = start(self.engine.run(self.stop), name=self.settings.node_name)


def identity(
    folder: Path, name: str, addresses: list[str], key: str = KEY, cluster: str = "test"
) -> IdentityFiles:
    authority = derive_authority(key, cluster)
    return write_identity(
        folder, authority, issue_leaf(authority, name, "master", addresses, SystemEntropy())
    )


@asynccontextmanager
async def engines(folder: Path, count: int = 1) -> AsyncIterator[list[Member]]:
    """`count` members at 127.0.2.1, .2, ... that find each other."""
    addresses = [f"127.0.2.{number + 1}" for number in range(count)]
    port, engine_port = free_ports(2, addresses[0])
    members = []
    for number, address in enumerate(addresses):
        settings = EngineSettings(
            cluster_name="test",
            node_name=f"n{number}",
            bind_address=address,
            port=port,
            engine_port=engine_port,
            members=tuple(addresses),
            folder=folder / f"n{number}" / "engine",
            log_path=folder / f"n{number}" / "engine.log",
        )
        files = identity(settings.tls_folder, settings.node_name, [address])
        engine = Engine(settings, files, clock=SystemClock(), entropy=SystemEntropy())
        stop = Stop()
        members.append(
            Member(settings, files, engine, stop, start(engine.run(stop), name=settings.node_name))
        )
    try:
        yield members
    finally:
        await asyncio.gather(*(member.end() for member in members))


@asynccontextmanager
async def linked(member: Member, name: str, members: list[Member] | None = None) -> AsyncIterator[EngineLink]:
    """A connected link of the node `name`."""
    everybody = members or [member]
    link = EngineLink(
        name,
        [each.settings.bind_address for each in everybody],
        member.settings.port,
        member.files,
        replicas=replicas(member.settings.members),
        clock=SystemClock(),
        entropy=SystemEntropy(),
    )
    stop = Stop()
    task = start(link.run(stop), name=f"link {name}")
    try:
        await asyncio.wait_for(link.connected.wait(), 20)
        yield link
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)
