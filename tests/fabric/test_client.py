"""The real link on a real engine, where the contract alone does not show a fault: loss, expiry, failure, size."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from garrison.fabric.client import EngineLink
from garrison.fabric.link import Bucket, CaughtUp, Entry, Removed
from garrison.ground.clock import SystemClock
from garrison.ground.entropy import SystemEntropy
from garrison.ground.errors import EngineAway, FabricError, GarrisonError
from garrison.ground.tasks import Stop, start
from tests.support.engine import Member, engines, linked
from tests.support.wait import until

pytestmark = pytest.mark.engine


class Watching:
    """Collects what a watch gives."""

    def __init__(self, bucket: Bucket) -> None:
        self.seen: list[Any] = []
        self._stop = Stop()
        self._task = start(self._follow(bucket), name="watching")

    async def _follow(self, bucket: Bucket) -> None:
        async for change in bucket.watch(self._stop):
            self.seen.append(change)

    def has(self, key: str, kind: type = Entry) -> bool:
        return any(isinstance(change, kind) and getattr(change, "key", "") == key for change in self.seen)

    async def end(self) -> None:
        self._stop.set()
        await asyncio.wait_for(self._task, 5)


def test_an_entry_that_runs_out_is_told_while_others_keep_changing(tmp_path: Path) -> None:
    """A node that dies in a large cluster: the others' cards never leave a quiet moment."""

    async def play() -> None:
        async with engines(tmp_path) as members, linked(members[0], "one") as link:
            bucket = await link.bucket("nodes", ttl_s=2)
            watching = Watching(bucket)
            await until(lambda: CaughtUp() in watching.seen)
            await bucket.put("dead", b"1")
            until_s = time.monotonic() + 8
            while not watching.has("dead", Removed) and time.monotonic() < until_s:
                await bucket.put("alive", b"1")
                await asyncio.sleep(0.02)
            assert watching.has("dead", Removed) and not watching.has("alive", Removed)
            assert await bucket.get("dead") is None
            assert [entry.key for entry in await bucket.entries()] == ["alive"]
            assert await bucket.create("dead", b"again") > 0
            await watching.end()

    asyncio.run(play())


def test_a_connection_that_the_engine_ends_with_an_error_is_made_again(tmp_path: Path) -> None:
    async def play() -> None:
        async with engines(tmp_path) as members, linked(members[0], "one") as link:
            bucket = await link.bucket("agents")
            watching = Watching(bucket)
            await until(lambda: CaughtUp() in watching.seen)
            link.client()._transport.write(b"NONSENSE\r\n")
            await until(lambda: not link.is_connected())
            await until(link.is_connected, within_s=10)
            await bucket.put("after", b"1")
            await until(lambda: watching.has("after"))
            await watching.end()

    asyncio.run(play())


def test_subscriptions_begin_before_the_engine_and_survive_it(tmp_path: Path) -> None:
    async def play() -> None:
        async with engines(tmp_path) as members, linked(members[0], "one") as link:
            late = make_link(members[0], "late")
            stop, stop_listening = Stop(), Stop()
            heard: list[bytes] = []

            async def listen() -> None:
                async for _, data in late.subscribe("seen.>", stop_listening):
                    heard.append(data)

            listening = start(listen(), name="listen")
            running = start(late.run(stop), name="late")
            await until(lambda: said(link, b"1", heard))
            os.kill(members[0].engine.pid() or 0, signal.SIGKILL)
            await until(lambda: not link.is_connected() and not late.is_connected())
            await until(lambda: said(link, b"2", heard), within_s=20)
            stop_listening.set()
            await asyncio.wait_for(listening, 5)
            stop.set()
            await asyncio.wait_for(running, 5)

    asyncio.run(play())


async def said(link: EngineLink, word: bytes, heard: list[bytes]) -> bool:
    try:
        await link.publish("seen.x", word)
    except EngineAway:
        pass
    return word in heard


def make_link(member: Member, name: str) -> EngineLink:
    return EngineLink(
        name,
        [member.settings.bind_address],
        member.settings.port,
        member.files,
        replicas=1,
        clock=SystemClock(),
        entropy=SystemEntropy(),
    )


def test_a_caller_hears_at_once_that_the_answer_failed_or_that_too_many_ask(tmp_path: Path) -> None:
    async def play() -> None:
        async with (
            engines(tmp_path) as members,
            linked(members[0], "one") as one,
            linked(members[0], "two") as two,
        ):
            release = asyncio.Event()

            async def fail(_: bytes) -> bytes:
                raise ZeroDivisionError("a secret of the other node")

            async def wait(_: bytes) -> bytes:
                await release.wait()
                return b"done"

            two.serve("fail", fail)
            two.serve("wait", wait)
            began = time.monotonic()
            with pytest.raises(FabricError) as failure:
                await one.call("two", "fail", b"", 20)
            assert "secret" not in str(failure.value)
            asking = [start(one.call("two", "wait", b"", 20), name="ask") for _ in range(400)]
            refused = await until(lambda: [task for task in asking if task.done()])
            assert isinstance(refused[0].exception(), GarrisonError)
            assert time.monotonic() - began < 10
            release.set()
            answers = await asyncio.gather(*asking, return_exceptions=True)
            assert answers.count(b"done") + two.refused_calls == 400

    asyncio.run(play())


def test_the_longest_value_and_a_long_file_fit(tmp_path: Path) -> None:
    async def play() -> None:
        async with engines(tmp_path) as members, linked(members[0], "one") as link:
            bucket = await link.bucket("agents")
            longest = os.urandom(1 << 20)
            await bucket.put("long", longest)
            entry = await bucket.get("long")
            assert entry is not None and entry.value == longest
            with pytest.raises(FabricError):
                await bucket.put("long", longest + b"x")
            store = await link.files("shared")
            content = os.urandom(24 << 20)
            assert await store.get(await store.put(content)) == content

    asyncio.run(play())
