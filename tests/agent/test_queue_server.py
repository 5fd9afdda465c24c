"""The local queue: what is an event goes in, what is none stays out."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from garrison.agent.outgoing import Outgoing
from garrison.agent.queue_server import LocalQueue
from garrison.ground.errors import StoreError
from tests.support.wait import until


def test_datagrams_become_events(tmp_path: Path) -> None:
    async def play() -> None:
        offered: list[Outgoing] = []
        path = tmp_path / "queue"
        path.write_text("left behind by a killed agent")
        one = LocalQueue(path, lambda item: offered.append(item) is None)
        one.open()
        assert path.stat().st_mode & 0o777 == 0o660
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(str(path))
            for datagram in (b"", b"1:a", b"xyz:w", b"1:only a queue", b"1:app:text: more", b"8:syscheck:{}"):
                sender.send(datagram)
            await until(lambda: len(offered) == 2)
        assert [item.message for item in offered] == [b"1:app:text: more", b"8:syscheck:{}"]
        assert all(item.source is None for item in offered)
        one.close()
        one.close()
        assert not path.exists()

    asyncio.run(play())


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    async def play() -> None:
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(StoreError):
            LocalQueue(tmp_path / "nosuch/queue", lambda _: True).open()
        assert len(os.listdir("/proc/self/fd")) == before

    asyncio.run(play())
