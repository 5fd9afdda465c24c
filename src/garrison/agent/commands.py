"""What the pure session asks its driver to do. The driver does these in order and decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from garrison.config.model import ServerConfig


class Status(Enum):
    """The word in the agent's state file (spec/agent-channel.md 4.4)."""

    PENDING = "pending"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a connection to `server`; report `connected` or `connect_failed`."""

    server: ServerConfig


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """Close the connection, if there is one. Messages that the peer's kernel never took are taken back."""


@dataclass(frozen=True, slots=True)
class Send:
    """Seal and send `message` at once, ahead of the ring."""

    message: bytes


@dataclass(frozen=True, slots=True)
class Log:
    """A line for logs/ossec.log. `level` is a name of `logging`; `program` the daemon operators know."""

    level: str
    text: str
    program: str = "wazuh-agentd"


@dataclass(frozen=True, slots=True)
class Enroll:
    """Ask the enrollment service at `address` for a key; report `enrolled`. None: the configured port."""

    address: str


@dataclass(frozen=True, slots=True)
class LoadKey:
    """Read client.keys again; report `key_loaded`."""


@dataclass(frozen=True, slots=True)
class StoreFile:
    """Write a received file, checked and whole, to etc/shared/`name` (a plain name)."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """A transfer of etc/shared/`name` failed: nothing of that name may stay."""

    name: str


@dataclass(frozen=True, slots=True)
class UnpackBundle:
    """Make etc/shared hold exactly this bundle, then judge and apply agent.conf."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Ask:
    """Answer the manager's question; report `answered` with the same counter."""

    counter: str
    target: str
    payload: str


@dataclass(frozen=True, slots=True)
class Respond:
    """Carry out an active response."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class End:
    """The agent cannot go on; leave with `exit_code`."""

    exit_code: int


Command = (
    Connect
    | CloseConnection
    | Send
    | Log
    | Enroll
    | LoadKey
    | StoreFile
    | RemoveFile
    | UnpackBundle
    | Ask
    | Respond
    | End
)
