"""What a node keeps on its disk of the registry: `client.keys` for tools, and all of it for itself. Pure.

The view is rebuilt from the engine and is what the node serves while the engine is away.
Source: spec/agent-channel.md 1, 2.7.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from garrison.ground.errors import PeerError
from garrison.registry.model import Agent, decode_agent, encode_agent
from garrison.wire.client_keys import encode_key_file


def by_id(agents: Iterable[Agent]) -> list[Agent]:
    """Agents in the order of their ids."""
    return sorted(agents, key=lambda agent: (int(agent.id), agent.id))


def client_keys_text(agents: Iterable[Agent]) -> str:
    """`client.keys`: live agents by id, then removed ones."""
    ordered = by_id(agents)
    live = [agent.entry for agent in ordered if not agent.removed]
    return encode_key_file(live, [agent.entry for agent in ordered if agent.removed])


def timestamps_text(agents: Iterable[Agent]) -> str:
    """`queue/agents-timestamp`: when each live agent was registered, local time."""
    lines = []
    for agent in by_id(agents):
        if not agent.removed:
            local = datetime.fromtimestamp(agent.added_at, UTC).astimezone()
            lines.append(f"{agent.id} {agent.name} {agent.ip} {local:%Y-%m-%d %H:%M:%S}\n")
    return "".join(lines)


def encode_view(agents: Iterable[Agent]) -> bytes:
    """All of the registry, a record a line."""
    return b"".join(encode_agent(agent) + b"\n" for agent in by_id(agents))


def decode_view(text: bytes) -> tuple[list[Agent], int]:
    """The agents of a view, and how many of its lines are damaged."""
    agents, damaged = [], 0
    for line in text.splitlines():
        try:
            agents.append(decode_agent(line))
        except PeerError:
            damaged += 1
    return agents, damaged
