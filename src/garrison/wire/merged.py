"""merged.mg: the files of a group in one, as an agent receives them. Pure.

    "#" TAG "\\n"                                 TAG: the group's name, or the hash of a list of groups
    repeat: "!" SIZE " " PATH "\\n" CONTENT       exactly SIZE bytes

Source: spec/agent-channel.md 6.2, 6.4, 6.5; vectors merged-mg.json, multigroup.json.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence

from garrison.ground.errors import PeerError
from garrison.wire.control import PREFIX

CHUNK_BYTES = 900
MOST_PATH_BYTES = 200
AGENT_CONF = "agent.conf"

_HEADER = re.compile(rb"!(\d{1,10}) ([^\n]+)")


def is_bundled(path: str, content: bytes) -> bool:
    """True for a file that goes into a bundle: no hidden name, no bundle, no long path, no NUL inside."""
    name = path.rpartition("/")[2]
    return (
        not name.startswith((".", "merged.mg"))
        and len(path.encode()) <= MOST_PATH_BYTES
        and b"\0" not in content
        and "\n" not in path
    )


def encode_bundle(tag: str, files: Iterable[tuple[str, bytes]]) -> bytes:
    """The bundle of `files` in the order given; those that may not be bundled are left out."""
    parts = [f"#{tag}\n".encode()]
    for path, content in files:
        if is_bundled(path, content):
            parts += [f"!{len(content)} {path}\n".encode(), content]
    return b"".join(parts)


def decode_bundle(data: bytes) -> list[tuple[str, bytes]]:
    """(path, content) of every file; `PeerError` for a damaged bundle or a path that leaves its folder."""
    files: list[tuple[str, bytes]] = []
    place = 0
    while place < len(data):
        end = data.find(b"\n", place)
        line = data[place:] if end < 0 else data[place:end]
        place = len(data) if end < 0 else end + 1
        if not line.startswith(b"!"):
            continue
        header = _HEADER.fullmatch(line)
        if header is None:
            raise PeerError("bundle with a damaged header")
        size = int(header[1])
        if size > len(data) - place:
            raise PeerError("bundle is cut off")
        files.append((_checked_path(header[2]), data[place : place + size]))
        place += size
    return files


def _checked_path(raw: bytes) -> str:
    try:
        path = raw.decode()
    except UnicodeDecodeError as error:
        raise PeerError("bundle with an unreadable path") from error
    parts = path.split("/")
    if (
        any(part in ("", ".", "..") for part in parts)
        or "\0" in path
        or "\\" in path
        or len(raw) > MOST_PATH_BYTES
    ):
        raise PeerError("bundle with a path that leaves its folder")
    return path


def group_hash(groups: str) -> str:
    """The eight characters that stand for a comma list of groups."""
    return hashlib.sha256(groups.encode()).hexdigest()[:8]


def merge_groups(folders: Sequence[tuple[str, Mapping[str, bytes]]]) -> dict[str, bytes]:
    """The files of a list of groups: agent.conf pieces joined in order, of other names the last group's."""
    merged: dict[str, bytes] = {}
    for group, files in folders:
        for path, content in files.items():
            if path == AGENT_CONF:
                piece = f"<!-- Source file: {group}/{AGENT_CONF} -->\n".encode() + content
                merged[path] = merged.get(path, b"") + piece
            else:
                merged[path] = content
    return merged


def bundle_chunks(data: bytes) -> list[bytes]:
    """`data` in pieces of at most 900 bytes, none of which would be read as a control message."""
    chunks: list[bytes] = []
    place = 0
    while place < len(data):
        end = min(place + CHUNK_BYTES, len(data))
        while end < len(data) and data[end : end + len(PREFIX)] == PREFIX:
            end -= 1
        chunks.append(data[place:end])
        place = end
    return chunks
