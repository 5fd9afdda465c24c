"""`client.keys`: who may connect, one line an agent. Pure.

    001 web01 any 7f1c...64 hex...7e6f        ID NAME IP KEY, one space between fields
    003 !old-agent any 1111...                a removed entry: `!` or `#` in front of the name
    # comment                                 `#` or a blank in column 1: skipped

Source: spec/agent-channel.md 2.4, 2.7; vectors client-keys.json, key-derivation.json.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from garrison.ground.errors import Fault

MOST_LINE_BYTES = 2047

_LINE = re.compile(r"(?P<id>\S+) (?P<name>\S+) (?P<ip>\S+) (?P<key>.+)")
_LEADING_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEntry:
    """One agent's identity. `ip` is `any`, an address or a network; `key` is the raw text of the file."""

    id: str
    name: str
    ip: str
    key: str = field(repr=False)

    def line(self) -> str:
        """The entry as it stands in the file, without the newline."""
        return f"{self.id} {self.name} {self.ip} {self.key}"

    def hash(self) -> str:
        """What an agent that has this key sends as `K:`: SHA-1 in hex of id, name and key."""
        text = f"{self.id}{self.name}{self.key}".encode()
        return hashlib.sha1(text, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFile:
    """A whole file: live and removed entries in its order, the highest id seen, and the lines that are broken."""

    entries: tuple[KeyEntry, ...]
    removed: tuple[KeyEntry, ...]
    highest_id: int
    faults: tuple[Fault, ...]


def decode_key_line(line: str) -> KeyEntry | None:
    """The entry of one line, removed ones included (their mark stays in front of the name); None when broken."""
    match = _LINE.fullmatch(line)
    if match is None or not match["id"].isascii() or not match["id"].isdigit() or len(line) > MOST_LINE_BYTES:
        return None
    return KeyEntry(id=match["id"], name=match["name"], ip=match["ip"], key=match["key"])


def decode_key_file(text: str, path: str = "client.keys") -> KeyFile:
    """All entries of `text`; broken lines become faults that name their line."""
    entries: list[KeyEntry] = []
    removed: list[KeyEntry] = []
    faults: list[Fault] = []
    highest = 0
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        if not line or line[0] in "# ":
            continue
        if (digits := _LEADING_DIGITS.match(line)) and len(digits.group()) <= 8:
            highest = max(highest, int(digits.group()))
        entry = decode_key_line(line)
        if entry is None:
            faults.append(
                Fault(
                    path=path,
                    line=number,
                    found="not a key line",
                    expected="ID NAME IP KEY, one space between",
                )
            )
        else:
            (removed if entry.name[0] in "!#" else entries).append(entry)
    return KeyFile(entries=tuple(entries), removed=tuple(removed), highest_id=highest, faults=tuple(faults))


def encode_key_file(entries: Iterable[KeyEntry], removed: Iterable[KeyEntry] = ()) -> str:
    """Live entries, then removed ones, each with its newline."""
    return "".join(f"{entry.line()}\n" for entry in (*entries, *removed))


def next_id(highest: int) -> str:
    """The id after `highest`: at least three digits."""
    return f"{highest + 1:03d}"
