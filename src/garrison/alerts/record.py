"""A verdict as the alert object that JSON outputs, forwarders and the log test share. Pure.

    {"timestamp": ..., "rule": {...}, "agent": {...}, "manager": {...}, "id": "1795576743.0", "cluster": {...},
     "previous_output": ..., "full_log": ..., "predecoder": {...}, "decoder": {...}, "data": {...}, "location": ...}

The order of keys is part of the format. Texts are `str`; bytes that are no UTF-8 travel as `surrogateescape`
does, `json_text.encode_json` puts them back. `line` makes the same bytes faster, with these functions where it can.
Source: spec/analysis.md 14; spec/analysis-3-outputs.md 2.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from garrison.alerts.labels import Labels
from garrison.analysis.event import (
    LOCAL_AGENT,
    STATIC_FIELDS,
    DecoderCard,
    Event,
    MitreMark,
    RuleCard,
    Verdict,
)
from garrison.analysis.predecode import shown_hostname


def no_address(agent_id: str) -> str | None:
    """No agent has a better known address than its location tells."""
    return None


def no_labels(agent_id: str) -> Labels | None:
    """No agent has labels."""
    return None


def no_mitre(mark: MitreMark) -> dict[str, list[str]] | None:
    """There is no ATT&CK database."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What an alert says about this node and about agents.

    `manager_name` is the full host name. `cluster_name` None leaves `cluster` out. `agent_ip` gives the last
    known address of an agent id, `labels` its visible labels (dotted names nest; None for an agent without any),
    `mitre` the object for the technique ids of a rule.
    """

    manager_name: str
    cluster_name: str | None = None
    node_name: str | None = None
    agent_ip: Callable[[str], str | None] = no_address
    labels: Callable[[str], Labels | None] = no_labels
    mitre: Callable[[MitreMark], dict[str, list[str]] | None] = no_mitre


_COMPLIANCE = ("pci_dss", "cis", "gdpr", "gpg13", "hipaa", "nist_800_53", "tsc")
_MOST_GROUP_BYTES = 1023
MOST_KNOWN_BYTES = 128
_MOST_WHOLE = 1e15
_ASSESSED = b"sca.check.compliance."
_COMPLIANCE_MARK = re.compile(rb"\{([A-Za-z0-9_]*): ([A-Za-z0-9_., ]*)\}")
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
        found["rule"] = rule_object(verdict, verdict.rule, context)
    agentless = agentless_object(event)
    if agentless is None:
        found["agent"] = agent_object(event, context)
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
    found["location"] = text_of(place(event))
    if agentless is not None:
        found["agentless"] = agentless
    return found


def _add_decoding(found: dict[str, Any], verdict: Verdict) -> None:
    event = verdict.event
    header = header_object(event)
    is_first = "program_name" in header or "timestamp" in header
    if is_first:
        found["predecoder"] = header
    found["decoder"] = decoder_object(event.decoder)
    if verdict.previous_log is not None:
        found["previous_log"] = text_of(verdict.previous_log)
    if event.extra is None and (data := data_object(event)):
        found["data"] = data
    if header and not is_first:
        found["predecoder"] = header


def local_time(at: float) -> str:
    """`2026-11-25T03:19:03.666+0000`, local time, milliseconds cut off."""
    local = datetime.fromtimestamp(int(at)).astimezone()
    return f"{local:%Y-%m-%dT%H:%M:%S}.{milliseconds(at):03d}{local:%z}"


def milliseconds(at: float) -> int:
    """What is after the second, cut; a time that was given with three digits keeps them."""
    return min(round((at - int(at)) * 1_000_000), 999_999) // 1_000


def rule_object(verdict: Verdict, card: RuleCard, context: Context) -> dict[str, Any]:
    """`rule` of an alert; a level of 0 is left out."""
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
    if takes_compliance(verdict, card):
        _add_compliance(rule, verdict.event)
    return rule


def takes_compliance(verdict: Verdict, card: RuleCard) -> bool:
    """True when standards are also named by the event itself: rootcheck's rules and configuration assessment."""
    decoder = verdict.event.decoder
    is_assessment = decoder is not None and decoder.name == b"sca"
    return is_assessment or (b"rootcheck" in card.groups and b"rootcheck" in card.groups.split(b","))


def _add_compliance(rule: dict[str, Any], event: Event) -> None:
    """Adds `{PCI_DSS: 2.2, 2.2.1}` of a rootcheck log, or `sca.check.compliance.*` of an assessment."""
    if "rootcheck" in rule["groups"]:
        for found in _COMPLIANCE_MARK.finditer(event.full_log):
            values = [value.strip() for value in found[2].decode("ascii").split(",")]
            rule[found[1].decode("ascii").lower()] = values
    for name, value in event.dynamic:
        standard = name.removeprefix(_ASSESSED)
        if standard != name:
            listed = rule.setdefault(text_of(standard), [])
            if isinstance(listed, list):
                listed += [part.strip() for part in text_of(value).split(",")]


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


