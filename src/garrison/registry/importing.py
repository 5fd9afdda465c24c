"""Taking over the agents of an existing `client.keys`. Pure.

Ids, names, addresses and keys are kept, so that the fleet connects without enrolling anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from garrison.ground.errors import Fault, PeerError
from garrison.registry.model import Agent
from garrison.wire.address import parse_registered
from garrison.wire.client_keys import decode_key_file
from garrison.wire.names import is_valid_name


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportPlan:
    """What is to be added, how many lines are in the registry already, and what is wrong with the rest."""

    add: tuple[Agent, ...]
    present: int
    faults: tuple[Fault, ...]


def plan_import(text: str, known: Mapping[str, Agent], now: float, path: str = "client.keys") -> ImportPlan:
    """The plan for `text` where the agents `known` (by id) are registered. Doing it twice adds nothing."""
    file = decode_key_file(text, path)
    lines = {line.split(" ", 1)[0]: number for number, line in enumerate(text.split("\n"), 1)}
    names = {agent.name: agent for agent in known.values() if not agent.removed}
    faults, add, present = list(file.faults), [], 0
    for entry in file.entries:
        holder = known.get(entry.id)
        if holder is not None and holder.entry == entry:
            present += 1
            continue
        wrong = _wrong(entry.id, entry.name, entry.ip, holder, names)
        if wrong is not None:
            faults.append(Fault(path=path, line=lines.get(entry.id, 0), found=wrong[0], expected=wrong[1]))
            continue
        agent = Agent(
            id=entry.id,
            name=entry.name,
            ip=parse_registered(entry.ip),
            key=entry.key,
            groups=("default",),
            added_at=now,
        )
        names[agent.name] = agent
        add.append(agent)
    return ImportPlan(add=tuple(add), present=present, faults=tuple(faults))


def _wrong(
    identity: str, name: str, ip: str, holder: Agent | None, names: Mapping[str, Agent]
) -> tuple[str, str] | None:
    if holder is not None:
        return f"id {identity} belongs to agent '{holder.name}'", "another id, or remove that agent first"
    if len(identity) > 8:
        return "id is too long", "at most 8 digits"
    if not is_valid_name(name):
        return "not an agent's name", "2 to 128 letters, digits, '.', '_', '-', not beginning with a dot"
    if name in names:
        return f"name '{name}' belongs to agent {names[name].id}", "another name, or remove that agent first"
    try:
        parse_registered(ip)
    except PeerError:
        return "not an address", "any, an address, or a network"
    return None


def highest(agents: Iterable[Agent]) -> int:
    """The highest id among `agents`, removed ones included; 0 when there is none."""
    return max((int(agent.id) for agent in agents), default=0)
