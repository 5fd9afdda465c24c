"""The shared files on this node's disk: read with care, written whole, never outside the home.

Hashes are kept while a file's size, inode, modification and change time stay the same, so that a round over an
unchanged tree costs one `stat` a file.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from garrison.ground.errors import StoreError
from garrison.ground.files import write_atomic
from garrison.shared.manifest import FILES, FOLDERS, MOST_FILE_BYTES, Item, kind_of

Signature = tuple[int, int, int, int]


class LocalStore:
    """The catalogue's files below one home folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, tuple[Signature, Item]] = {}
        self.too_large: set[str] = set()

    def tree(self) -> dict[str, Item]:
        """Every shareable file that lies on the disk now. Links and other special files are not followed."""
        found: dict[str, Item] = {}
        self.too_large = set()
        for folder in FOLDERS:
            self._walk(folder, found)
        for path in FILES:
            self._take(path, found)
        self._known = {path: known for path, known in self._known.items() if path in found}
        return found

    def _walk(self, folder: str, found: dict[str, Item]) -> None:
        try:
            with os.scandir(self._root / folder) as entries:
                names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreError(str(self._root / folder), error.strerror or str(error)) from error
        for name, is_folder in names:
            path = f"{folder}/{name}"
            if is_folder and not name.startswith("."):
                self._walk(path, found)
            elif not is_folder:
                self._take(path, found)

    def _take(self, path: str, found: dict[str, Item]) -> None:
        if kind_of(path) is None:
            return
        try:
            status = os.lstat(self._root / path)
        except FileNotFoundError:
            return
        if not stat.S_ISREG(status.st_mode):
            return
        if status.st_size > MOST_FILE_BYTES:
            self.too_large.add(path)
            return
        signature = (status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        known = self._known.get(path)
        if known is None or known[0] != signature:
            try:
                known = (signature, item_of(self.read(path)))
            except StoreError:
                return  # it went away between the two looks: the next round sees the truth
            self._known[path] = known
        found[path] = known[1]

    def read(self, path: str) -> bytes:
        """The content of one shared file."""
        try:
            descriptor = os.open(self._root / path, os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(descriptor, "rb") as file:
                return file.read(MOST_FILE_BYTES + 1)
        except OSError as error:
            raise StoreError(str(self._root / path), error.strerror or str(error)) from error

    def write(self, path: str, content: bytes) -> None:
        """`path` holds `content`, as a whole. A path outside the catalogue or behind a link is refused."""
        target = self._checked(path)
        try:
            target.parent.mkdir(mode=0o770, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(str(target.parent), error.strerror or str(error)) from error
        write_atomic(target, content, 0o640 if path in FILES else 0o660)

    def delete(self, path: str) -> None:
        """The file is gone, and so are folders that it leaves empty below its group."""
        target = self._checked(path)
        try:
            target.unlink(missing_ok=True)
            folder = target.parent
            while str(folder.relative_to(self._root)) not in {*FOLDERS, "etc"}:
                (folder / "merged.mg").unlink(missing_ok=True)
                folder.rmdir()
                folder = folder.parent
        except OSError as error:
            if not isinstance(error, FileNotFoundError) and target.exists():
                raise StoreError(str(target), error.strerror or str(error)) from error

    def _checked(self, path: str) -> Path:
        if kind_of(path) is None:
            raise StoreError(path, "not a path that may be shared")
        folder = self._root
        for part in path.split("/")[:-1]:
            folder = folder / part
            if folder.is_symlink():
                raise StoreError(str(folder), "is a link; shared files are not written through links")
        return self._root / path

    def group_folders(self) -> dict[str, dict[str, bytes]]:
        """Every group's files by group name: what bundles are made of."""
        groups: dict[str, dict[str, bytes]] = {}
        base = self._root / "etc/shared"
        if not base.is_dir():
            return groups
        for entry in sorted(base.iterdir()):
            if entry.is_dir() and not entry.is_symlink() and not entry.name.startswith("."):
                groups[entry.name] = {}
        for path in self.tree():
            group, _, rest = path.removeprefix("etc/shared/").partition("/")
            if path.startswith("etc/shared/") and rest and group in groups:
                groups[group][rest] = self.read(path)
        return groups


def item_of(content: bytes) -> Item:
    """Digest and size of a content."""
    return Item(digest=hashlib.sha256(content).hexdigest(), size=len(content))
