"""An agent as the cluster knows it, and the texts that travel between nodes. Pure.

    agent.<id>       the agent's record
    name.<name>      the claim of a name: which id holds it
    address.<ip>     the claim of a single address

Decoding is strict: declared members of declared types; unknown members are passed over, so that a newer
node may add some.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from garrison.ground.errors import PeerError
from garrison.wire.client_keys import KeyEntry

_ID = re.compile(r"\d{1,8}")
_MOST_TEXT = 70_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One agent. `added_at` is seconds since 1970; `offered_to` is the address that asked for the key until it is sure
    that the key arrived there; `revision` is the record's in the engine, 0 where it came from the local view."""

    id: str
    name: str
    ip: str
    key: str = field(repr=False)
    groups: tuple[str, ...] = ()
    added_at: float = 0.0
    removed: bool = False
    offered_to: str = ""
    revision: int = field(default=0, compare=False)

    @property
    def entry(self) -> KeyEntry:
        """The agent as a line of `client.keys`; a removed one carries its mark."""
        return KeyEntry(
            id=self.id, name=f"!{self.name}" if self.removed else self.name, ip=self.ip, key=self.key
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A name or address is taken by `id`; `at` (seconds since 1970) tells a claim whose agent never came to be."""

    id: str
    at: float


def agent_key(identity: str) -> str:
    """Where the record of an agent lies."""
    return f"agent.{identity}"


def name_key(name: str) -> str:
    """Where the claim of a name lies."""
    return f"name.{name}"


def address_key(ip: str) -> str:
    """Where the claim of an address lies."""
    return f"address.{ip}"


def encode_agent(agent: Agent) -> bytes:
    """The record's text."""
    fields = {
        "id": agent.id,
        "name": agent.name,
        "ip": agent.ip,
        "key": agent.key,
        "groups": list(agent.groups),
        "added_at": agent.added_at,
        "removed": agent.removed,
        "offered_to": agent.offered_to,
    }
    return json.dumps(fields, separators=(",", ":")).encode()


def decode_agent(text: bytes, revision: int = 0) -> Agent:
    """The agent of a record; `PeerError` where a member is missing or of another type."""
    fields = _object(text)
    identity = _text(fields, "id")
    if not _ID.fullmatch(identity):
        raise PeerError("agent record with an id that is none")
    groups = fields.get("groups")
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise PeerError("agent record without groups")
    return Agent(
        id=identity,
        name=_text(fields, "name"),
        ip=_text(fields, "ip"),
        key=_text(fields, "key"),
        groups=tuple(groups),
        added_at=_number(fields, "added_at"),
        removed=fields.get("removed") is True,
        offered_to=_text(fields, "offered_to"),
        revision=revision,
    )


def encode_claim(claim: Claim) -> bytes:
    """The claim's text."""
    return json.dumps({"id": claim.id, "at": claim.at}, separators=(",", ":")).encode()


def decode_claim(text: bytes) -> Claim:
    """The claim; `PeerError` as in `decode_agent`."""
    fields = _object(text)
    return Claim(id=_text(fields, "id"), at=_number(fields, "at"))


def _object(text: bytes) -> Mapping[str, Any]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PeerError("record is not JSON") from error
    if not isinstance(fields, dict):
        raise PeerError("record is not an object")
    return fields


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or len(value) > _MOST_TEXT or any(char in value for char in "\n\r\0"):
        raise PeerError(f"record without a text '{name}'")
    return value


def _number(fields: Mapping[str, Any], name: str) -> float:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PeerError(f"record without a number '{name}'")
    return float(value)
