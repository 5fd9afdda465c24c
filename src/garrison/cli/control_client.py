"""Asks a running node through its control socket: one JSON line there, one back.

    {"command": "nodes", "arguments": {"names": []}}      ->  {"data": [...]}
                                                           or  {"error": {"code": 1730, "message": "..."}}

Every question has a time limit: no tool hangs.
"""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

from garrison.ground.errors import GarrisonError, Refused
from garrison.ground.unix_path import reachable

SOCKET = "queue/sockets/control"
MOST_ANSWER_BYTES = 256 * 1024 * 1024


class NotRunning(GarrisonError):
    """No node answers in this home."""


def find_home(argument: str | None = None) -> Path:
    """The home folder: `--home`, then GARRISON_HOME, then the folder above this tool's `bin/`, then here."""
    if argument:
        return Path(argument).resolve()
    if home := os.environ.get("GARRISON_HOME"):
        return Path(home).resolve()
    return Path.cwd()


def ask(home: Path, command: str, arguments: dict[str, Any] | None = None, *, timeout_s: float = 20.0) -> Any:
    """The data of the node's answer; `Refused` with code and message, or `NotRunning`."""
    question = json.dumps({"command": command, "arguments": arguments or {}}).encode() + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(timeout_s)
            with reachable(home / SOCKET) as name:
                link.connect(name)
            link.sendall(question)
            answer = _read_line(link)
    except TimeoutError as error:
        raise Refused(f"the node did not answer within {timeout_s:g} s", 3021) from error
    except OSError as error:
        raise NotRunning(f"no node answers at {home / SOCKET}: {error.strerror or error}") from error
    return _data_of(answer)


def _read_line(link: socket.socket) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := link.recv(1 << 16):
        parts.append(part)
        size += len(part)
        if part.endswith(b"\n") or size > MOST_ANSWER_BYTES:
            break
    return b"".join(parts)


def _data_of(answer: bytes) -> Any:
    try:
        fields = json.loads(answer)
    except ValueError as error:
        raise NotRunning("the node closed the connection without an answer") from error
    if "error" in fields:
        raise Refused(str(fields["error"]["message"]), int(fields["error"]["code"]))
    return fields["data"]
