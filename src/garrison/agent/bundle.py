"""A file that the manager pushes, from its announcement to the files on disk. Pure.

    #!-up file MD5 merged.mg\\n        begin
    CHUNK … CHUNK                      clear messages; other known control messages may come in between
    #!-close file                      the sum is compared before a byte of it is used

Only `merged.mg` is unpacked; afterwards etc/shared holds exactly what the bundle names. A manager is not
trusted with anything outside that folder: a name with a way out of it is refused.
Source: spec/agent-channel.md 6.2, 6.5; vectors agent-receive.json.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from garrison.agent.commands import Command, Log, RemoveFile, StoreFile, UnpackBundle
from garrison.ground.errors import PeerError
from garrison.ground.log import printable
from garrison.wire.merged import decode_bundle

BUNDLE = "merged.mg"
MAX_BUNDLE_BYTES = 64 * 1024 * 1024
"""More than any group folder in the field; a manager that sends more is broken or hostile."""
MAX_NAME_CHARS = 200
MAX_FILES = 10_000


class Transfer:
    """The one transfer that may be open on a connection."""

    def __init__(self) -> None:
        self._name: str | None = None
        self._md5 = ""
        self._received = bytearray()
        self._told_stray = False

    @property
    def is_open(self) -> bool:
        return self._name is not None

    def begin(self, md5: str, name: str) -> list[Command]:
        """The manager announces a file; a transfer that was open is forgotten."""
        self.abort()
        plain = plain_name(name)
        if plain is None:
            shown = printable(name)
            return [
                Log("WARNING", f"Invalid file '{shown}', vulnerable to directory traversal attack. Ignoring.")
            ]
        self._name, self._md5 = plain, md5
        return []

    def chunk(self, data: bytes) -> list[Command]:
        """A clear message: the next piece of the open file, or a stray one, told once until the next order."""
        if self._name is None:
            return self._stray()
        if len(self._received) + len(data) > MAX_BUNDLE_BYTES:
            name = self._name
            self.abort()
            text = f"File '{name}' from the manager is larger than {MAX_BUNDLE_BYTES} bytes. Ignoring."
            return [Log("WARNING", text)]
        self._received += data
        return []

    def end(self) -> list[Command]:
        """The manager says that all was sent: use it when the sum is right, leave nothing behind when not."""
        name, content, md5 = self._name, bytes(self._received), self._md5
        self.abort()
        if name is None:
            return []
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5.lower():
            text = f"File '{name}' from the manager arrived damaged: its sum differs."
            return [RemoveFile(name), Log("WARNING", text)]
        return [UnpackBundle(content)] if name == BUNDLE else [StoreFile(name, content)]

    def abort(self) -> None:
        """Whatever was received is forgotten."""
        self._name = None
        self._received = bytearray()

    def control_seen(self) -> None:
        """A control message came: a stray clear message may be told again."""
        self._told_stray = False

    def _stray(self) -> list[Command]:
        if self._told_stray:
            return []
        self._told_stray = True
        return [Log("WARNING", "Unknown message received. No action defined.")]


def plain_name(name: str) -> str | None:
    """`name` as a file directly in etc/shared (`/` and a leading `.` become `-`); None when it is refused."""
    if ".." in name or not name or len(name) > MAX_NAME_CHARS or not name.isprintable():
        return None
    flat = name.replace("/", "-").replace("\\", "-")
    return "-" + flat[1:] if flat.startswith(".") else flat


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """A bundle's files: relative path → content, every path inside etc/shared."""

    files: dict[str, bytes]

    @property
    def agent_conf(self) -> bytes | None:
        return self.files.get("agent.conf")


def unpack(content: bytes) -> Unpacked:
    """The files of a bundle whose sum was right. Raises `PeerError` when it is malformed or reaches outside."""
    files: dict[str, bytes] = {}
    for path, data in decode_bundle(content):
        if not is_inside(path):
            raise PeerError("a path in the bundle leads out of the shared folder")
        if path == BUNDLE:
            raise PeerError("the bundle holds itself")
        if len(files) >= MAX_FILES:
            raise PeerError("the bundle holds too many files")
        files[path] = data
    folders = {path[:at] for path in files for at, char in enumerate(path) if char == "/"}
    if folders & files.keys():
        raise PeerError("a path in the bundle is both a file and a folder")
    return Unpacked(files=files)


def is_inside(path: str) -> bool:
    """True when the relative `path` names a file below the shared folder and nothing else."""
    parts = path.split("/")
    return (
        bool(path)
        and len(path) <= MAX_NAME_CHARS
        and path.isprintable()
        and "\\" not in path
        and all(part and not part.startswith(".") for part in parts)
    )


def surplus(present: Iterable[str], bundle: Unpacked) -> list[str]:
    """Which of the files `present` in etc/shared (relative paths) have to go after unpacking `bundle`."""
    return sorted(path for path in present if path != BUNDLE and path not in bundle.files)
