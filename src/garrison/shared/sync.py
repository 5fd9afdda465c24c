"""Keeps this node's shared files equal to the truth in the engine.

One task follows the manifest, one looks at the disk every `ROUND_S` seconds; each wakes the same round: compare,
then carry out the plan of `manifest.plan`. The master's rounds publish what was edited there; the others' rounds
write what the truth says and put edits back with a log line. Content travels through the object store by its
SHA-256 and is checked again before it is written.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from garrison.fabric.link import Bucket, CaughtUp, Entry, FileStore, Link
from garrison.ground.clock import Clock
from garrison.ground.errors import EngineAway, FabricError, PeerError, Refused, StoreError
from garrison.ground.files import write_atomic
from garrison.ground.log import ClusterAdapter, printable
from garrison.ground.tasks import Brood, Stop, pause
from garrison.shared import manifest, merge
from garrison.shared.local_store import LocalStore, item_of
from garrison.shared.manifest import Delete, Item, Publish, Step, Withdraw, Write

ROUND_S = 2.0
BASE_FILE = "queue/shared-base.json"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundReport:
    """The last comparison and the last one that changed something; times are aware UTC, None before the first."""

    checked_from: datetime | None = None
    checked_to: datetime | None = None
    synced_from: datetime | None = None
    synced_to: datetime | None = None
    updated: int = 0
    created: int = 0
    deleted: int = 0


class SharedFiles:
    """The shared files of one node. `is_master` is asked anew at each round."""

    def __init__(self, link: Link, root: Path, clock: Clock, is_master: Callable[[], bool]) -> None:
        self._link = link
        self._root = root
        self._clock = clock
        self._is_master = is_master
        self._disk = LocalStore(root)
        self._truth: dict[str, Item] = {}
        self._is_complete = False
        self._caught_up = False
        self._wake = asyncio.Event()
        self._lock = asyncio.Lock()
        self._listeners: list[Callable[[str], None]] = []
        self._folders: dict[str, dict[str, bytes]] | None = None
        self._bundles: dict[tuple[str, ...], merge.Bundle | None] = {}
        self._last_local: dict[str, Item] | None = None
        self._base: dict[str, Item] = {}
        self._bucket: Bucket | None = None
        self._store: FileStore | None = None
        self._log = ClusterAdapter(link.node_name, "Integrity sync")
        self.report = RoundReport()
        self.settled = asyncio.Event()

    def on_change(self, listener: Callable[[str], None]) -> None:
        """`listener` hears `groups`, `rules`, `decoders`, `lists` or `password` after such a file changed here."""
        self._listeners.append(listener)

    async def run(self, stop: Stop) -> None:
        """Keeps disk and truth equal until `stop`; goes on through the engine's absence."""
        self._base = manifest.decode_tree(self._read_base())
        brood = Brood("shared")
        brood.start(self._follow(stop), name="follow")
        try:
            while not stop.is_set():
                self._wake.clear()
                await self.round()
                await self._next_turn(stop)
        finally:
            await brood.end()

    async def _next_turn(self, stop: Stop) -> None:
        brood = Brood("shared.turn")
        turn = brood.start(pause(self._clock, ROUND_S, stop), name="pause")
        wake = brood.start(self._wake.wait(), name="wake")
        try:
            await asyncio.wait({turn, wake}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await brood.end()

    async def _follow(self, stop: Stop) -> None:
        while not stop.is_set():
            try:
                self._bucket = await self._link.bucket("manifest")
                self._store = await self._link.files("shared")
                await self._watch(self._bucket, stop)
            except FabricError as error:
                log.debug("manifest not readable: %s", error)
                await pause(self._clock, 1.0, stop)

    async def _watch(self, bucket: Bucket, stop: Stop) -> None:
        fresh: dict[str, Item] | None = {}
        is_complete = False
        async for change in bucket.watch(stop):
            if isinstance(change, CaughtUp):
                if fresh is not None:
                    self._truth, self._is_complete, fresh = fresh, is_complete, None
                self._caught_up = True
                self._wake.set()
                continue
            target = self._truth if fresh is None else fresh
            if isinstance(change, Entry):
                if change.key == manifest.COMPLETE:
                    is_complete = True
                    self._is_complete = self._is_complete or fresh is None
                else:
                    self._learn(target, change)
            else:
                target.pop(change.key, None)
            if fresh is None:
                self._wake.set()

    def _learn(self, target: dict[str, Item], entry: Entry) -> None:
        if manifest.kind_of(entry.key) is None:
            self._log.warning("Path outside the catalogue in the manifest ignored: %s", printable(entry.key))
            return
        try:
            target[entry.key] = manifest.decode_item(entry.value)
        except PeerError as error:
            self._log.warning("Manifest entry of %s ignored: %s", printable(entry.key), error.reason)

    async def round(self) -> None:
        """One comparison, and what follows from it."""
        async with self._lock:
            await self._round()

    async def _round(self) -> None:
        started = self._clock.now()
        local = await asyncio.to_thread(self._disk.tree)
        if self._is_master():
            local = await self._fill_empty_groups(local)
        if not self._caught_up or not self._link.is_connected():
            self._note_local(local)
            return
        steps = manifest.plan(
            self._base, local, self._truth, is_master=self._is_master(), is_complete=self._is_complete
        )
        done = [step for step in steps if await self._carry_out(step)]
        if self._is_master() and not self._is_complete and len(done) == len(steps):
            with contextlib.suppress(EngineAway):
                await self._manifest().put(manifest.COMPLETE, b"{}")
                self._is_complete = True
        self._note_round(started, local, done)
        if done:
            await asyncio.to_thread(self._keep_base)
            self._announce(done)
        else:
            self._note_local(local)
        if self._is_complete and len(done) == len(steps):
            self.settled.set()

    async def _fill_empty_groups(self, local: dict[str, Item]) -> dict[str, Item]:
        """A folder that an operator made is a group: it gets the template, as groups made by tools do."""
        changed = False
        for group in await asyncio.to_thread(self._group_names):
            if not any(path.startswith(f"etc/shared/{group}/") for path in local):
                self._disk.write(f"etc/shared/{group}/agent.conf", self._template())
                changed = True
        return await asyncio.to_thread(self._disk.tree) if changed else local

    async def _carry_out(self, step: Step) -> bool:
        """True when the step is done; a failure is logged and the next round tries again."""
        try:
            await self._do(step)
        except (StoreError, FabricError, PeerError) as error:
            self._log.error("Error synchronizing %s: %s", printable(step.path), error)
            return False
        return True

    async def _do(self, step: Step) -> None:
        path = step.path
        match step:
            case Publish():
                content = await asyncio.to_thread(self._disk.read, path)
                item = item_of(content)
                await self._files().put(content)
                await self._manifest().put(path, manifest.encode_item(item))
                self._truth[path] = self._base[path] = item
            case Withdraw():
                await self._manifest().delete(path)
                self._truth.pop(path, None)
                self._base.pop(path, None)
            case Write(item=item, edited=edited):
                content = await self._files().get(item.digest)
                if hashlib.sha256(content).hexdigest() != item.digest:
                    raise PeerError("content does not have the digest of the manifest")
                await asyncio.to_thread(self._disk.write, path, content)
                self._base[path] = item
                if edited:
                    self._say_put_back(path)
            case Delete(edited=edited):
                await asyncio.to_thread(self._disk.delete, path)
                self._base.pop(path, None)
                if edited:
                    self._say_put_back(path)

    def _say_put_back(self, path: str) -> None:
        self._log.warning(
            "%s was changed on this node and is put back: shared files are edited on the master",
            printable(path),
        )

    def _note_round(self, started: datetime, local: dict[str, Item], done: list[Step]) -> None:
        now = self._clock.now()
        written = [step for step in done if isinstance(step, Write)]
        updated = sum(step.path in local for step in written)
        deleted = sum(isinstance(step, Delete) for step in done)
        last = self.report
        self.report = RoundReport(
            checked_from=started,
            checked_to=now,
            synced_from=started if done else last.synced_from,
            synced_to=now if done else last.synced_to,
            updated=updated if done else last.updated,
            created=len(written) - updated if done else last.created,
            deleted=deleted if done else last.deleted,
        )
        if written or deleted:
            self._log.info(
                "Files to create: %d | Files to update: %d | Files to delete: %d",
                len(written) - updated,
                updated,
                deleted,
            )

    def _announce(self, done: list[Step]) -> None:
        self._forget_bundles()
        for kind in sorted({kind for step in done if (kind := manifest.kind_of(step.path))}):
            for listener in self._listeners:
                listener(kind)

    def _note_local(self, local: dict[str, Item]) -> None:
        if self._last_local != local:
            self._last_local = local
            self._forget_bundles()

    def _forget_bundles(self) -> None:
        self._folders = None
        self._bundles.clear()

    # -- groups -------------------------------------------------------------------------------------------------

    def bundle(self, groups: tuple[str, ...]) -> merge.Bundle | None:
        """What the agents of these groups get, in this order; None when no such folder is here yet."""
        if groups not in self._bundles:
            if len(self._bundles) > 4096:
                self._bundles.clear()
            self._bundles[groups] = merge.make_bundle(groups, self._group_contents(), self._ar_conf())
        return self._bundles[groups]

    def _group_contents(self) -> dict[str, dict[str, bytes]]:
        if self._folders is None:
            self._folders = self._disk.group_folders()
        return self._folders

    def _ar_conf(self) -> bytes | None:
        path = self._root / "etc/shared/ar.conf"
        return path.read_bytes() if path.is_file() else None

    def groups(self) -> list[str]:
        """Names of all groups, sorted."""
        return sorted(self._group_names())

    def _group_names(self) -> list[str]:
        folder = self._root / "etc/shared"
        if not folder.is_dir():
            return []
        return [
            entry.name for entry in folder.iterdir() if entry.is_dir() and merge.is_group_name(entry.name)
        ]

    def group_exists(self, name: str) -> bool:
        """True when the group has a folder here."""
        return merge.is_group_name(name) and (self._root / "etc/shared" / name).is_dir()

    def files_of(self, group: str) -> list[tuple[str, str]]:
        """(file, MD5 in hex) of each file that the group's agents get, the bundle included."""
        if not self.group_exists(group):
            raise Refused("The group does not exist", 1710)
        contents = dict(self._group_contents().get(group, {}))
        if (bundle := self.bundle((group,))) is not None:
            contents["merged.mg"] = bundle.data
        return [
            (name, hashlib.md5(data, usedforsecurity=False).hexdigest())
            for name, data in sorted(contents.items())
        ]

    async def create_group(self, name: str) -> None:
        """A new group with the template's `agent.conf`, published before this returns. Only on the master."""
        self._demand_master()
        if not merge.is_group_name(name):
            raise Refused("Incorrect format for group_id", 1722)
        if self.group_exists(name):
            raise Refused(f"The group already exists: {name}", 1711)
        await asyncio.to_thread(self._disk.write, f"etc/shared/{name}/agent.conf", self._template())
        await self.round()

    async def remove_group(self, name: str) -> None:
        """The group's folder is gone everywhere. Only on the master; who is in the group is the caller's care."""
        self._demand_master()
        if name == merge.DEFAULT_GROUP:
            raise Refused("Default group is not deletable", 1712)
        if not self.group_exists(name):
            raise Refused("The group does not exist", 1710)
        for path in [path for path in self._disk.tree() if path.startswith(f"etc/shared/{name}/")]:
            await asyncio.to_thread(self._disk.delete, path)
        await self.round()

    def _demand_master(self) -> None:
        if not self._is_master():
            raise Refused("Groups are changed on the master node", 3013)

    def _template(self) -> bytes:
        template = self._root / "etc/shared/agent-template.conf"
        return template.read_bytes() if template.is_file() else merge.AGENT_CONF_TEMPLATE

    # -- plumbing -----------------------------------------------------------------------------------------------

    def _manifest(self) -> Bucket:
        if self._bucket is None:
            raise EngineAway("the manifest has not been opened yet")
        return self._bucket

    def _files(self) -> FileStore:
        if self._store is None:
            raise EngineAway("the shared files have not been opened yet")
        return self._store

    def _read_base(self) -> bytes:
        path = self._root / BASE_FILE
        return path.read_bytes() if path.is_file() else b"{}"

    def _keep_base(self) -> None:
        path = self._root / BASE_FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, manifest.encode_tree(self._base))
