"""`queue/sockets/logtest`: one request a connection, a length before each JSON.

    | length, u32 little-endian | JSON |     there, and the same back

The ruleset is read afresh for each new session, so edits show without a restart; a ruleset whose texts are unchanged
is compiled once. Source: spec/analysis-3-outputs.md 8.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from garrison.alerts.json_text import encode_json
from garrison.analysis.compile import compile_program
from garrison.analysis.program import Program
from garrison.analysis.source import Source
from garrison.ground.clock import Clock
from garrison.ground.entropy import Entropy
from garrison.ground.errors import ConfigError, RuleError
from garrison.ground.tasks import Stop, every
from garrison.ground.unix_path import reachable
from garrison.node import logtest
from garrison.node.logtest import BadRequest, Process, Remove, Sessions

log = logging.getLogger(__name__)

LENGTH_BYTES = 4
REQUEST_WITHIN_S = 10.0
MOST_WAITING = 64
SOCKET_MODE_MASK = 0o117


class LogTestServer:
    """Serves the log test of one node. `read` gives the texts of the configured ruleset as they are on disk now."""

    def __init__(
        self, path: Path, sessions: Sessions, read: Callable[[], Source], clock: Clock, entropy: Entropy
    ) -> None:
        self._path = path
        self._sessions = sessions
        self._read = read
        self._clock = clock
        self._entropy = entropy
        self._compiled: tuple[Source, Program] | None = None
        self._loading = asyncio.Lock()
        self._waiting = 0

    async def run(self, stop: Stop, sweep_every_s: float) -> None:
        """Listens until `stop`; the socket file is gone afterwards."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        mask = os.umask(SOCKET_MODE_MASK)
        try:
            with reachable(self._path) as name:
                server = await asyncio.start_unix_server(self._serve, name, limit=logtest.MOST_REQUEST_BYTES)
        finally:
            os.umask(mask)
        try:
            async with server:
                await every(self._clock, sweep_every_s, self._sweep, stop, name="log test sweep")
        finally:
            self._path.unlink(missing_ok=True)

    async def _sweep(self) -> None:
        self._sessions.sweep(self._clock.monotonic())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._waiting >= MOST_WAITING:
            writer.close()
            return
        self._waiting += 1
        try:
            reply = await self._reply_to(reader)
            if reply is not None:
                text = encode_json(reply)
                writer.write(len(text).to_bytes(LENGTH_BYTES, "little") + text)
                async with asyncio.timeout(REQUEST_WITHIN_S):
                    await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError) as error:
            log.debug("log test connection ended: %s", error)
        finally:
            self._waiting -= 1
            writer.close()

    async def _reply_to(self, reader: asyncio.StreamReader) -> dict[str, Any] | None:
        async with asyncio.timeout(REQUEST_WITHIN_S):
            length = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "little")
            if length == 0:
                return None
            if length > logtest.MOST_REQUEST_BYTES:
                return logtest.too_long()
            text = await reader.readexactly(length)
        try:
            return await self.answer(logtest.read_request(text))
        except BadRequest as error:
            return logtest.failure(error.code, error.message)

    async def answer(self, request: Process | Remove) -> dict[str, Any]:
        """The reply to a request that is in order."""
        if isinstance(request, Remove):
            return self._sessions.remove(request.token)
        session = self._sessions.find(request.token)
        warnings = list(request.token_warnings)
        if session is None:
            if request.token is not None:
                warnings.append(f"WARNING: (7003): '{request.token}' token expires")
            try:
                program = await self._program()
            except (RuleError, ConfigError) as error:
                return logtest.not_loaded(error.faults, warnings)
            session = self._sessions.open(self._new_token(), program, warnings, self._clock.monotonic())
        at = self._clock.now().timestamp()
        return self._sessions.process(session, request, self._clock.monotonic(), at)

    def _new_token(self) -> str:
        while True:
            token = self._entropy.bytes(logtest.TOKEN_CHARACTERS // 2).hex()
            if self._sessions.find(token) is None:
                return token

    async def _program(self) -> Program:
        async with self._loading:
            source = await asyncio.to_thread(self._read)
            if self._compiled is None or self._compiled[0] != source:
                self._compiled = (source, await asyncio.to_thread(compile_program, source))
            return self._compiled[1]
