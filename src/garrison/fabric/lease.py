"""Who is master: one entry with a short life, renewed by its holder.

    bucket `lease`, key `master`, value {"node", "instance"}, time to live LEASE_S

A candidate takes the lease when nobody has it (create-if-absent); the holder renews it by compare-and-set. Its revision
is the fencing token. A holder that has not renewed for `HOLD_S` of its own monotonic time is no holder any more, which is
before the engine lets others have it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

from garrison.fabric.link import Bucket, CaughtUp, Entry, Link
from garrison.ground.clock import Clock
from garrison.ground.errors import FabricError, KeyTaken, WrongRevision
from garrison.ground.log import printable
from garrison.ground.tasks import Brood, Stop, pause

log = logging.getLogger(__name__)

LEASE_S = 10.0
HOLD_S = 7.0
RENEW_S = 2.0
KEY = "master"


class Lease:
    """The lease as this node sees it. `is_candidate`: this node may hold it."""

    def __init__(self, link: Link, clock: Clock, instance: str, *, is_candidate: bool) -> None:
        self._link = link
        self._clock = clock
        self._instance = instance
        self._is_candidate = is_candidate
        self._holder: str | None = None
        self._revision = 0
        self._renewed_at = -1e9
        self._owns = False
        self._listeners: list[Callable[[str | None], None]] = []
        self._stepping_down_until = -1e9

    def holder(self) -> str | None:
        """Name of the master; None while nobody is known to be."""
        if self._owns:
            return self._link.node_name if self.is_held() else None
        return self._holder

    def is_held(self) -> bool:
        """True while this node is the master."""
        return self._owns and self._clock.monotonic() - self._renewed_at < HOLD_S

    def token(self) -> int:
        """The fencing token: grows with every renewal, over all holders."""
        return self._revision

    def on_change(self, listener: Callable[[str | None], None]) -> None:
        """`listener` hears the name of each new master, or None."""
        self._listeners.append(listener)

    async def run(self, stop: Stop) -> None:
        """Follows the lease, and takes and renews it as a candidate, until `stop`; then gives it back."""
        brood = Brood("lease")
        brood.start(self._follow(stop), name="follow")
        try:
            while True:
                if self._is_candidate:
                    await self._turn()
                if not await pause(self._clock, RENEW_S if self._owns else RENEW_S / 2, stop):
                    break
        finally:
            await self.step_down()
            await brood.end()

    async def _turn(self) -> None:
        try:
            bucket = await self._link.bucket("lease", ttl_s=LEASE_S)
            if self._owns:
                await self._renew(bucket)
            elif self._clock.monotonic() >= self._stepping_down_until:
                await self._try_to_take(bucket)
        except FabricError as error:
            log.debug("lease not renewed: %s", error)
            if self._owns and not self.is_held():
                self._lose("it could not be renewed in time")

    async def _renew(self, bucket: Bucket) -> None:
        began = self._clock.monotonic()
        try:
            self._revision = await bucket.update(KEY, self._value(), self._revision)
        except WrongRevision:
            self._lose("another node holds it")
            return
        self._renewed_at = began

    async def _try_to_take(self, bucket: Bucket) -> None:
        began = self._clock.monotonic()
        try:
            self._revision = await bucket.create(KEY, self._value())
        except KeyTaken:
            return
        self._renewed_at, self._owns = began, True
        log.info("This node (%s) is the master now", self._link.node_name)
        self._become(self._link.node_name)

    def _lose(self, why: str) -> None:
        self._owns = False
        log.warning("This node is no longer the master: %s", why)
        self._become(None)

    def _value(self) -> bytes:
        return json.dumps({"node": self._link.node_name, "instance": self._instance}).encode()

    def _become(self, holder: str | None) -> None:
        if holder != self._holder:
            self._holder = holder
            for listener in self._listeners:
                listener(holder)

    async def step_down(self) -> None:
        """Gives the lease back, so that another candidate takes it at once."""
        if not self._owns:
            return
        self._owns = False
        self._stepping_down_until = self._clock.monotonic() + LEASE_S
        try:
            bucket = await self._link.bucket("lease", ttl_s=LEASE_S)
            await bucket.delete(KEY, self._revision)
        except FabricError as error:
            log.debug("lease not given back, it runs out: %s", error)
        self._become(None)

    async def _follow(self, stop: Stop) -> None:
        while not stop.is_set():
            try:
                bucket = await self._link.bucket("lease", ttl_s=LEASE_S)
                async for change in bucket.watch(stop):
                    if isinstance(change, CaughtUp) or self._owns:
                        continue
                    self._become(_node_of(change.value) if isinstance(change, Entry) else None)
            except FabricError as error:
                log.debug("lease not readable: %s", error)
            await pause(self._clock, 1.0, stop)


def _node_of(value: bytes) -> str | None:
    try:
        node = json.loads(value)["node"]
    except (ValueError, KeyError, TypeError):
        log.warning("Lease of an unknown form ignored: %s", printable(value, 60))
        return None
    return node if isinstance(node, str) and len(node) <= 128 else None
