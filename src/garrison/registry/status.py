"""How each agent is, and which of two reports about it counts. Pure.

A report belongs to one session: a connection of the agent to a node. Of two sessions the one that began later counts,
so a late report of the node that the agent left never overrides the new one.
Source: spec/agent-channel.md 4.3, 4.6.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, cast, get_args

from garrison.ground.errors import PeerError
from garrison.wire.keepalive import Keepalive

State = Literal["never_connected", "pending", "active", "disconnected"]

SHUTDOWN_RECEIVED = 3
NO_KEEPALIVE = 4
RESET_BY_MANAGER = 5

_MOST_TEXT = 70_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStatus:
    """One agent's state. Times are seconds since 1970, 0 for never. `node` and `session` are empty before the first."""

    id: str
    state: State = "never_connected"
    node: str = ""
    session: str = ""
    since: float = 0.0
    last_keepalive: float = 0.0
    disconnected_at: float = 0.0
    status_code: int = 0
    version: str | None = None
    address: str | None = None
    uname: str | None = None
    config_sum: str | None = None
    merged_sum: str | None = None
    group_synced: bool = False
    labels: str | None = None
    os_name: str | None = None
    os_version: str | None = None
    os_major: str | None = None
    os_minor: str | None = None
    os_codename: str | None = None
    os_platform: str | None = None
    os_build: str | None = None
    os_uname: str | None = None
    os_arch: str | None = None

    @property
    def is_live(self) -> bool:
        """True while a node holds a session of the agent."""
        return self.state in ("pending", "active")


_KEEPALIVE_FIELDS = tuple(
    field.name
    for field in fields(Keepalive)
    if field.name in AgentStatus.__slots__ and field.name != "address"
)


def started(
    before: AgentStatus | None, identity: str, node: str, session: str, version: str | None, at: float
) -> AgentStatus:
    """The status after a startup: pending, in a new session."""
    base = before or AgentStatus(id=identity)
    return replace(
        base,
        state="pending",
        node=node,
        session=session,
        since=at,
        last_keepalive=at,
        disconnected_at=0.0,
        status_code=0,
        version=f"Wazuh {version}" if version else base.version,
    )


def refused(before: AgentStatus | None, identity: str, code: int, at: float) -> AgentStatus:
    """The status after a startup that was refused: 1 for a version that is too high, 2 for none."""
    base = before or AgentStatus(id=identity)
    return base if base.is_live else replace(base, state="disconnected", disconnected_at=at, status_code=code)


def kept_alive(before: AgentStatus, keepalive: Keepalive, *, synced: bool, at: float) -> AgentStatus:
    """The status after a keepalive: active, with what the agent says of itself."""
    said: dict[str, Any] = {name: getattr(keepalive, name) for name in _KEEPALIVE_FIELDS}
    return replace(
        before,
        state="active",
        last_keepalive=at,
        disconnected_at=0.0,
        status_code=0,
        group_synced=synced,
        address=keepalive.agent_ip or before.address,
        **said,
    )


def disconnected(before: AgentStatus, code: int, at: float) -> AgentStatus:
    """The status after the agent went, by its own word or for want of keepalives."""
    return replace(before, state="disconnected", disconnected_at=at, status_code=code)


def newer(old: AgentStatus | None, new: AgentStatus) -> bool:
    """True when `new` counts over `old`: a later session, or the same one."""
    return old is None or (new.since, new.session) >= (old.since, old.session)


def is_only_time(old: AgentStatus | None, new: AgentStatus) -> bool:
    """True when nothing but the time of the last keepalive differs: such news travels in batches."""
    return old is not None and replace(old, last_keepalive=new.last_keepalive) == new


def overdue(book: Iterable[AgentStatus], now: float, threshold_s: float) -> list[AgentStatus]:
    """The live agents whose last keepalive is older than the threshold."""
    return [status for status in book if status.is_live and now - status.last_keepalive > threshold_s]


def encode_status(status: AgentStatus) -> bytes:
    """The status as text; members that are None are left out."""
    values = {name: value for name in AgentStatus.__slots__ if (value := getattr(status, name)) is not None}
    return json.dumps(values, separators=(",", ":")).encode()


_TYPES: dict[str, type | tuple[type, ...]] = {
    "since": (int, float),
    "last_keepalive": (int, float),
    "disconnected_at": (int, float),
    "status_code": int,
    "group_synced": bool,
}


def decode_status(text: bytes) -> AgentStatus:
    """The status; `PeerError` for a member of another type. Unknown members are passed over."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PeerError("status is not JSON") from error
    if not isinstance(values, dict):
        raise PeerError("status is not an object")
    known = {name: value for name, value in values.items() if name in AgentStatus.__slots__}
    for name, value in known.items():
        if not isinstance(value, _TYPES.get(name, str)) or (
            isinstance(value, str) and len(value) > _MOST_TEXT
        ):
            raise PeerError(f"status with a member '{name}' of another type")
    if not known.get("id") or known.get("state") not in get_args(State):
        raise PeerError("status without an id or state")
    return AgentStatus(**cast(Any, known))


def encode_seen(seen: Iterable[tuple[str, str, float]]) -> bytes:
    """A batch of (agent, session, time of its last keepalive)."""
    return json.dumps([list(row) for row in seen], separators=(",", ":")).encode()


def decode_seen(text: bytes) -> list[tuple[str, str, float]]:
    """The batch; `PeerError` for anything else."""
    try:
        rows = json.loads(text)
        return [(str(identity), str(session), float(at)) for identity, session, at in rows]
    except (ValueError, TypeError, RecursionError) as error:
        raise PeerError("batch of keepalives is damaged") from error