def agent_object(event: Event, context: Context) -> dict[str, Any]:
    """`agent` of an alert."""
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
    labels = context.labels(identity)
    if labels is not None:
        nest = Nest()
        for name, value in labels:
            nest.add(name, value)
        agent["labels"] = nest.members
    return agent


def agentless_object(event: Event) -> dict[str, str] | None:
    """`agentless` of an alert that came from a host without an agent, else None."""
    if event.agent_id != b"000" or not event.location.startswith(b"("):
        return None
    match = _AGENTLESS.match(text_of(event.location))
    return match.groupdict() if match else None


def place(event: Event) -> bytes:
    """The location without the agent, or the host without one, in front of it."""
    if event.agent_id == LOCAL_AGENT and agentless_object(event) is None:
        return event.location
    _, found, source = event.location.partition(b">")
    return source if found else event.location


def header_object(event: Event) -> dict[str, str]:
    """`predecoder` of an alert; may be empty."""
    header: dict[str, str] = {}
    if event.program_name is not None:
        header["program_name"] = text_of(event.program_name)
    if event.timestamp is not None:
        header["timestamp"] = text_of(event.timestamp)
    hostname = shown_hostname(event.full_log)
    if hostname is not None:
        header["hostname"] = text_of(hostname)
    return header


def decoder_object(card: DecoderCard | None) -> dict[str, Any]:
    """`decoder` of an alert; empty where none matched."""
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


def data_object(event: Event) -> dict[str, Any]:
    """`data` of an alert: static fields, then dynamic ones under their dotted names; may be empty."""
    static = event.static
    nest = Nest({name: text_of(static[name]) for name in STATIC_FIELDS if name in static} if static else {})
    for raw, value in event.dynamic:
        if value or raw.startswith(b"syscheck_"):
            text = value.decode("utf-8", "surrogateescape")
            path = _known_path(raw) if len(raw) <= MOST_KNOWN_BYTES else _path(text_of(raw))
            nest.put(path, _json_or_text(text) if text.startswith("[") else text)
    return nest.members


def _json_or_text(text: str) -> Any:
    """A text that is one whole JSON array is put in as such."""
    try:
        found = json.loads(text, strict=False, parse_float=_number, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text
    return found if isinstance(found, list) else text


def _number(digits: str) -> int | float:
    """Whole numbers have no fraction, whoever wrote one."""
    number = float(digits)
    return int(number) if number.is_integer() and abs(number) < _MOST_WHOLE else number


def _refuse(word: str) -> Any:
    raise ValueError(word)


class FieldPath(NamedTuple):
    """A dotted name taken apart: whole in lower case, the parts that lead to its last one, and that.

    Each leading part comes with the way to it in lower case: `a.B.c` has ("a", "a"), ("B", "a.b").
    """

    low: str
    leading: tuple[tuple[str, str], ...]
    last: str


def _path(name: str) -> FieldPath:
    low = name.lower() if name.isascii() else "".join(c.lower() if c.isascii() else c for c in name)
    *parts, last = name.split(".")
    leading, end = [], -1
    for part in parts:
        end += 1 + len(part)
        leading.append((part, low[:end]))
    return FieldPath(low, tuple(leading), last)


@lru_cache(maxsize=16_384)
def _known_path(raw: bytes) -> FieldPath:
    """The same, remembered: the fields of a decoder have the same few names in all events."""
    return _path(text_of(raw))


class Nest:
    """Members under dotted names; a name that is taken, or that leads through a value, makes the new one vanish.

    Names are compared without regard to the case of ASCII letters. `members` is the whole object.
    """

    def __init__(self, members: dict[str, Any] | None = None) -> None:
        self.members: dict[str, Any] = members if members is not None else {}
        self._taken: dict[str, dict[str, Any] | None] = dict.fromkeys(self.members)

    def add(self, name: str, value: Any) -> None:
        """Puts `value` under `name`."""
        self.put(_path(name), value)

    def put(self, path: FieldPath, value: Any) -> None:
        """The same for a name that is taken apart already."""
        low, leading, last = path
        taken = self._taken
        if low in taken:
            return
        into: dict[str, Any] | None = self.members
        if leading:
            into = taken.get(leading[-1][1]) or self._folder(leading)
            if into is None:
                return
        assert into is not None
        into[last] = value
        taken[low] = None

    def _folder(self, leading: tuple[tuple[str, str], ...]) -> dict[str, Any] | None:
        """The object that `leading` leads to, made where it is missing; None behind a value."""
        into = self.members
        for part, way in leading:
            if way in self._taken:
                below = self._taken[way]
                if below is None:
                    return None
            else:
                below = into[part] = {}
                self._taken[way] = below
            into = below
        return into
