"""A verdict as the alert object that JSON outputs, forwarders and the log test share. Pure.

    {"timestamp": ..., "rule": {...}, "agent": {...}, "manager": {...}, "id": "1795576743.0", "cluster": {...},
     "previous_output": ..., "full_log": ..., "predecoder": {...}, "decoder": {...}, "data": {...}, "location": ...}

The order of keys is part of the format. Texts are `str`; bytes that are no UTF-8 travel as `surrogateescape`
does, `json_text.encode_json` puts them back. Source: spec/analysis.md 14.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from garrison.analysis.event import STATIC_FIELDS, Event, MitreMark, RuleCard, Verdict
from garrison.analysis.predecode import shown_hostname

Labels = tuple[tuple[str, str], ...]


def no_address(agent_id: str) -> str | None:
    """No agent has a better known address than its location tells."""
    return None


def no_labels(agent_id: str) -> Labels:
    """No agent has labels."""
    return ()


def no_mitre(mark: MitreMark) -> dict[str, list[str]] | None:
    """There is no ATT&CK database."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What an alert says about this node and about agents.

    `manager_name` is the full host name. `cluster_name` None leaves `cluster` out. `agent_ip` gives the last
    known address of an agent id, `labels` its visible labels (dotted names nest), `mitre` the object for the
    technique ids of a rule.
    """

    manager_name: str
    cluster_name: str | None = None
    node_name: str | None = None
    agent_ip: Callable[[str], str | None] = no_address
    labels: Callable[[str], Labels] = no_labels
    mitre: Callable[[MitreMark], dict[str, list[str]] | None] = no_mitre


_COMPLIANCE = ("pci_dss", "cis", "gdpr", "gpg13", "hipaa", "nist_800_53", "tsc")
_MOST_GROUP_BYTES = 1023
_AGENT_PLACE = re.compile(r"^\([^)]*\) (?P<ip>[^>]*?)->")
_AGENTLESS = re.compile(r"^\((?P<script>[^)]*)\) (?P<user>[^@]*)@(?P<host>[^-]*(?:-(?!>)[^-]*)*)->")


def text_of(data: bytes) -> str:
    """Bytes of a log as text that `encode_json` turns back into the same bytes."""
    return data.decode("utf-8", "surrogateescape")


def alert_object(verdict: Verdict, context: Context, alert_id: str) -> dict[str, Any]:
    """The object of an alert; `alert_id` is `SECONDS.OFFSET`. A level of 0 is left out."""
    shows_log = verdict.rule is None or verdict.rule.shows_full_log
    return _object(verdict, context, alert_id, with_rule=verdict.rule is not None, shows_log=shows_log)


def archive_object(verdict: Verdict, context: Context, alert_id: str) -> dict[str, Any]:
    """The same for the archives: the full log is always there, a rule only when its level is above 0."""
    return _object(verdict, context, alert_id, with_rule=verdict.level > 0, shows_log=True)


def log_test_object(verdict: Verdict, context: Context, alert_id: str) -> dict[str, Any]:
    """The same for the log test: `rule` ends with its level also where that is 0."""
    found = alert_object(verdict, context, alert_id)
    if verdict.rule is not None and verdict.rule.level == 0:
        found["rule"]["level"] = 0
    return found


def _object(
    verdict: Verdict, context: Context, alert_id: str, *, with_rule: bool, shows_log: bool
) -> dict[str, Any]:
    event = verdict.event
    found: dict[str, Any] = {"timestamp": local_time(event.at)}
    if with_rule and verdict.rule is not None:
        found["rule"] = _rule(verdict, verdict.rule, context)
    agentless = _agentless(event)
    if agentless is None:
        found["agent"] = _agent(event, context)
    found["manager"] = {"name": context.manager_name}
    found["id"] = alert_id
    if context.cluster_name is not None:
        found["cluster"] = {"name": context.cluster_name}
        if context.node_name is not None:
            found["cluster"]["node"] = context.node_name
    if len(verdict.previous) > 1 and verdict.previous[1]:
        found["previous_output"] = text_of(b"\n".join(verdict.previous))
    if shows_log:
        found["full_log"] = text_of(event.full_log)
    if event.extra is not None:
        found["syscheck"] = dict(event.extra)
    _add_decoding(found, verdict)
    found["location"] = _location(event)
    if agentless is not None:
        found["agentless"] = agentless
    return found


def _add_decoding(found: dict[str, Any], verdict: Verdict) -> None:
    event = verdict.event
    header = _header(event)
    is_first = "program_name" in header or "timestamp" in header
    if is_first:
        found["predecoder"] = header
    found["decoder"] = _decoder(event)
    if verdict.previous_log is not None:
        found["previous_log"] = text_of(verdict.previous_log)
    data = _data(event)
    if data:
        found["data"] = data
    if header and not is_first:
        found["predecoder"] = header


def local_time(at: float) -> str:
    """`2026-11-25T03:19:03.666+0000`, local time."""
    local = datetime.fromtimestamp(at).astimezone()
    return f"{local:%Y-%m-%dT%H:%M:%S}.{local.microsecond // 1000:03d}{local:%z}"


def _rule(verdict: Verdict, card: RuleCard, context: Context) -> dict[str, Any]:
    rule: dict[str, Any] = {}
    if card.level:
        rule["level"] = card.level
    rule["description"] = text_of(verdict.description)
    rule["id"] = str(card.id)
    if card.mitre is not None and (mitre := context.mitre(card.mitre)) is not None:
        rule["mitre"] = mitre
    if card.cve is not None:
        rule["cve"] = text_of(card.cve)
    if card.info is not None:
        rule["info"] = text_of(card.info)
    if card.frequency is not None:
        rule["frequency"] = card.frequency
    if card.shows_counter:
        rule["firedtimes"] = verdict.fired_times
    rule["mail"] = card.is_mailed
    rule.update(_groups(card.groups))
    return rule


def _groups(raw: bytes) -> dict[str, list[str]]:
    """`groups`, then one list for each compliance standard that is named, in the order of first appearance."""
    groups: list[str] = []
    standards: dict[str, list[str]] = {}
    for group in text_of(raw[:_MOST_GROUP_BYTES]).split(","):
        standard = next((name for name in _COMPLIANCE if group.startswith(name + "_")), None)
        if standard is not None:
            standards.setdefault(standard, []).append(group[len(standard) + 1 :])
        elif group:
            groups.append(group)
    return {"groups": groups, **standards}


def _agent(event: Event, context: Context) -> dict[str, Any]:
    identity = text_of(event.agent_id)
    agent: dict[str, Any] = {"id": identity}
    place = text_of(event.location)
    if identity == "000":
        agent["name"] = context.manager_name
    elif place.startswith("("):
        agent["name"] = text_of(event.hostname)
    address = context.agent_ip(identity)
    if address is None and (match := _AGENT_PLACE.match(place)):
        address = match["ip"]
    if address and address != "any":
        agent["ip"] = address
    labels: dict[str, Any] = {}
    for name, value in context.labels(identity):
        _nest(labels, name, value)
    if labels:
        agent["labels"] = labels
    return agent


def _agentless(event: Event) -> dict[str, str] | None:
    if event.agent_id != b"000" or not event.location.startswith(b"("):
        return None
    match = _AGENTLESS.match(text_of(event.location))
    return match.groupdict() if match else None


def _location(event: Event) -> str:
    if event.agent_id == b"000":
        return text_of(event.location)
    _, found, source = event.location.partition(b">")
    return text_of(source if found else event.location)


def _header(event: Event) -> dict[str, str]:
    header: dict[str, str] = {}
    if event.program_name is not None:
        header["program_name"] = text_of(event.program_name)
    if event.timestamp is not None:
        header["timestamp"] = text_of(event.timestamp)
    hostname = shown_hostname(event.full_log)
    if hostname is not None:
        header["hostname"] = text_of(hostname)
    return header


def _decoder(event: Event) -> dict[str, Any]:
    card = event.decoder
    if card is None:
        return {}
    decoder: dict[str, Any] = {}
    if card.accumulates:
        decoder["accumulate"] = 1
    if card.parent is not None:
        decoder["parent"] = text_of(card.parent)
    decoder["name"] = text_of(card.name)
    if card.fts_comment is not None:
        decoder["ftscomment"] = text_of(card.fts_comment)
    return decoder


def _data(event: Event) -> dict[str, Any]:
    data: dict[str, Any] = {
        name: text_of(event.static[name]) for name in STATIC_FIELDS if name in event.static
    }
    for raw, value in event.dynamic:
        if value or raw.startswith(b"syscheck_"):
            _nest(data, text_of(raw), _json_or_text(text_of(value)))
    return data


def _json_or_text(value: str) -> Any:
    """A text that is one whole JSON array is put in as such."""
    if value.startswith("["):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return value
        if isinstance(found, list):
            return found
    return value


def _nest(into: dict[str, Any], name: str, value: Any) -> None:
    """Puts `value` under a dotted name; a name that is taken, or that leads through a value, makes it vanish."""
    *path, last = name.split(".")
    for part in path:
        key = _present(into, part)
        if key is None:
            into[part] = {}
            key = part
        below = into[key]
        if not isinstance(below, dict):
            return
        into = below
    if _present(into, last) is None:
        into[last] = value


def _present(members: dict[str, Any], name: str) -> str | None:
    if name in members:
        return name
    lowered = name.lower()
    return next((key for key in members if key.lower() == lowered), None)
