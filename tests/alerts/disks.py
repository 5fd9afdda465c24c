"""Disks that fail: full after so many bytes, or writing only a part at a time."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from garrison.alerts.store import SystemDisk


class FragileDisk(SystemDisk):
    """Writes at most `most_bytes` a call and, once `free_bytes` are used up, nothing."""

    def __init__(self, *, free_bytes: int = 1 << 40, most_bytes: int = 1 << 30) -> None:
        self.free_bytes = free_bytes
        self.most_bytes = most_bytes
        self.can_open = True
        self.writes = 0
        self.syncs = 0

    def open(self, path: Path) -> int:
        if not self.can_open:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().open(path)

    def write(self, descriptor: int, data: memoryview) -> int:
        if self.free_bytes <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.writes += 1
        done = super().write(descriptor, data[: min(self.free_bytes, self.most_bytes)])
        self.free_bytes -= done
        return done

    def sync(self, descriptor: int) -> None:
        self.syncs += 1
