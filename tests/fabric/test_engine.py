"""Real engines: who is let in, what a loss does, and that a child is watched."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from garrison.fabric.client import EngineLink
from garrison.fabric.engine import EngineState
from garrison.fabric.engine_conf import check_members
from garrison.fabric.identity import derive_authority
from garrison.fabric.lease import Lease
from garrison.fabric.link import CaughtUp, Entry
from garrison.fabric.presence import NodeCard, Presence
from garrison.ground.clock import SystemClock
from garrison.ground.entropy import SystemEntropy
from garrison.ground.errors import ConfigError, FabricError
from garrison.ground.tasks import Stop, start
from tests.support.clock import FakeClock
from tests.support.engine import KEY, Member, engines, identity, linked
from tests.support.memory_fabric import Hub
from tests.support.wait import until

pytestmark = pytest.mark.engine


def test_every_node_computes_the_same_authority() -> None:
    first, again = derive_authority(KEY, "wazuh"), derive_authority(KEY, "wazuh")
    assert first.pem() == again.pem()
    assert derive_authority(KEY, "other").pem() != first.pem()
    assert derive_authority(KEY[::-1], "wazuh").pem() != first.pem()
    for wrong in ("", "short", "ä" * 32):
        with pytest.raises(ConfigError):
            derive_authority(wrong, "wazuh")


@pytest.mark.parametrize("members", [("a", "b"), ("a", "b", "c", "d"), ("a", "a", "b")])
def test_members_that_cannot_form_a_sensible_majority_are_refused(members: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError):
        check_members(members)


@pytest.mark.parametrize(("key", "cluster"), [("f" * 32, "test"), (KEY, "other")])
def test_another_key_or_cluster_name_does_not_finish_the_handshake(
    key: str, cluster: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def play() -> None:
        async with engines(tmp_path) as members:
            member = members[0]
            files = identity(tmp_path / "stranger", "stranger", [], key, cluster)
            address = member.settings.bind_address
            clock, entropy = SystemClock(), SystemEntropy()
            link = EngineLink(
                "x", [address], member.settings.port, files, replicas=1, clock=clock, entropy=entropy
            )
            stop = Stop()
            await until(lambda: member.engine.state() is EngineState.READY, within_s=20)
            task = start(link.run(stop), name="stranger")
            await until(lambda: "another cluster key or another cluster name" in caplog.text, within_s=20)
            assert not link.is_connected()
            stop.set()
            await asyncio.wait_for(task, 10)

    asyncio.run(play())


def test_a_killed_engine_is_started_again_and_watches_go_on(tmp_path: Path) -> None:
    async def play() -> None:
        async with engines(tmp_path) as members, linked(members[0], "one") as link:
            bucket = await link.bucket("agents")
            await bucket.put("before", b"1")
            seen: list[Any] = []
            stop = Stop()

            async def follow() -> None:
                async for change in bucket.watch(stop):
                    seen.append(change)

            task = start(follow(), name="follow")
            await until(lambda: CaughtUp() in seen)
            pid = members[0].engine.pid()
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await until(lambda: not link.is_connected(), within_s=20)
            with pytest.raises(FabricError):
                await bucket.put("during", b"x")
            await until(link.is_connected, within_s=30)
            await until(lambda: put(bucket, "after"), within_s=20)
            await until(lambda: any(isinstance(c, Entry) and c.key == "after" for c in seen), within_s=20)
            entry = await bucket.get("before")
            assert entry is not None and entry.value == b"1"
            stop.set()
            await asyncio.wait_for(task, 10)

    asyncio.run(play())


def test_hostile_bytes_on_the_engine_s_port_disturb_nobody(tmp_path: Path) -> None:
    async def play() -> None:
        async with engines(tmp_path) as members, linked(members[0], "one") as link:
            bucket = await link.bucket("agents")
            address = (members[0].settings.bind_address, members[0].settings.port)
            dice = random.Random(11)
            silent = [await asyncio.open_connection(*address) for _ in range(200)]
            for round_ in range(60):
                _, writer = await asyncio.open_connection(*address)
                raw = (
                    b"CONNECT {}\r\nPING\r\n",
                    b"\x16\x03\x01\x40\x00" + dice.randbytes(3000),
                    b"\xff" * 70000,
                    b"",
                )
                writer.write(raw[round_ % 4])
                writer.close()
                assert await put(bucket, f"k{round_}")
            assert link.is_connected() and members[0].engine.starts == 1
            for _, writer in silent:
                writer.close()

    asyncio.run(play())


async def put(bucket: Any, key: str) -> bool:
    try:
        await bucket.put(key, b"2")
    except FabricError:
        return False
    return True


@pytest.mark.slow
def test_three_members_lose_one_and_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    async def play() -> None:
        async with engines(tmp_path, 3) as members, linked(members[1], "two", members[1:]) as link:
            await until(lambda: made(link), within_s=30)
            bucket = await link.bucket("agents")
            acknowledged = [f"k{number}" for number in range(100) if await put(bucket, f"k{number}")]
            assert len(acknowledged) == 100
            await kill(members[0])
            await until(lambda: put(bucket, "after"), within_s=40)
            kept = await until(lambda: listed(bucket), within_s=20)
            assert {*acknowledged, "after"} <= kept
            members[0].begin()
            await until(lambda: members[0].engine.state() is EngineState.READY, within_s=30)

    asyncio.run(play())


async def listed(bucket: Any) -> set[str]:
    try:
        return {entry.key for entry in await bucket.entries()}
    except FabricError:
        return set()


async def made(link: EngineLink) -> bool:
    try:
        await link.bucket("agents")
    except FabricError:
        return False
    return True


async def kill(member: Member) -> None:
    pid = member.engine.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await member.end()


# -- lease and presence, over the double ------------------------------------------------------------------------


async def advance(clock: FakeClock, hub: Hub, seconds: float) -> None:
    for _ in range(int(seconds * 2)):
        await clock.advance(0.5)
        hub.expire()
        hub.bell.ring()


def test_one_candidate_holds_the_lease_and_another_follows_it() -> None:
    async def play() -> None:
        clock = FakeClock()
        hub = Hub(clock)
        leases = {
            name: Lease(hub.link(name), clock, name, is_candidate=name != "w") for name in ("a", "b", "w")
        }
        stops = {name: Stop() for name in leases}
        tasks = [start(leases[name].run(stops[name]), name=name) for name in leases]
        await advance(clock, hub, 3)
        holder = leases["w"].holder()
        assert holder in ("a", "b") and leases[holder].is_held()
        other = "b" if holder == "a" else "a"
        assert leases[other].holder() == holder and not leases[other].is_held()
        token = leases[holder].token()
        hub.cut(holder)
        await advance(clock, hub, 8)
        assert not leases[holder].is_held() and leases[holder].holder() is None
        await advance(clock, hub, 8)
        assert leases[other].is_held() and leases["w"].holder() == other
        assert leases[other].token() > token
        hub.heal(holder)
        await advance(clock, hub, 5)
        assert leases[holder].holder() == other and not leases[holder].is_held()
        stops[other].set()
        await advance(clock, hub, 5)
        assert leases[holder].is_held(), "a holder that ends gives the lease back at once"
        for stop in stops.values():
            stop.set()
        await advance(clock, hub, 3)
        await asyncio.gather(*tasks)

    asyncio.run(play())


def card(name: str, address: str = "10.0.0.1", instance: str = "1") -> NodeCard:
    return NodeCard(
        name=name, instance=instance, type="worker", version="4.14.7", address=address, joined_at=1.0
    )


def test_cards_show_who_is_alive_and_a_name_is_taken_once() -> None:
    async def play() -> None:
        clock = FakeClock()
        hub = Hub(clock)
        one, two = (
            Presence(hub.link("one"), clock, card("one")),
            Presence(hub.link("two"), clock, card("two")),
        )
        stop, stop_two = Stop(), Stop()
        tasks = [start(one.run(stop), name="one"), start(two.run(stop_two), name="two")]
        await advance(clock, hub, 4)
        assert [each.name for each in one.nodes()] == ["one", "two"] and one.is_live("two")
        two.change(agents=7)
        await advance(clock, hub, 4)
        assert [each.agents for each in one.nodes()] == [0, 7]
        thief = Presence(hub.link("two"), clock, card("two", "10.0.0.9", "2"))
        stealing = start(thief.run(Stop()), name="thief")
        await advance(clock, hub, 4)
        assert thief.refusal == "the node name 'two' is already in use by 10.0.0.1"
        await asyncio.gather(stealing, return_exceptions=True)
        hub.cut("two")
        await advance(clock, hub, 13)
        assert not one.is_live("two")
        stop.set()
        stop_two.set()
        await advance(clock, hub, 3)
        await asyncio.gather(*tasks)

    asyncio.run(play())
