"""What a session asks its driver to do, in order. Pure values.

Look  Bind  Greet        a question: the session waits for `known`, `bound` or `greeted`
More                     the session's turn is over, and it is not done: call `go_on`
Send  SendClear  Close   the connection
Deliver  Alive  Ended  Released  RefusedVersion  Answered  Log      what came of a message
"""

from __future__ import annotations

from dataclasses import dataclass

from garrison.channel.ports import AgentEvent
from garrison.registry.model import Agent
from garrison.wire.keepalive import Keepalive


@dataclass(frozen=True, slots=True)
class Look:
    """Find the agent of this id, or registered with this address; answer with `known`."""

    identity: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Bind:
    """An envelope of this agent opened: is this its one connection? Answer with `bound`."""

    agent: Agent


@dataclass(frozen=True, slots=True)
class Greet:
    """The agent wants to be served here: may it be? Answer with `greeted`.

    `is_hello` is false for a keepalive in place of a hello: over UDP an agent does not notice that its node was
    started anew, or that another one took its place.
    """

    agent: Agent
    version: str | None
    is_hello: bool = True


@dataclass(frozen=True, slots=True)
class Send:
    """Seal and send this message."""

    message: bytes


@dataclass(frozen=True, slots=True)
class SendClear:
    """Send this without sealing it."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Alive:
    """A keepalive came: acknowledge, note it, look at the bundle."""

    agent: Agent
    keepalive: Keepalive


@dataclass(frozen=True, slots=True)
class RefusedVersion:
    """A hello was refused for its version: 1 too high, 2 none."""

    agent: Agent
    code: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The agent says that it ends. Over TCP its connection holds its place until it is closed; over UDP nothing is
    closed, so the place is free now, and a message after this asks for `Bind` again."""

    agent: Agent


@dataclass(frozen=True, slots=True)
class Released:
    """Another node serves the agent: this is its connection no more (UDP, where nothing can be closed)."""

    agent: Agent


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer to a request, or its acknowledgment over UDP."""

    agent: Agent
    counter: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Deliver:
    """Events, in the order in which they came."""

    events: tuple[AgentEvent, ...]


@dataclass(frozen=True, slots=True)
class Log:
    """A line for the log; everything a peer chose in it is escaped."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class More:
    """Complete messages are left: read no further, let others have their turn, then call `go_on`."""


@dataclass(frozen=True, slots=True)
class Close:
    """This connection is over."""


Effect = (
    Look
    | Bind
    | Greet
    | Send
    | SendClear
    | Alive
    | RefusedVersion
    | Ended
    | Released
    | Answered
    | Deliver
    | Log
    | More
    | Close
)
