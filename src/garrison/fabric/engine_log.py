"""What the engine's log lines mean for an operator. Pure.

    [7109] 2026/11/25 05:10:50.442346 [ERR] 127.0.0.1:40448 - rid:13 - TLS route handshake error: remote ...

Most lines say nothing to an operator and give None. Peers choose parts of some lines: what is taken from a
line is an address, and nothing else.
Source: nats-server 2.15, observed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What happened."""

    READY = "the engine takes connections"
    FOREIGN_KEY = "TLS handshake refused: another cluster key or cluster name"
    NOT_A_NODE = "TLS handshake refused: not a node of any cluster"
    SAME_NAME = "another engine member has the same node name"
    DISK = "the engine cannot write to its disk"
    FAILED = "the engine cannot start"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvent:
    """One thing worth telling; `peer` is the other side's address without port, empty where there is none."""

    kind: Kind
    peer: str = ""
    detail: str = ""


_LINE = re.compile(r"\[\d+\] \S+ \S+ \[(?P<level>[A-Z]{3})\] (?P<text>.*)")
_HANDSHAKE = re.compile(
    r"(?:\[?(?P<peer>[0-9A-Za-z.:%-]+?)\]?:\d+ - [a-z]id:\d+ - )?TLS (?:\w+ )?handshake error: (?P<why>.*)"
)
_FOREIGN = re.compile(r"unknown (certificate )?authority|bad certificate|unknown ca|certificate required")
_DISK = re.compile(
    r"no space left on device|read-only file system|permission denied|input/output error", re.I
)


def read_line(line: str) -> LogEvent | None:
    """What `line` tells an operator; None for nothing."""
    if line.startswith("nats-server: "):
        return LogEvent(kind=Kind.FAILED, detail=line.removeprefix("nats-server: ")[:300])
    match = _LINE.match(line)
    if match is None:
        return None
    level, text = match["level"], match["text"]
    if handshake := _HANDSHAKE.match(text):
        kind = Kind.FOREIGN_KEY if _FOREIGN.search(handshake["why"]) else Kind.NOT_A_NODE
        return LogEvent(kind=kind, peer=handshake["peer"] or "")
    if level == "INF":
        return LogEvent(kind=Kind.READY) if text == "Server is ready" else None
    if "duplicate server name" in text.lower() or "duplicate name" in text.lower():
        return LogEvent(kind=Kind.SAME_NAME)
    if level in ("ERR", "FTL", "WRN") and _DISK.search(text):
        return LogEvent(kind=Kind.DISK, detail=text[:300])
    return LogEvent(kind=Kind.FAILED, detail=text[:300]) if level == "FTL" else None
