"""Contents by their SHA-256, on the engine's object store (chunks of 128 KiB, NATS ADR-20)."""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
from typing import TYPE_CHECKING

import nats.js.errors
from nats.js.api import DiscardPolicy, StorageType, StreamConfig
from nats.js.object_store import ObjectStore

from garrison.fabric.link import MAX_FILE_BYTES
from garrison.fabric.session import Session
from garrison.ground.errors import FabricError

if TYPE_CHECKING:
    from garrison.fabric.client import EngineLink

TRANSFER_TIMEOUT_S = 30.0
_DIGEST = re.compile(r"[0-9a-f]{64}")


def stream_config(name: str, replicas: int) -> StreamConfig:
    """The stream behind the file store `name`."""
    return StreamConfig(
        name=f"OBJ_{name}",
        subjects=[f"$O.{name}.C.>", f"$O.{name}.M.>"],
        max_bytes=-1,
        max_msgs=-1,
        max_consumers=-1,
        discard=DiscardPolicy.NEW,
        storage=StorageType.FILE,
        num_replicas=replicas,
        allow_rollup_hdrs=True,
        allow_direct=False,
    )


class EngineFiles:
    """See `garrison.fabric.link.FileStore`."""

    def __init__(self, link: EngineLink, name: str, replicas: int) -> None:
        self._link = link
        self._name = name
        self._config = stream_config(name, replicas)
        self._lock = asyncio.Lock()
        self._made_in: Session | None = None

    async def ready(self) -> Session:
        """The present session, once the store is known to exist in it."""
        session = self._link.session()
        async with self._lock:
            if self._made_in is not session:
                await session.ensure_stream(self._config)
                self._made_in = session
        return session

    def _store(self, session: Session) -> ObjectStore:
        return ObjectStore(name=self._name, stream=str(self._config.name), js=session.streams)

    async def put(self, content: bytes) -> str:
        if len(content) > MAX_FILE_BYTES:
            raise FabricError(f"{len(content)} bytes are more than {MAX_FILE_BYTES}")
        digest = hashlib.sha256(content).hexdigest()
        session = await self.ready()
        store = self._store(session)
        with session.operation(f"storing a file in {self._name}"):
            async with asyncio.timeout(TRANSFER_TIMEOUT_S):
                try:
                    present = await store.get_info(digest)
                    if present.size == len(content):
                        return digest
                except nats.js.errors.NotFoundError:
                    pass
                await store.put(digest, content)
        return digest

    async def get(self, digest: str) -> bytes:
        session = await self.ready()
        into = io.BytesIO()
        with session.operation(f"reading a file from {self._name}"):
            async with asyncio.timeout(TRANSFER_TIMEOUT_S):
                try:
                    await self._store(session).get(_checked(digest), writeinto=into)
                except nats.js.errors.NotFoundError as error:
                    raise FabricError(f"no file with digest {digest}") from error
        content = into.getvalue()
        if hashlib.sha256(content).hexdigest() != digest:
            raise FabricError(f"the file {digest} came with another content")
        return content

    async def delete(self, digest: str) -> None:
        session = await self.ready()
        with session.operation(f"deleting a file from {self._name}"):
            async with asyncio.timeout(TRANSFER_TIMEOUT_S):
                try:
                    await self._store(session).delete(_checked(digest))
                except nats.js.errors.NotFoundError:
                    pass


def _checked(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise FabricError("not a SHA-256 digest")
    return digest
