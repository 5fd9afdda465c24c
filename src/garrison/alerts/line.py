"""Alerts and archived events straight to their JSON lines: what `record` makes, in a fraction of the time. Pure.

    {"timestamp":"...","rule":{"level":5,"description":"...","id":"5710",...},"agent":{...},"manager":...,"id":"...",...}
     by second               by rule           text      by rule             by agent      once

What repeats is kept as finished bytes: a second's time, a rule without its description and counter, an agent, a decoder.
The few events of another kind (file integrity, agentless hosts, compliance that the event names itself, foreign bytes)
take the slow way through `record`. Both ways give the same bytes; a test holds them together.
Source: spec/analysis.md 14.
"""

from __future__ import annotations

from typing import TypeVar

import orjson

from garrison.alerts import record
from garrison.alerts.json_text import encode_json
from garrison.alerts.labels import Labels
from garrison.alerts.record import Context
from garrison.analysis.event import LOCAL_AGENT, DecoderCard, Event, RuleCard, Verdict

LINE_END = b"\n"
MOST_KEPT = 20_000
MOST_AGENT_BYTES = 2_048

_DESCRIPTION = "\ufdd0 description"
_COUNTER = 4_611_686_018_427_387_847
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

_NO_EVENT = Event(
    at=0.0, queue="1", agent_id=LOCAL_AGENT, location=b"", hostname=b"", full_log=b"", log=b"", size=0
)

_dumps = orjson.dumps


class AlertLines:
    """The lines of one node."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._second = -1
        self._time = (b"", b"")
        self._rules: dict[RuleCard, tuple[bytes, bytes, bytes | None]] = {}
        self._agents: dict[tuple[bytes, bytes, bytes, str | None, Labels | None], bytes] = {}
        self._decoders: dict[int, tuple[DecoderCard | None, bytes]] = {}
        self._manager = b',"manager":' + _dumps({"name": context.manager_name}) + b',"id":"'
        self._cluster = b'"' + self._cluster_part()

    def _cluster_part(self) -> bytes:
        context = self._context
        if context.cluster_name is None:
            return b""
        cluster = {"name": context.cluster_name}
        if context.node_name is not None:
            cluster["node"] = context.node_name
        return b',"cluster":' + _dumps(cluster)

    def alert(self, verdict: Verdict, alert_id: str) -> bytes:
        """The line of alerts.json; `alert_id` is `SECONDS.OFFSET`."""
        card = verdict.rule
        try:
            line = self._line(verdict, alert_id, card, shows_log=card is None or card.shows_full_log)
        except (UnicodeError, TypeError):
            line = None
        return line or encode_json(record.alert_object(verdict, self._context, alert_id)) + LINE_END

    def archive(self, verdict: Verdict, alert_id: str) -> bytes:
        """The line of archives.json: the full log is always there, a rule only when its level is above 0."""
        card = verdict.rule if verdict.level > 0 else None
        try:
            line = self._line(verdict, alert_id, card, shows_log=True)
        except (UnicodeError, TypeError):
            line = None
        return line or encode_json(record.archive_object(verdict, self._context, alert_id)) + LINE_END

    def _line(
        self, verdict: Verdict, alert_id: str, card: RuleCard | None, *, shows_log: bool
    ) -> bytes | None:
        """None for what takes the slow way; raises UnicodeError or TypeError for foreign bytes."""
        event = verdict.event
        if event.extra is not None or (event.agent_id == LOCAL_AGENT and event.location.startswith(b"(")):
            return None
        pieces = [self._timestamp(event.at)]
        if card is not None:
            if record.takes_compliance(verdict, card):
                return None
            head, middle, tail = self._rule(card)
            if tail is None:
                pieces += (head, _dumps(verdict.description.decode()), middle)
            else:
                pieces += (
                    head,
                    _dumps(verdict.description.decode()),
                    middle,
                    b"%d" % verdict.fired_times,
                    tail,
                )
        pieces += (self._agent(verdict), self._manager, alert_id.encode(), self._cluster)
        if len(verdict.previous) > 1 and verdict.previous[1]:
            pieces += (b',"previous_output":', _dumps(b"\n".join(verdict.previous).decode()))
        if shows_log:
            pieces += (b',"full_log":', _dumps(event.full_log.decode()))
        header = record.header_object(event)
        is_first = "program_name" in header or "timestamp" in header
        if is_first:
            pieces += (b',"predecoder":', _dumps(header))
        pieces.append(self._decoder(event.decoder))
        if verdict.previous_log is not None:
            pieces += (b',"previous_log":', _dumps(verdict.previous_log.decode()))
        if event.static or event.dynamic:
            data = record.data_object(event)
            if data:
                pieces += (b',"data":', _dumps(data))
        if header and not is_first:
            pieces += (b',"predecoder":', _dumps(header))
        pieces += (b',"location":', _dumps(record.place(event).decode()), b"}\n")
        return b"".join(pieces)

    def _timestamp(self, at: float) -> bytes:
        second = int(at)
        if second != self._second:
            text = record.local_time(second).encode()
            self._second, self._time = second, (b'{"timestamp":"' + text[:20], text[23:] + b'"')
        begin, end = self._time
        return b"%s%03d%s" % (begin, record.milliseconds(at), end)

    def _rule(self, card: RuleCard) -> tuple[bytes, bytes, bytes | None]:
        """What stands before the description, between it and the counter, and after; without a counter two pieces."""
        found = self._rules.get(card)
        if found is None:
            found = _keep(self._rules, card, _rule_pieces(card, self._context))
        return found

    def _agent(self, verdict: Verdict) -> bytes:
        event, context = verdict.event, self._context
        identity = event.agent_id.decode()
        where = event.location.partition(b"->")[0] if event.location.startswith(b"(") else b""
        address, labels = context.agent_ip(identity), context.labels(identity)
        key = (event.agent_id, where, event.hostname if where else b"", address, labels)
        found = self._agents.get(key)
        if found is None:
            made = b',"agent":' + _dumps(record.agent_object(event, context))
            if len(made) > MOST_AGENT_BYTES:
                return made
            found = _keep(self._agents, key, made)
        return found

    def _decoder(self, card: DecoderCard | None) -> bytes:
        found = self._decoders.get(id(card))
        if found is None or found[0] is not card:
            made = b',"decoder":' + _dumps(record.decoder_object(card))
            found = _keep(self._decoders, id(card), (card, made))
        return found[1]


def _keep(table: dict[_Key, _Value], key: _Key, value: _Value) -> _Value:
    """Keeps `value`; a table that is full begins anew, so that old rules and agents do not pile up."""
    if len(table) >= MOST_KEPT:
        table.clear()
    table[key] = value
    return value


def _rule_pieces(card: RuleCard, context: Context) -> tuple[bytes, bytes, bytes | None]:
    """The object of a rule, cut where the description stands (the first text in it) and where the counter does."""
    blank = Verdict(event=_NO_EVENT, rule=card, description=_DESCRIPTION.encode(), fired_times=_COUNTER)
    whole = b',"rule":' + _dumps(record.rule_object(blank, card, context))
    head, _, rest = whole.partition(_dumps(_DESCRIPTION))
    member = b',"firedtimes":'  # no text can hold this: quotes in texts have a backslash before them
    middle, counter, tail = rest.partition(member + b"%d" % _COUNTER)
    return (head, middle + member, tail) if counter else (head, rest, None)
