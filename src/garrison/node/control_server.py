"""The control socket: the tools on this host ask, the node answers. One JSON line there, one back, then closed.

Only those who may enter the home folder reach it (mode 0660). A question is bounded in size and time; a command is one
of a declared table; arguments are plain JSON values that each command checks itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from garrison.ground.errors import EngineAway, FabricError, GarrisonError, Refused
from garrison.ground.log import printable
from garrison.ground.tasks import Stop
from garrison.ground.unix_path import reachable

log = logging.getLogger(__name__)

MOST_QUESTION_BYTES = 64 * 1024
QUESTION_WITHIN_S = 10.0

Command = Callable[[Mapping[str, Any]], Awaitable[Any]]


class ControlServer:
    """Serves `commands` on a Unix socket below the home folder."""

    def __init__(self, path: Path, commands: Mapping[str, Command]) -> None:
        self._path = path
        self._commands = commands

    async def run(self, stop: Stop) -> None:
        """Listens until `stop`; the socket file is gone afterwards."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        server = await self._listen()
        try:
            async with server:
                await stop.wait()
        finally:
            self._path.unlink(missing_ok=True)

    async def _listen(self) -> asyncio.Server:
        mask = os.umask(0o117)
        try:
            with reachable(self._path) as name:
                return await asyncio.start_unix_server(self._serve, name, limit=MOST_QUESTION_BYTES)
        finally:
            os.umask(mask)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(QUESTION_WITHIN_S):
                question = await reader.readline()
            writer.write(await answer(question, self._commands))
            await writer.drain()
        except (TimeoutError, ValueError, ConnectionError) as error:
            log.debug("control connection ended: %s", error)
        finally:
            writer.close()


async def answer(question: bytes, commands: Mapping[str, Command]) -> bytes:
    """The line that answers `question`: `{"data": ...}` or `{"error": {"code", "message"}}`."""
    try:
        name, arguments = decode_question(question)
        command = commands.get(name)
        if command is None:
            raise Refused(f"unknown command '{printable(name, 40)}'", 1000)
        outcome: dict[str, Any] = {"data": await command(arguments)}
    except Refused as error:
        outcome = {"error": {"code": error.code, "message": error.message}}
    except EngineAway as error:
        outcome = {"error": {"code": 3023, "message": f"The cluster engine is away: {error}"}}
    except FabricError as error:
        outcome = {"error": {"code": 3018, "message": f"Error sending request: {error}"}}
    except GarrisonError as error:
        outcome = {"error": {"code": 1000, "message": str(error)}}
    return json.dumps(outcome, separators=(",", ":")).encode() + b"\n"


def decode_question(question: bytes) -> tuple[str, Mapping[str, Any]]:
    """Command and arguments of a question; `Refused` for anything that is not one."""
    try:
        fields = json.loads(question)
    except ValueError as error:
        raise Refused("the question is not JSON", 1000) from error
    if not isinstance(fields, dict) or not isinstance(fields.get("command"), str):
        raise Refused("the question has no command", 1000)
    arguments = fields.get("arguments", {})
    if not isinstance(arguments, dict):
        raise Refused("arguments are not an object", 1000)
    return fields["command"], arguments
