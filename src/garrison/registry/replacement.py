"""When a newcomer may take the place of an agent that holds its name or address. Pure.

Source: spec/agent-channel.md 2.6; vectors enrollment.json (dup-*).
"""

from __future__ import annotations

from dataclasses import dataclass

from garrison.config.model import ForceConfig
from garrison.registry.model import Agent
from garrison.registry.status import AgentStatus


@dataclass(frozen=True, slots=True)
class Standing:
    """How the holder of a name stands: None for `status` when nothing is known of it."""

    agent: Agent
    status: AgentStatus | None


def why_not_replace(standing: Standing, force: ForceConfig, key_hash: str | None, now: float) -> str | None:
    """The reason, in the words of the manager's log, why the holder stays; None when it may be replaced.

    `now` is seconds since 1970. `key_hash` is what the newcomer sent as K.
    """
    agent, status = standing.agent, standing.status
    who = f"Agent '{agent.id}'"
    if not force.enabled:
        return f"{who} won't be removed because the force option is disabled."
    if status is None:
        return f"{who} can't be replaced since it is not disconnected."
    if force.disconnected_time_enabled and status.state != "never_connected":
        if status.state != "disconnected" or status.disconnected_at == 0:
            return f"{who} can't be replaced since it is not disconnected."
        if now - status.disconnected_at < force.disconnected_time_s:
            return f"{who} has not been disconnected long enough to be replaced."
    if force.after_registration_time_s and now - agent.added_at < force.after_registration_time_s:
        return f"{who} doesn't comply with the registration time to be removed."
    if force.key_mismatch and key_hash is not None and key_hash.lower() == agent.entry.hash():
        return f"{who} key already exists on the manager."
    return None
