"""A node that gives prepared answers on its control socket, for tests of the tools."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from garrison.cli.control_client import SOCKET
from garrison.ground.tasks import Stop
from garrison.node.control_server import ControlServer
from tests.support.wait import until


@contextmanager
def answering(home: Path, answers: Mapping[str, Any]) -> Iterator[list[tuple[str, Mapping[str, Any]]]]:
    """Answers until the block ends; a prepared exception is raised. The list holds what was asked."""
    asked: list[tuple[str, Mapping[str, Any]]] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stops: list[Stop] = []

    def command(name: str) -> Any:
        async def answer(arguments: Mapping[str, Any]) -> Any:
            asked.append((name, arguments))
            prepared = answers[name]
            if callable(prepared):
                prepared = prepared(arguments)
            if isinstance(prepared, Exception):
                raise prepared
            return prepared

        return answer

    async def live() -> None:
        stop = Stop()
        stops.append(stop)
        server = ControlServer(home / SOCKET, {name: command(name) for name in answers})
        running = asyncio.get_running_loop().create_task(server.run(stop))
        await until((home / SOCKET).exists)
        ready.set()
        await running

    thread = threading.Thread(target=lambda: loop.run_until_complete(live()))
    thread.start()
    assert ready.wait(10)
    try:
        yield asked
    finally:
        loop.call_soon_threadsafe(stops[0].set)
        thread.join(10)
        loop.close()
