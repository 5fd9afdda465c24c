"""Which files are shared, and who has to do what about a difference. Pure.

The truth is the manifest in the engine: path -> digest. Each node compares three things for every path:

    base     what this node last had in common with the truth (kept over restarts)
    local    what lies on its disk now
    truth    what the manifest says now

On the master, a path whose local content left the base was edited there: it is published. Everywhere else, and
for paths nobody edited here, the truth is written to disk. A path on the wire is checked against the catalogue on
both ends: nothing outside it is ever read or written (spec/cluster.md 9.2, security classes T3).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from garrison.ground.errors import PeerError

FOLDERS = {"etc/shared": "groups", "etc/rules": "rules", "etc/decoders": "decoders", "etc/lists": "lists"}
"""Folder below the home -> kind of change that is announced when something in it changes."""

FILES = {"etc/authd.pass": "password"}

COMPLETE = "complete"
"""Key in the manifest's bucket: some master has published its whole tree once."""

MOST_PATH_BYTES = 400
MOST_FILE_BYTES = 32 * 1024 * 1024

_PART = re.compile(r"[A-Za-z0-9_@+=,:;!()\[\]{}~#%$&'^ -][A-Za-z0-9_.@+=,:;!()\[\]{}~#%$&'^ -]{0,199}")
_GENERATED = re.compile(r"merged\.mg.*|.*\.(swp|swx|tmp|cdb)|.*~")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One shared file as content: SHA-256 in hex and size in bytes."""

    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Publish:
    """The master's disk holds a newer content: it becomes the truth."""

    path: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """The master's disk lost the file: it is taken from the truth."""

    path: str


@dataclass(frozen=True, slots=True)
class Write:
    """The truth goes to this disk. `edited` says that somebody's edit here is put back by it."""

    path: str
    item: Item
    edited: bool


@dataclass(frozen=True, slots=True)
class Delete:
    """The file is not in the truth and goes from this disk. `edited` as in `Write`: it was made here."""

    path: str
    edited: bool


Step = Publish | Withdraw | Write | Delete
Tree = Mapping[str, Item]


def kind_of(path: str) -> str | None:
    """`groups`, `rules`, `decoders`, `lists` or `password` for a path that may be shared; None for any other.

    A path that may be shared is relative, below a folder of the catalogue, of plain parts that do not start with
    a dot; generated bundles and editors' leavings are not shared.
    """
    if path in FILES:
        return FILES[path]
    for folder, kind in FOLDERS.items():
        if path.startswith(folder + "/") and _is_plain(path[len(folder) + 1 :]):
            return kind
    return None


def _is_plain(rest: str) -> bool:
    if len(rest.encode("utf-8", "surrogatepass")) > MOST_PATH_BYTES:
        return False
    parts = rest.split("/")
    return all(_PART.fullmatch(part) for part in parts) and not _GENERATED.fullmatch(parts[-1])


def plan(base: Tree, local: Tree, truth: Tree, *, is_master: bool, is_complete: bool) -> list[Step]:
    """What this node has to do so that disk and truth agree, sorted by path.

    `is_complete` is False until some master has published its whole tree: until then a master publishes all it
    has and nobody deletes anything.
    """
    steps: list[Step] = []
    for path in sorted({*local, *truth, *base}):
        step = _step(path, base.get(path), local.get(path), truth.get(path), is_master, is_complete)
        if step is not None:
            steps.append(step)
    return steps


def _step(
    path: str, base: Item | None, here: Item | None, there: Item | None, is_master: bool, is_complete: bool
) -> Step | None:
    if here == there:
        return None
    edited_here = here != base
    if is_master and edited_here and (base is not None or there is None):
        return Publish(path) if here is not None else Withdraw(path)
    if there is not None:
        return Write(path, there, edited=base is not None and edited_here)
    if is_complete:
        return Delete(path, edited=edited_here)
    return None


def encode_item(item: Item) -> bytes:
    """The manifest's entry for one path."""
    return json.dumps({"digest": item.digest, "size": item.size}, separators=(",", ":")).encode()


def decode_item(value: bytes) -> Item:
    """The item of a manifest entry; `PeerError` for anything else."""
    try:
        fields: Any = json.loads(value)
        item = Item(digest=fields["digest"], size=fields["size"])
    except (ValueError, KeyError, TypeError) as error:
        raise PeerError("manifest entry is not an item") from error
    digest_is_right = isinstance(item.digest, str) and re.fullmatch(r"[0-9a-f]{64}", item.digest)
    if not digest_is_right or type(item.size) is not int or not 0 <= item.size <= MOST_FILE_BYTES:
        raise PeerError("manifest entry out of range")
    return item


def encode_tree(tree: Tree) -> bytes:
    """A whole tree as text, for the base kept on disk."""
    return json.dumps({path: [item.digest, item.size] for path, item in sorted(tree.items())}).encode()


def decode_tree(text: bytes) -> dict[str, Item]:
    """The tree of `encode_tree`; empty where the text is damaged, which only makes this node compare anew."""
    try:
        fields: Any = json.loads(text)
        return {
            path: Item(digest=str(digest), size=int(size))
            for path, (digest, size) in fields.items()
            if kind_of(path)
        }
    except (ValueError, TypeError, AttributeError):
        return {}
