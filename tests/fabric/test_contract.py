"""What `link` promises, held against the double in memory and against a real engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from garrison.fabric.link import CaughtUp, Entry, Link, NodeAway, Removed
from garrison.ground.errors import FabricError, KeyTaken, Refused, WrongRevision
from garrison.ground.tasks import Stop, start
from tests.support.engine import engines, linked
from tests.support.memory_fabric import Hub
from tests.support.wait import until

Pair = tuple[Link, Link]


@asynccontextmanager
async def in_memory(folder: Path) -> AsyncIterator[Pair]:
    hub = Hub()
    yield hub.link("one"), hub.link("two")


@asynccontextmanager
async def on_an_engine(folder: Path) -> AsyncIterator[Pair]:
    async with engines(folder) as members, linked(members[0], "one") as one, linked(members[0], "two") as two:
        yield one, two


async def table(links: Pair) -> None:
    one, two = links
    bucket, other = await one.bucket("agents"), await two.bucket("agents")
    assert await bucket.get("agent.001") is None
    revision = await bucket.create("agent.001", b"first")
    with pytest.raises(KeyTaken):
        await other.create("agent.001", b"second")
    assert await other.get("agent.001") == Entry(key="agent.001", value=b"first", revision=revision)
    newer = await other.update("agent.001", b"changed", revision)
    assert newer > revision
    with pytest.raises(WrongRevision):
        await bucket.update("agent.001", b"late", revision)
    with pytest.raises(WrongRevision):
        await bucket.delete("agent.001", revision)
    for key in ("name.web 01", "path/with/..", "ä*>.", "x" * 200):
        await bucket.put(key, key.encode())
    assert {entry.key: entry.value for entry in await other.entries()} == {
        "agent.001": b"changed",
        **{key: key.encode() for key in ("name.web 01", "path/with/..", "ä*>.", "x" * 200)},
    }
    await bucket.delete("agent.001", newer)
    assert await other.get("agent.001") is None
    assert await other.create("agent.001", b"again") > newer
    for wrong in ("", "x" * 600):
        with pytest.raises(FabricError):
            await bucket.put(wrong, b"")


async def watching(links: Pair) -> None:
    one, two = links
    bucket = await one.bucket("agents")
    await bucket.put("a", b"1")
    await bucket.put("b", b"2")
    seen: list[Any] = []
    stop = Stop()

    async def follow() -> None:
        async for change in (await two.bucket("agents")).watch(stop):
            seen.append(change)

    task = start(follow(), name="follow")
    await until(lambda: CaughtUp() in seen)
    assert {change.key for change in seen[: seen.index(CaughtUp())]} == {"a", "b"}
    revision = await bucket.put("c", b"3")
    await until(lambda: seen[-1] == Entry(key="c", value=b"3", revision=revision))
    await bucket.delete("a")
    await until(lambda: isinstance(seen[-1], Removed) and seen[-1].key == "a")
    stop.set()
    await asyncio.wait_for(task, 10)


async def contents(links: Pair) -> None:
    one, two = links
    store = await one.files("shared")
    big = bytes(range(256)) * 4000
    digest = await store.put(big)
    assert await store.put(big) == digest
    assert await (await two.files("shared")).get(digest) == big
    await store.delete(digest)
    with pytest.raises(FabricError):
        await store.get(digest)


async def talking(links: Pair) -> None:
    one, two = links
    heard: list[tuple[str, bytes]] = []
    stop = Stop()

    async def listen() -> None:
        async for message in two.subscribe("status.*", stop):
            heard.append(message)

    task = start(listen(), name="listen")

    async def said() -> bool:
        await one.publish("status.seen", b"x")
        return bool(heard)

    await until(said)
    assert heard[0] == ("status.seen", b"x")
    stop.set()
    await asyncio.wait_for(task, 10)


async def calling(links: Pair) -> None:
    one, two = links

    async def double(data: bytes) -> bytes:
        if data == b"no":
            raise Refused("not that", 1701)
        return data * 2

    two.serve("double", double)
    assert await one.call("two", "double", b"ab", 5) == b"abab"
    with pytest.raises(Refused, match="not that") as refusal:
        await one.call("two", "double", b"no", 5)
    assert refusal.value.code == 1701
    with pytest.raises(Refused):
        await one.call("two", "__class__", b"", 5)
    with pytest.raises(NodeAway):
        await one.call("three", "double", b"", 1)


SCENES = [table, watching, contents, talking, calling]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_in_memory(scene: Callable[[Pair], Awaitable[None]], tmp_path: Path) -> None:
    async def play() -> None:
        async with in_memory(tmp_path) as links:
            await scene(links)

    asyncio.run(play())


@pytest.mark.engine
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_on_an_engine(scene: Callable[[Pair], Awaitable[None]], tmp_path: Path) -> None:
    async def play() -> None:
        async with on_an_engine(tmp_path) as links:
            await scene(links)

    asyncio.run(play())
