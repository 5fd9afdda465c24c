"""From lines to event texts, one class per `log_format`. Pure.

| log_format | text |
|---|---|
| syslog, generic, snort-fast, apache, iis, squid, syslog-pipe | the line |
| json | the object re-printed compactly, `<label>` values added at the end; other lines are dropped |
| multi-line:N | N lines joined by a space |

`command` and `full_command` are made by `command_texts`. Every other format is refused by name when the
agent starts: nothing is collected under a promise that is not kept.
Source: spec/agent-channel.md 8.4; captures/event-kinds.json.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from garrison.agent.tail import MAX_LINE_BYTES, Line

PLAIN = frozenset({"syslog", "generic", "snort-fast", "apache", "iis", "squid", "syslog-pipe"})
COMMANDS = frozenset({"command", "full_command"})
MAX_LINES = 1000
"""Most lines that `multi-line:N` may join."""
_MULTI_LINE = re.compile(r"multi-line:\s*([0-9]{1,6})")


@dataclass(frozen=True, slots=True)
class Text:
    """One event's text; `end` is the file offset behind the last line that went into it."""

    text: bytes
    end: int


class Format(Protocol):
    """Collects the lines of one file; a new one is made when the file is a new one."""

    def feed(self, line: Line) -> list[Text]:
        """The texts that `line` completes."""
        ...

    def finish(self) -> list[Text]:
        """What is left when no line will follow."""
        ...


class PlainFormat:
    """A line is an event."""

    def feed(self, line: Line) -> list[Text]:
        return [Text(line.text, line.end)]

    def finish(self) -> list[Text]:
        return []


@dataclass(slots=True)
class JsonFormat:
    """An object a line; `labels` are added behind its own members."""

    labels: Mapping[str, str] = field(default_factory=dict)

    def feed(self, line: Line) -> list[Text]:
        try:
            value = json.loads(line.text.decode("utf-8", "surrogateescape"), parse_constant=_no_number)
        except (ValueError, RecursionError):
            return []
        if not isinstance(value, dict):
            return []
        text = json.dumps(value | dict(self.labels), ensure_ascii=False, separators=(",", ":"))
        return [Text(text.encode("utf-8", "surrogateescape")[:MAX_LINE_BYTES], line.end)]

    def finish(self) -> list[Text]:
        return []


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


class MultiLineFormat:
    """`count` lines make one event, joined by a space."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._lines: list[bytes] = []
        self._end = 0

    def feed(self, line: Line) -> list[Text]:
        self._lines.append(line.text)
        self._end = line.end
        return self.finish() if len(self._lines) == self._count else []

    def finish(self) -> list[Text]:
        if not self._lines:
            return []
        text = b" ".join(self._lines)[:MAX_LINE_BYTES]
        self._lines.clear()
        return [Text(text, self._end)]


def make_format(log_format: str, labels: Mapping[str, str]) -> Format | None:
    """A collector for `log_format`, None when this agent has none."""
    if log_format in PLAIN:
        return PlainFormat()
    if log_format == "json":
        return JsonFormat(labels)
    if (match := _MULTI_LINE.fullmatch(log_format)) and 1 <= int(match[1]) <= MAX_LINES:
        return MultiLineFormat(int(match[1]))
    return None


def command_texts(log_format: str, name: str, output: bytes) -> list[bytes]:
    """The events that a command's `output` makes; `name` is its alias or the command itself."""
    shown = name.encode("utf-8", "surrogateescape")
    lines = output.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    if log_format == "command":
        return [b"ossec: output: '%b': %b" % (shown, line[:MAX_LINE_BYTES]) for line in lines]
    kept = b"\n".join(line for line in lines if line)
    return [b"ossec: output: '%b':\n%b" % (shown, kept[:MAX_LINE_BYTES])] if kept else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What `out_format` may name besides the line itself."""

    location: str
    hostname: str
    timestamp: str
    command: str = ""


_VARIABLE = re.compile(rb"\$\(([a-z_]+)\)")


def apply_out_format(pattern: str, text: bytes, place: Place) -> bytes:
    """`text` wrapped in `pattern`; a variable that is not known stays as it is written."""
    values: dict[bytes, bytes] = {
        b"log": text,
        b"output": text,
        b"json_escaped_log": json.dumps(text.decode("utf-8", "replace"), ensure_ascii=False)[1:-1].encode(),
        b"base64_log": base64.b64encode(text),
        b"location": place.location.encode("utf-8", "surrogateescape"),
        b"hostname": place.hostname.encode("utf-8", "replace"),
        b"timestamp": place.timestamp.encode(),
        b"command": place.command.encode("utf-8", "surrogateescape"),
    }
    return _VARIABLE.sub(lambda match: values.get(match[1], match[0]), pattern.encode())[:MAX_LINE_BYTES]
