"""A clock that a test moves by hand, and a generator that gives the same numbers each time."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta


class FakeClock:
    """Stands still until `advance`; sleepers wake in the order of their deadlines."""

    def __init__(self, start: datetime = datetime(2026, 11, 25, 1, 51, 24, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        return self._elapsed

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._elapsed + seconds, waker))
        await waker

    async def advance(self, seconds: float) -> None:
        """Moves on by `seconds`, waking sleepers on the way and letting them run."""
        goal = self._elapsed + seconds
        await _settle()
        while True:
            self._sleepers = [(at, waker) for at, waker in self._sleepers if not waker.done()]
            due = sorted((pair for pair in self._sleepers if pair[0] <= goal), key=lambda pair: pair[0])
            if not due:
                break
            self._elapsed, waker = due[0]
            self._sleepers.remove(due[0])
            waker.set_result(None)
            await _settle()
        self._elapsed = goal
        await _settle()


async def _settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


class SeededEntropy:
    """The same bytes and numbers for the same seed."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)

    def below(self, bound: int) -> int:
        return self._random.randrange(bound)
