"""Whom `logtest` asks: a running node through its socket, or the same sessions in this process.

Source: spec/analysis-3-outputs.md 8.1, 8.2.
"""

from __future__ import annotations

import json
import secrets
import socket
import time
from pathlib import Path
from typing import Any, Protocol

from garrison.alerts.attack_load import shown_mitre
from garrison.alerts.json_text import encode_json
from garrison.alerts.record import Context
from garrison.analysis.program import Program
from garrison.config.model import RuleTestConfig
from garrison.ground.errors import GarrisonError
from garrison.ground.unix_path import reachable
from garrison.node import logtest

SOCKET = "queue/sockets/logtest"
REPLY_WITHIN_S = 60.0
MOST_REPLY_BYTES = 64 * 1024 * 1024
LOCAL = Context(manager_name="manager", cluster_name="wazuh", node_name="node01", mitre=shown_mitre)


class NoNode(GarrisonError):
    """Nobody answers at the socket."""


class Asker(Protocol):
    """Somebody who answers requests of the log test."""

    def ask(self, command: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """The reply; `NoNode` when nobody answers."""
        ...


class NodeAsker:
    """The node that runs in a home."""

    def __init__(self, home: Path) -> None:
        self._path = home / SOCKET

    def is_there(self) -> bool:
        """True when something listens."""
        try:
            self._connected().close()
        except OSError:
            return False
        return True

    def _connected(self) -> socket.socket:
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        link.settimeout(REPLY_WITHIN_S)
        try:
            with reachable(self._path) as name:
                link.connect(name)
        except OSError:
            link.close()
            raise
        return link

    def ask(self, command: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """The node's reply."""
        request = {
            "version": 1,
            "origin": {"name": "wazuh-logtest", "module": "wazuh-logtest"},
            "command": command,
            "parameters": parameters,
        }
        text = encode_json(request)
        try:
            with self._connected() as link:
                link.sendall(len(text).to_bytes(4, "little") + text)
                reply: dict[str, Any] = json.loads(
                    _read(link, int.from_bytes(_read(link, 4), "little")).decode("utf-8", "surrogateescape")
                )
                return reply
        except (OSError, ValueError) as error:
            raise NoNode(f"no answer at {self._path}: {error}") from error


def _read(link: socket.socket, size: int) -> bytes:
    if size > MOST_REPLY_BYTES:
        raise ValueError(f"a reply of {size} bytes")
    parts: list[bytes] = []
    while size:
        part = link.recv(min(size, 1 << 16))
        if not part:
            raise ValueError("the reply is cut short")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


class LocalAsker:
    """A program in this process; it has the one session that a conversation needs."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._sessions = logtest.Sessions(RuleTestConfig(), b"manager", LOCAL)

    def ask(self, command: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """The reply."""
        try:
            request = logtest.read_request(encode_json({"command": command, "parameters": parameters}))
        except logtest.BadRequest as error:
            return logtest.failure(error.code, error.message)
        if isinstance(request, logtest.Remove):
            return self._sessions.remove(request.token)
        now = time.monotonic()
        session = self._sessions.find(request.token)
        if session is None:
            session = self._sessions.open(secrets.token_hex(4), self._program, (), now)
        return self._sessions.process(session, request, now, time.time())
