"""Counters of sent and received messages: protection against replay. Pure.

A sender has one pair (global, local) for all of its peers; `local` runs 1 to 9997. The pair is kept on disk as
`G:L:` at offset 0 without truncation, so a reader takes the first two numbers.
Source: spec/agent-channel.md 3.6; vectors counters.json.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

LOCAL_END = 9997
_WRAP = 1 << 32
_PAIR = re.compile(r"(\d{1,10}):(\d{1,10}):")


class Counters(NamedTuple):
    """One pair; compares as replay protection does: global first."""

    global_: int
    local: int

    def next(self) -> Counters:
        """The pair of the message after this one."""
        if self.local >= LOCAL_END:
            return Counters((self.global_ + 1) % _WRAP, 1)
        return Counters(self.global_, self.local + 1)


START = Counters(0, 0)
"""What a sender that never sent anything goes on from."""


class Verdict(Enum):
    """What a receiver that checks counters says to a pair."""

    ACCEPT = "accept"
    DUPLICATE = "duplicate"
    OLDER = "older"


def decode_counters(text: str) -> Counters:
    """The pair that a counter file holds; START for anything unreadable."""
    match = _PAIR.match(text)
    return Counters(int(match[1]) % _WRAP, int(match[2])) if match else START


def encode_counters(counters: Counters) -> str:
    """The pair as it is written at offset 0 of the counter file."""
    return f"{counters.global_}:{counters.local}:"


def judge(stored: Counters | None, received: Counters) -> Verdict:
    """Whether `received` is newer than the last pair; DUPLICATE within the same global, OLDER below it."""
    if stored is None or received > stored:
        return Verdict.ACCEPT
    return Verdict.DUPLICATE if received.global_ == stored.global_ else Verdict.OLDER
