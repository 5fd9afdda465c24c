"""The registry: agents in the engine's bucket, a table in memory, a view on disk.

Adding an agent takes three writes, each create-if-absent: the claim of its name, the claim of its address if it is a
single one, and its record under the next id. The record is what counts: a claim whose record never came to be is taken
over after `STALE_CLAIM_S`. `enroll` returns after the engine acknowledged the record; then every node has it within
milliseconds through its watch, and a node that meets an unknown id asks the engine before it refuses.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from garrison.config.home import Home
from garrison.config.model import ForceConfig
from garrison.fabric.link import Bucket, CaughtUp, Entry, Link
from garrison.ground.clock import Clock
from garrison.ground.entropy import Entropy
from garrison.ground.errors import (
    EngineAway,
    FabricError,
    KeyTaken,
    PeerError,
    Refused,
    StoreError,
    WrongRevision,
)
from garrison.ground.files import write_atomic
from garrison.ground.log import RateLimit, printable
from garrison.ground.tasks import Brood, Stop, pause
from garrison.registry import keys_view, model
from garrison.registry.importing import ImportPlan, highest, plan_import
from garrison.registry.model import Agent, Claim
from garrison.registry.replacement import Standing, why_not_replace
from garrison.registry.status import AgentStatus
from garrison.wire.address import is_single
from garrison.wire.client_keys import next_id

log = logging.getLogger(__name__)

STALE_CLAIM_S = 30.0
UNKNOWN_FOR_S = 1.0
MOST_UNKNOWN = 4096
LOOKUPS_PER_S = 500
MOST_ID_TRIES = 10_000
VIEW_EVERY_S = 1.0
DEFAULT_FORCE = ForceConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollOrder:
    """A checked wish for an agent.

    `source` is the address that asks; `reserved_name` is the host's own, which no agent may take; `id` and `key` are
    given by tools only.
    """

    name: str
    ip: str = "any"
    groups: tuple[str, ...] = ()
    key_hash: str | None = None
    source: str = ""
    force: ForceConfig = DEFAULT_FORCE
    reserved_name: str | None = None
    id: str | None = None
    key: str | None = field(default=None, repr=False)


class StatusOf(Protocol):
    """Where the registry asks how an agent is."""

    def __call__(self, identity: str) -> AgentStatus | None: ...


class Registry:
    """The agents of the cluster, as this node sees and changes them."""

    def __init__(
        self,
        link: Link,
        home: Home,
        clock: Clock,
        entropy: Entropy,
        status_of: StatusOf = lambda identity: None,
    ) -> None:
        self._link = link
        self._home = home
        self._clock = clock
        self._entropy = entropy
        self._status_of = status_of
        self._agents: dict[str, Agent] = {}
        self._names: dict[str, str] = {}
        self._addresses: dict[str, str] = {}
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._lookups = RateLimit(burst=LOOKUPS_PER_S, per_s=LOOKUPS_PER_S)
        self._highest = 0
        self._listeners: list[Callable[[Agent], None]] = []
        self._open_bucket: Bucket | None = None
        self._ready = asyncio.Event()
        self._view_is_old = asyncio.Event()
        self._view_lock = threading.Lock()
        self.caught_up = asyncio.Event()

    # -- reading ------------------------------------------------------------------------------------------------

    def agent(self, identity: str) -> Agent | None:
        """The live agent of that id, from memory."""
        agent = self._agents.get(identity)
        return None if agent is None or agent.removed else agent

    def by_name(self, name: str) -> Agent | None:
        """The live agent of that name, from memory."""
        identity = self._names.get(name)
        return None if identity is None else self.agent(identity)

    def by_address(self, ip: str) -> Agent | None:
        """The live agent registered with exactly that single address, from memory."""
        identity = self._addresses.get(ip)
        return None if identity is None else self.agent(identity)

    def agents(self) -> list[Agent]:
        """All live agents, by id."""
        return keys_view.by_id(agent for agent in self._agents.values() if not agent.removed)

    async def find(self, identity: str) -> Agent | None:
        """As `agent`, and asks the engine for an id that memory does not know; None while the engine is away.

        Ids that nobody has are remembered for a second, and all questions have a bounded rate: hostile peers that try
        one id after the other do not reach the engine more often than that.
        """
        if (agent := self.agent(identity)) is not None or not identity.isdigit() or len(identity) > 8:
            return agent
        if self._is_known_unknown(f"id:{identity}"):
            return None
        return await self._ask(f"id:{identity}", identity)

    async def find_address(self, ip: str) -> Agent | None:
        """As `by_address`, and asks the engine for an address that memory does not know."""
        if (agent := self.by_address(ip)) is not None or self._is_known_unknown(f"ip:{ip}"):
            return agent
        try:
            claim = await (await self._bucket()).get(model.address_key(ip))
            identity = model.decode_claim(claim.value).id if claim is not None else None
        except (FabricError, PeerError):
            return None
        if identity is None:
            self._note_unknown(f"ip:{ip}")
            return None
        return await self._ask(f"ip:{ip}", identity)

    async def _ask(self, key: str, identity: str) -> Agent | None:
        try:
            entry = await (await self._bucket()).get(model.agent_key(identity))
        except FabricError:
            return None
        if entry is not None:
            self._take(entry)
        agent = self.agent(identity)
        if agent is None:
            self._note_unknown(key)
        return agent

    def _is_known_unknown(self, key: str) -> bool:
        now = self._clock.monotonic()
        since = self._unknown.get(key)
        if since is not None and now - since < UNKNOWN_FOR_S:
            return True
        return not self._lookups.allows("engine", now)

    def _note_unknown(self, key: str) -> None:
        self._unknown[key] = self._clock.monotonic()
        self._unknown.move_to_end(key)
        while len(self._unknown) > MOST_UNKNOWN:
            self._unknown.popitem(last=False)

    # -- following the engine -----------------------------------------------------------------------------------

    def on_change(self, listener: Callable[[Agent], None]) -> None:
        """`listener` hears every agent that was added, changed or removed (`removed` says so)."""
        self._listeners.append(listener)

    async def ready(self) -> None:
        """Returns once the table holds the engine's agents, or those of the local view."""
        await self._ready.wait()

    @property
    def has_view(self) -> bool:
        """True once there are agents to serve, from the engine or from the local view."""
        return self._ready.is_set()

    async def run(self, stop: Stop) -> None:
        """Follows the engine and keeps the view until `stop`."""
        await self._load_view()
        brood = Brood("registry")
        brood.start(self._keep_view(stop), name="view")
        try:
            while not stop.is_set():
                try:
                    await self._follow(await self._bucket(), stop)
                except FabricError as error:
                    log.debug("registry not readable: %s", error)
                    await pause(self._clock, 1.0, stop)
        finally:
            await brood.end()
            if self._view_is_old.is_set():
                await self._keep_view_once()

    async def _bucket(self) -> Bucket:
        if self._open_bucket is None:
            self._open_bucket = await self._link.bucket("agents")
        return self._open_bucket

    async def _follow(self, bucket: Bucket, stop: Stop) -> None:
        seen: set[str] | None = set()
        async for change in bucket.watch(stop):
            if isinstance(change, CaughtUp):
                if seen is not None:
                    for identity in [known for known in self._agents if known not in seen]:
                        self._drop(identity)
                    seen = None
                self._ready.set()
                self.caught_up.set()
            elif change.key.startswith("agent."):
                identity = change.key.removeprefix("agent.")
                if seen is not None:
                    seen.add(identity)
                if isinstance(change, Entry):
                    self._take(change)
                else:
                    self._drop(identity)

    def _take(self, entry: Entry) -> None:
        try:
            agent = model.decode_agent(entry.value, entry.revision)
        except PeerError as error:
            log.error("Record %s of the registry ignored: %s", printable(entry.key), error.reason)
            return
        known = self._agents.get(agent.id)
        if known is not None and known.revision > agent.revision:
            return
        self._remember(agent)
        if known != agent:
            self._tell(agent)

    def _remember(self, agent: Agent) -> None:
        self._forget_names(agent.id)
        self._agents[agent.id] = agent
        self._highest = max(self._highest, int(agent.id))
        if not agent.removed:
            self._names[agent.name] = agent.id
            if is_single(agent.ip):
                self._addresses[agent.ip] = agent.id
            self._unknown.pop(f"id:{agent.id}", None)
            self._unknown.pop(f"ip:{agent.ip}", None)
        self._view_is_old.set()

    def _drop(self, identity: str) -> None:
        self._forget_names(identity)
        agent = self._agents.pop(identity, None)
        if agent is not None:
            self._view_is_old.set()
            self._tell(replace(agent, removed=True))

    def _forget_names(self, identity: str) -> None:
        known = self._agents.get(identity)
        if known is not None:
            if self._names.get(known.name) == identity:
                del self._names[known.name]
            if self._addresses.get(known.ip) == identity:
                del self._addresses[known.ip]

    def _tell(self, agent: Agent) -> None:
        for listener in self._listeners:
            listener(agent)

    # -- the view on disk ---------------------------------------------------------------------------------------

    async def _load_view(self) -> None:
        path = self._home.registry_view
        if not path.is_file():
            return
        agents, damaged = keys_view.decode_view(await asyncio.to_thread(path.read_bytes))
        for agent in agents:
            self._remember(agent)
        if damaged:
            log.error("%d damaged lines in %s passed over", damaged, path)
        self._view_is_old.clear()
        if agents:
            self._ready.set()

    async def _keep_view(self, stop: Stop) -> None:
        while not stop.is_set():
            await self._view_is_old.wait()
            await self._keep_view_once()
            await pause(self._clock, VIEW_EVERY_S, stop)

    async def _keep_view_once(self) -> None:
        self._view_is_old.clear()
        agents = list(self._agents.values())
        try:
            await asyncio.to_thread(self._write_view, agents)
        except StoreError as error:
            self._view_is_old.set()
            log.error("The key file is not up to date: %s", error)

    def _write_view(self, agents: list[Agent]) -> None:
        with self._view_lock:
            for path, content in (
                (self._home.registry_view, keys_view.encode_view(agents)),
                (self._home.client_keys, keys_view.client_keys_text(agents).encode()),
                (self._home.agents_timestamp, keys_view.timestamps_text(agents).encode()),
            ):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(path, content)

    # -- changing -----------------------------------------------------------------------------------------------

    async def enroll(self, order: EnrollOrder) -> Agent:
        """The new agent, durable on a majority. `Refused` with the texts and codes of spec 2.3 and 2.9, `EngineAway`.

        Asked again by the same address before the first answer is known to have arrived, the same agent is the answer.
        """
        now = self._clock.now().timestamp()
        holder = await self._holder_of_address(order)
        if holder is not None:
            if self._is_same_wish(holder, order):
                return holder
            await self._replace(holder, order, now, f"Duplicate IP: {order.ip}", 9007)
        if order.name == order.reserved_name:
            raise Refused(f"Invalid agent name: {order.name}", 9005)
        holder = await self._holder_of_name(order.name)
        if holder is not None:
            if self._is_same_wish(holder, order):
                return holder
            await self._replace(holder, order, now, f"Duplicate agent name: {order.name}", 9008)
        return await self._add(order, now)

    async def _holder_of_address(self, order: EnrollOrder) -> Agent | None:
        if not is_single(order.ip):
            return next((a for a in self.agents() if a.ip == order.ip), None) if order.ip != "any" else None
        return self.by_address(order.ip) or await self._holder(model.address_key(order.ip))

    async def _holder_of_name(self, name: str) -> Agent | None:
        return self.by_name(name) or await self._holder(model.name_key(name))

    async def _holder(self, claim_key: str) -> Agent | None:
        """The live agent behind a claim that memory does not know yet."""
        bucket = await self._bucket()
        entry = await bucket.get(claim_key)
        if entry is None:
            return None
        record = await bucket.get(model.agent_key(model.decode_claim(entry.value).id))
        if record is None:
            return None
        self._take(record)
        agent = model.decode_agent(record.value, record.revision)
        owns = claim_key in (model.name_key(agent.name), model.address_key(agent.ip))
        return agent if owns and not agent.removed else None

    def _is_same_wish(self, holder: Agent, order: EnrollOrder) -> bool:
        status = self._status_of(holder.id)
        never_seen = status is None or status.state == "never_connected"
        same = holder.name == order.name and holder.ip == order.ip and (holder.groups == order.groups)
        return bool(same and never_seen and order.source and holder.offered_to == order.source)

    async def _replace(self, holder: Agent, order: EnrollOrder, now: float, text: str, code: int) -> None:
        status = self._status_of(holder.id) or AgentStatus(id=holder.id)
        reason = why_not_replace(Standing(holder, status), order.force, order.key_hash, now)
        if reason is not None:
            raise DuplicateAgent(text, code, reason)
        log.info("Duplicate name. Removing old agent '%s' (id '%s').", holder.name, holder.id)
        await self.remove(holder.id, purge=False)

    async def _add(self, order: EnrollOrder, now: float) -> Agent:
        bucket = await self._bucket()
        claims: list[tuple[str, int]] = []
        wanted = order.id or next_id(self._highest)
        try:
            keys = [(model.name_key(order.name), f"Duplicate agent name: {order.name}", 9008)]
            if is_single(order.ip):
                keys.append((model.address_key(order.ip), f"Duplicate IP: {order.ip}", 9007))
            for key, text, code in keys:
                claims.append((key, await self._claim(bucket, key, wanted, now, text, code)))
            agent = await self._create_record(bucket, order, wanted, now)
        except (Refused, KeyTaken, WrongRevision):
            await self._release(bucket, claims)
            raise
        if agent.id != wanted:
            for key, _ in claims:
                await bucket.put(key, model.encode_claim(Claim(id=agent.id, at=now)))
        return agent

    async def _claim(self, bucket: Bucket, key: str, identity: str, now: float, text: str, code: int) -> int:
        claim = model.encode_claim(Claim(id=identity, at=now))
        for _ in range(3):
            try:
                return await bucket.create(key, claim)
            except KeyTaken:
                entry = await bucket.get(key)
            if entry is None:
                continue
            if not await self._is_stale(bucket, key, entry, now):
                raise DuplicateAgent(text, code, "it is being enrolled by another node right now")
            try:
                return await bucket.update(key, claim, entry.revision)
            except WrongRevision:
                continue
        raise DuplicateAgent(text, code, "it is being enrolled by another node right now")

    async def _is_stale(self, bucket: Bucket, key: str, entry: Entry, now: float) -> bool:
        """True for a claim whose agent never came to be, is gone, or has another name or address by now."""
        try:
            claim = model.decode_claim(entry.value)
        except PeerError:
            return True
        record = await bucket.get(model.agent_key(claim.id))
        if record is not None:
            agent = model.decode_agent(record.value, record.revision)
            owns = key in (model.name_key(agent.name), model.address_key(agent.ip))
            if owns and not agent.removed:
                return False
            if owns and agent.removed:
                return True
        return abs(now - claim.at) > STALE_CLAIM_S

    async def _create_record(self, bucket: Bucket, order: EnrollOrder, wanted: str, now: float) -> Agent:
        key = order.key or self._entropy.bytes(32).hex()
        number = int(wanted)
        for _ in range(MOST_ID_TRIES):
            identity = order.id or next_id(number - 1)
            agent = Agent(
                id=identity,
                name=order.name,
                ip=order.ip,
                key=key,
                groups=order.groups,
                added_at=now,
                offered_to=order.source,
            )
            try:
                revision = await bucket.create(model.agent_key(identity), model.encode_agent(agent))
            except KeyTaken:
                if order.id is not None:
                    raise Refused("Duplicate ID", 9012) from None
                number = max(number, self._highest) + 1
                continue
            agent = replace(agent, revision=revision)
            self._take_own(agent)
            return agent
        raise Refused("Internal error", 9001)

    def _take_own(self, agent: Agent) -> None:
        known = self._agents.get(agent.id)
        if known is None or known.revision < agent.revision:
            self._remember(agent)
            self._tell(agent)

    async def _release(self, bucket: Bucket, claims: list[tuple[str, int]]) -> None:
        for key, revision in claims:
            try:
                await bucket.delete(key, revision)
            except FabricError as error:
                log.debug("claim %s stays until it is stale: %s", printable(key), error)

    async def confirm_delivery(self, identity: str) -> None:
        """The agent has its key: from now on nobody gets it by asking again. Left for later while the engine is away."""
        agent = self.agent(identity)
        if agent is not None and agent.offered_to:
            try:
                await self._change(identity, lambda record: replace(record, offered_to=""))
            except (EngineAway, Refused) as error:
                log.debug("delivery to agent %s not noted: %s", identity, error)

    async def remove(self, identity: str, purge: bool) -> Agent:
        """The agent is gone; without `purge` its id stays taken. `Refused` 9011 when there is none."""
        bucket = await self._bucket()
        if purge:
            agent = await self._record(bucket, identity)
            await bucket.delete(model.agent_key(identity))
            self._drop(identity)
        else:
            agent = await self._change(identity, lambda record: replace(record, removed=True))
        for key in (model.name_key(agent.name), model.address_key(agent.ip)):
            entry = await bucket.get(key)
            if entry is not None and model.decode_claim(entry.value).id == identity:
                await bucket.delete(key, entry.revision)
        return agent

    async def set_groups(self, identity: str, groups: tuple[str, ...]) -> Agent:
        """The agent with these groups, in this order."""
        return await self._change(identity, lambda record: replace(record, groups=groups))

    async def _record(self, bucket: Bucket, identity: str) -> Agent:
        entry = await bucket.get(model.agent_key(identity))
        agent = model.decode_agent(entry.value, entry.revision) if entry is not None else None
        if agent is None or agent.removed:
            raise Refused("Agent does not exist", 1701)
        return agent

    async def _change(self, identity: str, change: Callable[[Agent], Agent]) -> Agent:
        bucket = await self._bucket()
        for _ in range(20):
            before = await self._record(bucket, identity)
            after = change(before)
            if after == before:
                return before
            try:
                text = model.encode_agent(after)
                revision = await bucket.update(model.agent_key(identity), text, before.revision)
            except WrongRevision:
                continue
            after = replace(after, revision=revision)
            self._take_own(after)
            return after
        raise Refused(f"agent {identity} is being changed by others; try again", 9001)

    async def import_keys(self, text: str, path: str) -> ImportPlan:
        """Adds the agents of an existing key file, as `plan_import` says. Doing it twice adds nothing."""
        bucket = await self._bucket()
        known = {agent.id: agent for agent in self._agents.values()}
        plan = plan_import(text, known, self._clock.now().timestamp(), path)
        for agent in plan.add:
            await self._add(
                EnrollOrder(name=agent.name, ip=agent.ip, groups=agent.groups, id=agent.id, key=agent.key),
                agent.added_at,
            )
        self._highest = max(self._highest, highest(plan.add))
        assert bucket is not None
        return plan


class DuplicateAgent(Refused):
    """Name or address belongs to an agent that stays; `reason` is for the manager's log."""

    def __init__(self, message: str, code: int, reason: str) -> None:
        super().__init__(message, code)
        self.reason = reason
