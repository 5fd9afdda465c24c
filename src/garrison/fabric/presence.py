"""Which nodes are alive: each keeps a card in a bucket of short-lived entries.

bucket `nodes`, key: the node's name, time to live CARD_S, refreshed every REFRESH_S
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from garrison.fabric.link import Bucket, CaughtUp, Entry, Link
from garrison.ground.clock import Clock
from garrison.ground.errors import FabricError, KeyTaken, PeerError, Refused, WrongRevision
from garrison.ground.log import printable
from garrison.ground.tasks import Brood, Stop, pause

log = logging.getLogger(__name__)

CARD_S = 10.0
REFRESH_S = 2.5
RETRY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCard:
    """What a node says of itself. `instance` tells two processes of one name apart; times are seconds since 1970."""

    name: str
    instance: str
    type: str
    version: str
    address: str
    joined_at: float
    refreshed_at: float = 0.0
    agents: int = 0
    agent_port: int = 1514
    enroll_port: int = 1515
    can_enroll: bool = True
    is_member: bool = False
    config_digest: str = ""


_TYPES: dict[str, type | tuple[type, ...]] = {
    "joined_at": (int, float),
    "refreshed_at": (int, float),
    "agents": int,
    "agent_port": int,
    "enroll_port": int,
    "can_enroll": bool,
    "is_member": bool,
}


def encode_card(card: NodeCard) -> bytes:
    """The card as text."""
    return json.dumps(asdict(card), separators=(",", ":")).encode()


def decode_card(text: bytes) -> NodeCard:
    """The card; `PeerError` for a member of another type. Unknown members are passed over."""
    try:
        values: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PeerError("card is not JSON") from error
    if not isinstance(values, dict):
        raise PeerError("card is not an object")
    known = {field.name: values[field.name] for field in fields(NodeCard) if field.name in values}
    for name, value in known.items():
        if not isinstance(value, _TYPES.get(name, str)) or (isinstance(value, str) and len(value) > 256):
            raise PeerError(f"card with a member '{name}' of another type")
    try:
        return NodeCard(**known)
    except TypeError as error:
        raise PeerError("card without a member that it must have") from error


class Presence:
    """This node's card, and those of the others."""

    def __init__(self, link: Link, clock: Clock, card: NodeCard) -> None:
        self._link = link
        self._clock = clock
        self._card = card
        self._cards: dict[str, NodeCard] = {}
        self._revision = 0
        self._listeners: list[Callable[[], None]] = []
        self.refusal: str | None = None

    def card(self) -> NodeCard:
        """This node's own card."""
        return self._card

    def change(self, **values: Any) -> None:
        """Changes this node's card; the others see it with the next refresh."""
        self._card = replace(self._card, **values)

    def nodes(self) -> tuple[NodeCard, ...]:
        """The cards of all live nodes, this one included, in the order of joining."""
        cards = {**self._cards, self._card.name: self._card}
        return tuple(sorted(cards.values(), key=lambda card: (card.joined_at, card.name)))

    def is_live(self, name: str) -> bool:
        """True when the node of that name is alive."""
        return name == self._card.name or name in self._cards

    def on_change(self, listener: Callable[[], None]) -> None:
        """`listener` is called when a node came, went or changed its card."""
        self._listeners.append(listener)

    async def run(self, stop: Stop) -> None:
        """Keeps the card fresh and follows the others' until `stop`; then takes the card away.

        `Refused` when another live node has this name.
        """
        brood = Brood("presence")
        brood.start(self._follow(stop), name="follow")
        try:
            while True:
                done = await self._refresh()
                if not await pause(self._clock, REFRESH_S if done else RETRY_S, stop):
                    break
        finally:
            await self._take_away()
            await brood.end()

    async def _refresh(self) -> bool:
        card = replace(self._card, refreshed_at=self._clock.now().timestamp())
        try:
            bucket = await self._link.bucket("nodes", ttl_s=CARD_S)
            if self._revision:
                try:
                    self._revision = await bucket.update(card.name, encode_card(card), self._revision)
                except WrongRevision:
                    self._revision = 0
                    return False
            else:
                self._revision = await self._enter(bucket, card)
        except FabricError as error:
            log.debug("card not refreshed: %s", error)
            return False
        self._card = replace(self._card, refreshed_at=card.refreshed_at)
        return True

    async def _enter(self, bucket: Bucket, card: NodeCard) -> int:
        try:
            return await bucket.create(card.name, encode_card(card))
        except KeyTaken:
            entry = await bucket.get(card.name)
        if entry is None:
            return await bucket.create(card.name, encode_card(card))
        other = decode_card(entry.value)
        if other.instance == card.instance or other.address == card.address:
            return await bucket.update(card.name, encode_card(card), entry.revision)
        self.refusal = f"the node name '{card.name}' is already in use by {printable(other.address, 60)}"
        raise Refused(self.refusal, 3028)

    async def _take_away(self) -> None:
        if self._revision:
            try:
                bucket = await self._link.bucket("nodes", ttl_s=CARD_S)
                await bucket.delete(self._card.name, self._revision)
            except FabricError as error:
                log.debug("card not taken away, it runs out: %s", error)

    async def _follow(self, stop: Stop) -> None:
        while not stop.is_set():
            try:
                bucket = await self._link.bucket("nodes", ttl_s=CARD_S)
                async for change in bucket.watch(stop):
                    if isinstance(change, Entry):
                        self._take(change)
                    elif not isinstance(change, CaughtUp) and change.key in self._cards:
                        del self._cards[change.key]
                        self._tell()
            except FabricError as error:
                log.debug("cards not readable: %s", error)
            await pause(self._clock, 1.0, stop)

    def _take(self, entry: Entry) -> None:
        try:
            card = decode_card(entry.value)
        except PeerError as error:
            log.warning("Card of %s ignored: %s", printable(entry.key), error.reason)
            return
        if card.name != entry.key or card.name == self._card.name:
            return
        known = self._cards.get(card.name)
        self._cards[card.name] = card
        if known is None or replace(known, refreshed_at=0) != replace(card, refreshed_at=0):
            self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()
