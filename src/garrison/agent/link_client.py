"""The agent's line to its manager: its key, its counters, and whatever connection is open.

Source: spec/agent-channel.md 3, 9.2.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from garrison.agent.client import Connection, Ears
from garrison.agent.commands import Log
from garrison.agent.outgoing import Outgoing
from garrison.agent.store import CounterFile
from garrison.ground.entropy import Entropy
from garrison.ground.errors import PeerError
from garrison.wire.address import is_single_ipv4
from garrison.wire.agent_message import Method, OpenFailure, derive, open_envelope, seal
from garrison.wire.client_keys import KeyEntry


class Link:
    """Seals and opens for one agent, on one connection after the other."""

    def __init__(self, counters: Path, entropy: Entropy, tell: Callable[[Log], None]) -> None:
        self._counters = CounterFile(counters)
        self._entropy = entropy
        self._tell = tell
        self._told_counters = False
        self._entry: KeyEntry | None = None
        self._method = Method.AES
        self._connection: Connection | None = None
        self.sent = 0
        """Messages sent since the start."""

    def use(self, entry: KeyEntry, crypto_method: str) -> None:
        """Seals with this key from now on, opens with it whatever comes."""
        self._entry = entry
        self._key = derive(entry)
        self._method = Method.BLOWFISH if crypto_method == "blowfish" else Method.AES
        self._prefix = None if is_single_ipv4(entry.ip) else entry.id
        name = "Blowfish" if self._method is Method.BLOWFISH else "AES"
        self._tell(Log("INFO", f"Using {name} as encryption method."))

    def attach(self, opened: socket.socket, ears: Ears) -> str | None:
        """The connection from now on; our own address on it."""
        assert self._connection is None, "the old one is closed first: it may hold events"
        self._connection = Connection(opened, ears)
        return self._connection.local_ip

    def detach(self) -> list[Outgoing]:
        """Closes the connection, if there is one; the events that the manager has not taken."""
        if self._connection is None:
            return []
        untaken = self._connection.close()
        self._connection = None
        return untaken

    def close(self) -> None:
        """Lets go of the counters' file."""
        self._counters.close()

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    @property
    def is_idle(self) -> bool:
        """True when the next event may be sent."""
        return self._connection is not None and self._connection.is_idle

    @property
    def is_settled(self) -> bool:
        """True when nothing is under way."""
        return self._connection is None or self._connection.is_settled

    def settle(self) -> None:
        """Tells the sources of everything that the manager's TCP has acknowledged."""
        if self._connection is not None:
            self._connection.settle()

    def send(self, message: bytes, item: Outgoing | None = None) -> None:
        """Seals and sends, on a connection that is open; otherwise nothing. `item` is the event in it."""
        if self._connection is None or self._entry is None:
            return
        counters = self._counters.next()
        if self._counters.failure and not self._told_counters:
            self._told_counters = True
            self._tell(Log("ERROR", self._counters.failure))
        try:
            envelope = seal(
                message, self._key, self._method, counters, self._entropy.below(65536), prefix=self._prefix
            )
        except PeerError:
            self._tell(Log("ERROR", f"Incorrect message size: {len(message)}"))
            self._tell(Log("ERROR", "(1217): Error creating encrypted message."))
            if item is not None:
                item.mark_sent()
            return
        self.sent += 1
        self._connection.send(envelope, item)

    def open(self, envelope: bytes) -> bytes | None:
        """The message of an envelope; None when it does not open, which has been told."""
        assert self._entry is not None
        try:
            return open_envelope(envelope, self._key).message
        except OpenFailure as failure:
            self._tell(_problem(failure, self._entry))
            return None


def _problem(failure: OpenFailure, entry: KeyEntry) -> Log:
    who = f"Message received from agent '{entry.id}' at '{entry.ip}'."
    texts = {
        1403: ("ERROR", f"(1403): Incorrectly formatted message from agent '{entry.id}'."),
        1404: ("WARNING", f"(1404): Authentication error. Wrong key or corrupt payload. {who}"),
        1406: ("ERROR", f"(1406): Checksum mismatch. {who}"),
        2202: ("WARNING", f"(2202): Error uncompressing string. {who}"),
    }
    level, text = texts.get(failure.number, ("WARNING", f"{failure.reason}. {who}"))
    return Log(level, text)
