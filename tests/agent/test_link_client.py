"""The agent's line to its manager: what does not seal or open is told in known words."""

from __future__ import annotations

import asyncio
import socket
import zlib
from pathlib import Path

import pytest

from garrison.agent.client import Ears
from garrison.agent.commands import Log
from garrison.agent.link_client import Link
from garrison.agent.outgoing import Outgoing
from garrison.wire import agent_message
from garrison.wire.agent_message import Method
from garrison.wire.client_keys import KeyEntry
from garrison.wire.counters import Counters
from tests.agent.test_client import listener
from tests.support.clock import SeededEntropy

ENTRY = KeyEntry(id="001", name="web01", ip="any", key="a" * 64)
OTHER = KeyEntry(id="001", name="web01", ip="any", key="b" * 64)
EARS = Ears(envelope=lambda _: None, lost=lambda: None, oversize=lambda: None, writable=lambda: None)


def link(tmp_path: Path) -> tuple[Link, list[Log]]:
    told: list[Log] = []
    one = Link(tmp_path / "sender_counter", SeededEntropy(), told.append)
    one.use(ENTRY, "aes")
    told.clear()
    return one, told


def sealed(entry: KeyEntry, method: Method = Method.AES) -> bytes:
    return agent_message.seal(b"hello", agent_message.derive(entry), method, Counters(0, 1), 7)


@pytest.mark.parametrize("method", list(Method))
def test_both_ciphers_open(tmp_path: Path, method: Method) -> None:
    one, told = link(tmp_path)
    assert one.open(sealed(ENTRY, method)) == b"hello"
    assert told == []


def test_what_does_not_open(tmp_path: Path) -> None:
    one, told = link(tmp_path)
    assert one.open(sealed(OTHER)) is None
    assert one.open(b"junk") is None
    assert one.open(b"") is None
    assert [line.text[:6] for line in told] == ["(1404)", "(1403)", "(1403)"]
    assert told[0].text == (
        "(1404): Authentication error. Wrong key or corrupt payload. Message received from agent '001' at 'any'."
    )
    assert one.open(sealed(ENTRY)) == b"hello", "a broken envelope does not spoil the next"


def test_a_message_that_is_too_long_is_told_and_let_go(tmp_path: Path) -> None:
    async def play() -> None:
        one, told = link(tmp_path)
        listening = listener()
        opened = socket.create_connection(listening.getsockname())
        opened.setblocking(False)
        assert one.attach(opened, EARS) == "127.0.0.1"
        ends: list[int] = []

        class Source:
            def sent(self, end: int) -> None:
                ends.append(end)

        one.send(b"x" * 65409, Outgoing(b"", Source(), 9))
        assert [line.text for line in told] == [
            "Incorrect message size: 65409",
            "(1217): Error creating encrypted message.",
        ]
        assert ends == [9]
        assert one.sent == 0
        assert one.detach() == []
        assert one.detach() == []
        one.send(b"nobody is there")
        one.close()
        listening.close()

    asyncio.run(play())


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    one, told = link(tmp_path)
    bomb = zlib.compress(b"\0" * 50_000_000)
    plain = b"!" * (8 - len(bomb) % 8) + bomb
    pad = 16 - len(plain) % 16
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CBC

    encryptor = Cipher(AES(agent_message.derive(ENTRY).aes), CBC(b"FEDCBA0987654321")).encryptor()
    envelope = b"#AES:" + encryptor.update(plain + bytes([pad]) * pad)
    assert one.open(envelope) is None
    assert told[0].text.startswith("(2202): Error uncompressing string.")
