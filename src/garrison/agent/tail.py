"""From the bytes of a growing file to lines, and where reading stands. Pure.

A line is everything up to `\\n`; `\\r` stays, empty lines count, a line that holds NUL is dropped, an
incomplete last line waits for its newline. A line longer than MAX_LINE_BYTES is cut there and the rest of
it is skipped. Each line carries the offset behind its newline: the place to go on from once it is sent.

    offset 0            committed          read
    |  sent, taken      |  read, waiting   |  not read yet
Source: spec/agent-channel.md 8.4; captures/event-long-lines.json, event-kinds.json.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass

MAX_LINE_BYTES = 65278
MOST_FILES = 1000
"""Most files that one agent follows."""
SAMPLE_CHARS = 64
"""How much of an over-long line the log shows."""
HEAD_BYTES = 256
"""How much of a file's start tells it from another file that got the same inode."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its newline; `end` is the file offset behind it; `was_cut` when it was too long."""

    text: bytes
    end: int
    was_cut: bool = False


class Splitter:
    """Cuts a stream of file content into lines, holding at most one line of MAX_LINE_BYTES + 1 bytes."""

    def __init__(self, offset: int) -> None:
        self._offset = offset
        self._partial = bytearray()

    @property
    def offset(self) -> int:
        """Where the next byte to feed stands in the file."""
        return self._offset

    @property
    def holds_partial(self) -> bool:
        """True when a line without its newline waits."""
        return bool(self._partial)

    def feed(self, data: bytes) -> list[Line]:
        """The lines that `data`, the content at `offset`, completes."""
        lines: list[Line] = []
        start = 0
        while (newline := data.find(b"\n", start)) >= 0:
            self._keep(data[start:newline])
            lines.append(self._complete(self._offset + newline + 1))
            start = newline + 1
        self._keep(data[start:])
        self._offset += len(data)
        return [line for line in lines if b"\0" not in line.text]

    def finish(self) -> list[Line]:
        """The last line of a file that will not grow any more, although it has no newline."""
        if not self._partial:
            return []
        line = self._complete(self._offset)
        return [] if b"\0" in line.text else [line]

    def _keep(self, piece: bytes) -> None:
        left = MAX_LINE_BYTES + 1 - len(self._partial)
        self._partial += piece[:left]

    def _complete(self, end: int) -> Line:
        was_cut = len(self._partial) > MAX_LINE_BYTES
        line = Line(bytes(self._partial[:MAX_LINE_BYTES]), end, was_cut)
        self._partial.clear()
        return line


def too_long_text(path: str, line: Line) -> str:
    """What the log says of a line that was cut (the length told is where the reference stops counting)."""
    sample = line.text[:SAMPLE_CHARS].decode("utf-8", "replace")
    return f"Large message size from file '{path}' (length = {MAX_LINE_BYTES + 1}): '{sample}'..."


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far one file was sent. Found again by inode and by what it begins with, not by its name alone."""

    path: str
    device: int
    inode: int
    offset: int
    head_bytes: int
    head_sha1: str


def position(path: str, device: int, inode: int, offset: int, head: bytes) -> Position:
    """Where `path` stands; `head` is what the file begins with (only what lies before `offset` is used)."""
    known = head[: min(HEAD_BYTES, offset)]
    return Position(
        path=path,
        device=device,
        inode=inode,
        offset=offset,
        head_bytes=len(known),
        head_sha1=hashlib.sha1(known, usedforsecurity=False).hexdigest(),
    )


def is_continued_by(saved: Position, *, device: int, inode: int, size: int, head: bytes) -> bool:
    """True when the file at hand is the one of `saved`, grown or unchanged."""
    if (saved.device, saved.inode) != (device, inode) or size < saved.offset:
        return False
    known = head[: saved.head_bytes]
    return hashlib.sha1(known, usedforsecurity=False).hexdigest() == saved.head_sha1


def encode_positions(positions: Iterable[Position]) -> bytes:
    """The text of queue/logcollector/positions.json; the order of entries of one path is kept."""
    entries = [
        {
            "path": one.path,
            "device": one.device,
            "inode": one.inode,
            "offset": one.offset,
            "head_bytes": one.head_bytes,
            "head_sha1": one.head_sha1,
        }
        for one in positions
    ]
    return json.dumps({"version": 1, "files": entries}, indent=1).encode()


def decode_positions(text: bytes) -> list[Position]:
    """The positions of a file that `encode_positions` wrote. Raises ValueError when it is another one."""
    value = json.loads(text)
    if not isinstance(value, dict) or value.get("version") != 1 or not isinstance(value.get("files"), list):
        raise ValueError("not a list of positions")
    return [_decode_entry(entry) for entry in value["files"]]


def _decode_entry(entry: object) -> Position:
    if not isinstance(entry, dict):
        raise ValueError("a position is not an object")
    numbers = {name: entry.get(name) for name in ("device", "inode", "offset", "head_bytes")}
    if not all(type(number) is int and number >= 0 for number in numbers.values()):
        raise ValueError("a position holds a wrong number")
    path, head_sha1 = entry.get("path"), entry.get("head_sha1")
    if not isinstance(path, str) or not isinstance(head_sha1, str):
        raise ValueError("a position holds a wrong text")
    return Position(path=path, head_sha1=head_sha1, **{k: int(str(v)) for k, v in numbers.items()})


_DIRECTIVE = re.compile(r"%[A-Za-z%]")
_MAGIC = re.compile(r"[*?\[]")


def expand_date(pattern: str, local_time: time.struct_time) -> str:
    """`pattern` with its strftime directives (`%Y`, `%m`, `%d`, …) filled in for `local_time`."""
    return _DIRECTIVE.sub(lambda match: time.strftime(match[0], local_time), pattern)


def is_glob(pattern: str) -> bool:
    """True when `pattern` can match several files."""
    return _MAGIC.search(pattern) is not None
