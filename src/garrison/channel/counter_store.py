"""The counters of what this node sends, and of what agents sent where that is checked; kept over restarts.

The reference writes its file after every message it sends. Here a block of messages is claimed ahead: the file holds
the pair at the end of the block, so a node that dies in the middle goes on behind it. Counters may skip, they never
repeat. Pairs of agents are written each second.
Source: spec/agent-channel.md 3.6.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from garrison.ground.errors import StoreError
from garrison.wire.counters import START, Counters, decode_counters, encode_counters

BLOCK = 2000

log = logging.getLogger(__name__)


class CounterStore:
    """Gives the pair of each next message."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pair = self._read()
        self._left = 0

    def next(self) -> Counters:
        """The next pair; claims a new block on disk when the last one is used up."""
        if self._left == 0:
            self._claim()
        self._left -= 1
        self._pair = self._pair.next()
        return self._pair

    def _read(self) -> Counters:
        return _read(self._path) or START

    def _claim(self) -> None:
        self._left = BLOCK
        end = self._pair
        for _ in range(BLOCK):
            end = end.next()
        _write(self._path, end)


class ReceivedStore:
    """The last pair of each agent, for `remoted.verify_msg_id`: what was heard once is not heard again, over whichever
    connection it comes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pairs: dict[str, Counters] = {}
        self._unwritten: set[str] = set()

    def last(self, identity: str) -> Counters | None:
        """The agent's pair; None before its first message."""
        if identity not in self._pairs and (pair := _read(self._folder / identity)) is not None:
            self._pairs[identity] = pair
        return self._pairs.get(identity)

    def note(self, identity: str, pair: Counters) -> None:
        """The agent sent a message with this pair."""
        if self._pairs.get(identity) != pair:
            self._pairs[identity] = pair
            self._unwritten.add(identity)

    def forget(self, identity: str) -> None:
        """The agent was removed; its id may come again, with a new key."""
        self._pairs.pop(identity, None)
        self._unwritten.discard(identity)
        (self._folder / identity).unlink(missing_ok=True)

    def flush(self) -> None:
        """Writes what changed."""
        unwritten, self._unwritten = self._unwritten, set()
        for identity in unwritten:
            _write(self._folder / identity, self._pairs[identity])


def _read(path: Path) -> Counters | None:
    try:
        return decode_counters(path.read_text("ascii", "replace"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(str(path), error.strerror or str(error)) from error


def _write(path: Path, pair: Counters) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o640)
        try:
            os.pwrite(descriptor, encode_counters(pair).encode(), 0)
        finally:
            os.close(descriptor)
    except OSError as error:
        log.error("(1103): Could not open file '%s' due to [(%s)-(%s)].", path, error.errno, error.strerror)
