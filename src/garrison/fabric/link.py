"""What the rest of the product sees of the cluster engine: buckets, files, subjects and calls.

Everybody above codes against these Protocols. `client.EngineLink` is the real one; the tests have an
in-memory double (`tests/support/memory_fabric.py`) that passes the same contract tests.

Every operation raises `EngineAway` when no engine member answers within a few seconds. After
`EngineAway` on a write nobody can say whether it was carried out: read, or write again in a form that may
be repeated (`put`, or `create`/`update`, whose `KeyTaken`/`WrongRevision` then wants a `get`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from garrison.ground.errors import FabricError
from garrison.ground.tasks import Stop

MAX_VALUE_BYTES = 1 << 20
"""Longest value of a bucket, message of a subject, question or answer of a call. Files may be longer."""

MAX_FILE_BYTES = 64 << 20
"""Longest content of a file store."""

MAX_KEY_BYTES = 512
"""Longest key, counted as UTF-8."""


class NodeAway(FabricError):
    """The called node is not there, or did not answer in time; the engine itself does answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One value of a bucket. `revision` grows with every write to the bucket."""

    key: str
    value: bytes
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """`key` was deleted or ran out of time; revision 0 when that happened while nobody could look."""

    key: str
    revision: int


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """All entries that were present have been delivered; what follows are changes."""


Change = Entry | Removed | CaughtUp

Answer = Callable[[bytes], Awaitable[bytes]]
"""Answers one call; `Refused` raised in it travels back to the caller as such."""


class Bucket(Protocol):
    """A replicated table of keys and values. Keys are any text of 1 to MAX_KEY_BYTES bytes."""

    async def get(self, key: str) -> Entry | None:
        """The present entry of `key`; None when there is none."""
        ...

    async def create(self, key: str, value: bytes) -> int:
        """Revision of the new entry; `KeyTaken` when `key` is present."""
        ...

    async def put(self, key: str, value: bytes) -> int:
        """Revision of the entry, whatever was there before."""
        ...

    async def update(self, key: str, value: bytes, revision: int) -> int:
        """New revision; `WrongRevision` unless the present entry has exactly `revision`."""
        ...

    async def delete(self, key: str, revision: int | None = None) -> None:
        """`key` is absent afterwards. `WrongRevision` when `revision` is given and is not the present one."""
        ...

    async def entries(self) -> list[Entry]:
        """All present entries, by key."""
        ...

    def watch(self, stop: Stop) -> AsyncIterator[Change]:
        """The full set, `CaughtUp`, then changes in order, until `stop`.

        It goes on through the loss of the engine: afterwards the full set comes again, a `Removed` for
        each key that was delivered before and is gone, then `CaughtUp`. So a reader that just applies
        what it gets is right at every `CaughtUp`.
        """
        ...


class FileStore(Protocol):
    """Contents kept under their SHA-256 (lower-case hex). The digest is checked on the way out."""

    async def put(self, content: bytes) -> str:
        """Digest of `content`, which is stored afterwards; storing it again changes nothing."""
        ...

    async def get(self, digest: str) -> bytes:
        """The content; `FabricError` when it is absent or does not have that digest."""
        ...

    async def delete(self, digest: str) -> None:
        """The content is absent afterwards."""
        ...


class Link(Protocol):
    """One node's connection to the engine."""

    node_name: str

    def is_connected(self) -> bool:
        """True while a member is reached; operations may still raise `EngineAway` without a majority."""
        ...

    async def bucket(self, name: str, *, ttl_s: float | None = None) -> Bucket:
        """The bucket `name` (letters, digits, `_`, `-`), made when absent; entries last `ttl_s` each."""
        ...

    async def files(self, name: str) -> FileStore:
        """The file store `name`, made when absent."""
        ...

    async def publish(self, subject: str, data: bytes) -> None:
        """Sends to whoever listens now; nobody confirms. `EngineAway` while not connected."""
        ...

    def subscribe(self, subject: str, stop: Stop) -> AsyncIterator[tuple[str, bytes]]:
        """(subject, data) of what is published, `*` and `>` as in NATS, until `stop`.

        The queue is bounded: the oldest is dropped and counted. What is published while this node is
        not connected is not seen.
        """
        ...

    async def call(self, node: str, command: str, data: bytes, timeout_s: float) -> bytes:
        """The answer of `node` to `command`.

        `Refused` is that node's refusal, `NodeAway` its absence, `FabricError` its failure.
        """
        ...

    def serve(self, command: str, answer: Answer) -> None:
        """From now on this node answers `command`. What is not declared here is refused and counted."""
        ...
