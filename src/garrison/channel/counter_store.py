"""The counters of what this node sends, kept over restarts.

The reference writes its file after every message. Here a block of messages is claimed ahead: the file holds the pair at
the end of the block, so a node that dies in the middle goes on behind it. Counters may skip, they never repeat.
Source: spec/agent-channel.md 3.6.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

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
        try:
            return decode_counters(self._path.read_text("ascii", "replace"))
        except FileNotFoundError:
            return START

    def _claim(self) -> None:
        self._left = BLOCK
        end = self._pair
        for _ in range(BLOCK):
            end = end.next()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o640)
            try:
                os.pwrite(descriptor, encode_counters(end).encode(), 0)
            finally:
                os.close(descriptor)
        except OSError as error:
            log.error(
                "(1103): Could not open file '%s' due to [(%s)-(%s)].",
                self._path,
                error.errno,
                error.strerror,
            )
