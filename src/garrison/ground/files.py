"""Files that are whole or not there: written aside, synced, renamed.

A full disk or a kill leaves the old content in place; no reader ever sees half a file.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from garrison.ground.errors import StoreError

_SERIAL = itertools.count()


def write_atomic(path: Path, content: bytes, mode: int = 0o640, *, durable: bool = True) -> None:
    """`path` holds exactly `content` afterwards, or what it held before and a `StoreError` is raised."""
    aside = path.with_name(f".{path.name}.{os.getpid()}-{next(_SERIAL)}.tmp")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
        try:
            _write_all(descriptor, content)
            os.fchmod(descriptor, mode)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        aside.replace(path)
        if durable:
            _sync_folder(path.parent)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise StoreError(str(path), error.strerror or str(error)) from error


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
