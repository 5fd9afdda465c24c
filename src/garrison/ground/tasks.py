"""Lifetimes of tasks: one `Stop` passed down, periodic work, back-off, and tasks that have an owner.

Source of the shape: a signal handler only sets the `Stop`; every loop watches it and ends by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from garrison.ground.clock import Clock
from garrison.ground.entropy import Entropy

log = logging.getLogger(__name__)


class Stop:
    """One-way switch from "running" to "please end"."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Asks everybody who holds this to end. Calling it again changes nothing."""
        self._event.set()

    def is_set(self) -> bool:
        """True once an end was asked for."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Returns when an end was asked for."""
        await self._event.wait()


async def pause(clock: Clock, seconds: float, stop: Stop) -> bool:
    """True when `seconds` went by, False when `stop` was set first."""
    sleeping = start(clock.sleep(seconds), name="pause.sleep")
    waiting = start(stop.wait(), name="pause.stop")
    try:
        await asyncio.wait({sleeping, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sleeping, waiting):
            task.cancel()
        await asyncio.gather(sleeping, waiting, return_exceptions=True)
    return not stop.is_set()


async def every(
    clock: Clock, interval_s: float, job: Callable[[], Awaitable[None]], stop: Stop, *, name: str
) -> None:
    """Runs `job` every `interval_s` seconds, counted from the end of a run, until `stop` is set.

    A job that fails is logged and tried again at its next turn: one bad round must not end a duty.
    """
    while await pause(clock, interval_s, stop):
        try:
            await job()
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("%s failed; next try in %s s", name, interval_s)


def start(work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
    """A running task whose owner is the caller: the caller keeps it, awaits it or cancels it."""
    return asyncio.get_running_loop().create_task(work, name=name)


class Brood:
    """Tasks that one owner starts and ends together; a task that fails is logged once, here."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Starts `work`; it ends by itself or with `end`."""
        task = start(work, name=f"{self._name}.{name}")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            log.error("task %s failed", task.get_name(), exc_info=failure)

    async def end(self) -> None:
        """Cancels what still runs and waits for it."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


class Backoff:
    """Growing pauses between attempts, with jitter so that a crowd does not come back as one."""

    def __init__(self, entropy: Entropy, *, first_s: float = 0.2, most_s: float = 10.0) -> None:
        self._entropy = entropy
        self._first_s = first_s
        self._most_s = most_s
        self._next_s = first_s

    def next_s(self) -> float:
        """The pause before the next attempt: between half and all of a span that doubles up to `most_s`."""
        span = self._next_s
        self._next_s = min(self._next_s * 2, self._most_s)
        return span / 2 + span / 2 * self._entropy.below(1000) / 1000

    def reset(self) -> None:
        """The last attempt worked: start small again."""
        self._next_s = self._first_s
