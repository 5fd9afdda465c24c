"""Every file that the agent owns: key, counters, shared files, positions, state.

Source: spec/agent-channel.md 1 (files), 2.7, 3.6, 4.4, 6.5.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from garrison.agent.bundle import BUNDLE, Unpacked, surplus
from garrison.agent.tail import Position, decode_positions, encode_positions
from garrison.ground.errors import StoreError
from garrison.ground.files import write_atomic
from garrison.wire.client_keys import KeyEntry, decode_key_file, encode_key_file
from garrison.wire.counters import START, Counters, decode_counters, encode_counters

MAX_TEXT_BYTES = 4 * 1024 * 1024


class AgentStore:
    """The files below one home folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.client_keys = home / "etc/client.keys"
        self.shared = home / "etc/shared"
        self.state = home / "var/run/wazuh-agentd.state"
        self.positions = home / "queue/logcollector/positions.json"
        self.counters = home / "queue/rids/sender_counter"

    def make_folders(self) -> None:
        """Every folder that the agent writes to is there."""
        for path in (self.client_keys, self.state, self.positions, self.counters):
            path.parent.mkdir(parents=True, exist_ok=True)
        for folder in (self.shared, self.home / "logs", self.home / "queue/sockets"):
            folder.mkdir(parents=True, exist_ok=True)

    # Identity

    def read_key(self) -> KeyEntry | None:
        """The agent's entry: the first one of client.keys."""
        text = read_text(self.client_keys)
        if text is None:
            return None
        entries = decode_key_file(text, str(self.client_keys)).entries
        return entries[0] if entries else None

    def write_key(self, entry: KeyEntry) -> None:
        """client.keys holds exactly `entry`, readable by owner and group."""
        write_atomic(self.client_keys, encode_key_file([entry]).encode(), 0o640)

    # Shared files

    def shared_sums(self) -> tuple[str | None, str | None]:
        """MD5 of agent.conf and of merged.mg, None for what is not there."""
        return _md5(self.shared / "agent.conf"), _md5(self.shared / BUNDLE)

    def shared_file(self, name: str) -> str | None:
        """The text of etc/shared/`name`."""
        return read_text(self.shared / name)

    def store_shared(self, name: str, content: bytes) -> None:
        """etc/shared/`name` (a plain, checked name) holds `content`."""
        self._make_way(name)
        write_atomic(self.shared / name, content, 0o640)

    def remove_shared(self, name: str) -> None:
        """Nothing of that plain name is in etc/shared."""
        path = self.shared / name
        if path.is_symlink() or path.is_file():
            path.unlink()

    def apply_bundle(self, content: bytes, bundle: Unpacked) -> None:
        """etc/shared holds exactly the files of `bundle` and `content` as merged.mg.

        merged.mg is written last: its sum is what the manager is told, so an interrupted unpacking is
        repaired by the next push.
        """
        self.remove_shared(BUNDLE)
        for path, data in bundle.files.items():
            self._make_way(path)
            write_atomic(self.shared / path, data, 0o640, durable=False)
        for path in surplus(self._present(), bundle):
            (self.shared / path).unlink()
        self._drop_empty_folders()
        write_atomic(self.shared / BUNDLE, content, 0o640)

    def _make_way(self, relative: str) -> None:
        """The folders of `relative` are real folders, and nothing but a file is in its place."""
        folder = self.shared
        for part in relative.split("/")[:-1]:
            folder = folder / part
            if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
                folder.unlink()
            folder.mkdir(exist_ok=True)
        path = self.shared / relative
        if path.is_dir() and not path.is_symlink():
            _remove_tree(path)

    def _present(self) -> list[str]:
        present = []
        for folder, _, names in os.walk(self.shared):
            present += [str((Path(folder) / name).relative_to(self.shared)) for name in names]
        for folder, names, _ in os.walk(self.shared):
            links = [Path(folder) / name for name in names if (Path(folder) / name).is_symlink()]
            present += [str(link.relative_to(self.shared)) for link in links]
        return present

    def _drop_empty_folders(self) -> None:
        for folder, _, _ in os.walk(self.shared, topdown=False):
            path = Path(folder)
            if path != self.shared and not any(path.iterdir()):
                path.rmdir()

    # Positions and state

    def load_positions(self) -> list[Position]:
        """Where collecting stood. Raises `StoreError` for a file that is not ours or is broken."""
        try:
            text = self.positions.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(str(self.positions), error.strerror or str(error)) from error
        try:
            return decode_positions(text)
        except (ValueError, RecursionError) as error:
            raise StoreError(str(self.positions), f"not readable: {error}") from error

    def save_positions(self, positions: list[Position]) -> None:
        """Keeps where collecting stands, over a kill and a power cut."""
        write_atomic(self.positions, encode_positions(positions), 0o640)

    def write_state(self, text: bytes) -> None:
        """Replaces the state file by rename."""
        write_atomic(self.state, text, 0o640, durable=False)

    def remove_state(self) -> None:
        """A regular exit leaves no state file."""
        self.state.unlink(missing_ok=True)


class CounterFile:
    """The counters of sent messages, kept after every message so that no pair is ever used twice."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._inode = 0
        self._counters = START
        self.failure = ""

    def next(self) -> Counters:
        """The pair for the next message, on disk already; `failure` says when the disk did not take it."""
        try:
            descriptor = self._open()
            self._counters = self._counters.next()
            os.pwrite(descriptor, encode_counters(self._counters).encode(), 0)
            self.failure = ""
        except OSError as error:
            self._counters = self._counters.next()
            self.failure = f"{self._path}: {error.strerror}: the message counters are not kept"
        return self._counters

    def close(self) -> None:
        """Lets go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is not None and self._is_same_file():
            return self._descriptor
        self.close()
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._descriptor, self._inode = descriptor, os.fstat(descriptor).st_ino
        self._counters = decode_counters(os.pread(descriptor, 64, 0).decode("latin-1"))
        return descriptor

    def _is_same_file(self) -> bool:
        try:
            return os.stat(self._path).st_ino == self._inode
        except FileNotFoundError:
            return False


def read_text(path: Path) -> str | None:
    """The text of a small file, None when it is not there. Raises `StoreError`."""
    try:
        with path.open("rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            return file.read(MAX_TEXT_BYTES).decode("utf-8", "surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(str(path), error.strerror or str(error)) from error


def _md5(path: Path) -> str | None:
    try:
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    except OSError:
        return None


def _remove_tree(folder: Path) -> None:
    for entry in list(folder.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            _remove_tree(entry)
        else:
            entry.unlink()
    folder.rmdir()
