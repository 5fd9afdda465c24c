"""Active responses: which program the manager's order means, and what the program is told. Pure.

    #!-execd {"version":1,"origin":{…},"command":"firewall-drop600","parameters":{"extra_args":[],"alert":{…}}} …

The command must stand in etc/shared/ar.conf (`NAME - EXECUTABLE - TIMEOUT`), or be `!EXECUTABLE`; the
executable is a plain name in active-response/bin. It is started without a shell and without arguments; the
order goes to its standard input as one JSON line. `restart-wazuh0` and its like mean the agent itself.
Source: spec/agent-channel.md 6.3, 7.2; captures orders-tcp.json (active_response_program_stdin).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_TIMEOUT_S = 7 * 24 * 3600
_EXECUTABLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_RESTARTS = frozenset({"restart-wazuh0", "restart-ossec0", "restart-wazuh"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of ar.conf."""

    name: str
    executable: str
    timeout_s: int


def decode_table(text: str) -> list[Entry]:
    """The active responses of an ar.conf, in order; lines of another shape are left out."""
    entries = []
    for line in text.splitlines():
        parts = line.strip().split(" - ")
        if len(parts) != 3 or not is_plain_executable(parts[1]):
            continue
        if parts[2].isascii() and parts[2].isdigit() and len(parts[2]) <= 9:
            timeout_s = min(int(parts[2]), MAX_TIMEOUT_S)
            entries.append(Entry(name=parts[0], executable=parts[1], timeout_s=timeout_s))
    return entries


def is_plain_executable(name: str) -> bool:
    """True when `name` can only mean a file directly in active-response/bin."""
    return _EXECUTABLE.fullmatch(name) is not None and ".." not in name


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An active response, checked: the whole object, its command, its parameters."""

    value: Mapping[str, Any]
    command: str

    @property
    def is_restart(self) -> bool:
        """True when the agent itself is meant."""
        return self.command in _RESTARTS


def decode_order(payload: bytes) -> Order | None:
    """The order in what the manager sent (text behind the closing brace is ignored); None when it is none.

    The text form that managers send to agents before 4.2 is not accepted.
    """
    try:
        value, _ = json.JSONDecoder().raw_decode(payload.decode("utf-8", "replace").lstrip())
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or value.get("version") != 1:
        return None
    command, parameters = value.get("command"), value.get("parameters")
    if not isinstance(command, str) or not command or not isinstance(parameters, dict):
        return None
    origin = value.get("origin", {})
    return Order(value=value, command=command) if isinstance(origin, dict) else None


def candidates(order: Order, table: Sequence[Entry]) -> list[Entry]:
    """The programs that `order` may mean, best first; empty when its command is not allowed."""
    if order.command.startswith("!"):
        name = order.command[1:]
        return [Entry(name=order.command, executable=name, timeout_s=0)] if is_plain_executable(name) else []
    return [entry for entry in table if entry.name == order.command]


def program_input(order: Order, command: str, program: str) -> bytes:
    """The JSON line for a program's standard input; `command` is add, continue, abort or delete."""
    origin = order.value.get("origin", {})
    parameters = order.value["parameters"]
    value = {
        "version": 1,
        "origin": {"name": origin.get("name", ""), "module": "wazuh-execd"},
        "command": command,
        "parameters": {
            "extra_args": parameters.get("extra_args", []),
            "alert": parameters.get("alert", {}),
            "program": program,
        },
    }
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def decode_keys(line: bytes) -> tuple[str, ...] | None:
    """The keys of a program's `check_keys` line, by which a response at work is known; None for another line."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or value.get("command") != "check_keys":
        return None
    parameters = value.get("parameters")
    keys = parameters.get("keys") if isinstance(parameters, dict) else None
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        return None
    return tuple(keys)
