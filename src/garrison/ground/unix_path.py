"""Unix socket paths that are longer than the kernel takes.

A socket's address holds at most 107 bytes of path. A longer path is named through its open folder instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOST_BYTES = 107


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """A name by which `path` can be bound or connected to, valid inside the block; its folder must be there."""
    if len(os.fsencode(path)) <= MOST_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
