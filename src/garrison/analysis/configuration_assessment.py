"""Configuration assessment events (queue p): results of checks, summaries of scans. Pure but for the memory handed in.

    {"type":"check","id":17,"policy":"CIS","policy_id":"cis","check":{"id":28500,"title":"...","result":"failed",...}}

A check has data, and so can match a rule, only when its result differs from what the agent last said of it.
Source: spec/analysis.md 18.4; spec/analysis-3-outputs.md 7.4.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from garrison.analysis import cjson
from garrison.analysis.event import DecoderCard, Event
from garrison.analysis.fields import add_named
from garrison.analysis.module_json import NoEvent, member, members, read_object, text

MOST_RESULTS = 200_000
MOST_TEXT_BYTES = 128

_CHECK_TEXTS = ("title", "description", "rationale", "remediation")
_CHECK_LISTS = ("file", "directory", "registry", "process", "command")
_SUMMARY_NEEDS = (
    "policy_id scan_id start_time end_time passed failed invalid total_checks score hash hash_file file name"
).split()


class Results:
    """The last result of each agent's check, and the last hash of each policy; bounded, the oldest go first."""

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[bytes, str, str], str] = OrderedDict()
        self.forgotten = 0

    def replace(self, agent: bytes, policy: str, check: str, result: str) -> str | None:
        """What was there before; None when nothing was."""
        key = (agent, policy[:MOST_TEXT_BYTES], check[:MOST_TEXT_BYTES])
        before = self._last.pop(key, None)
        self._last[key] = result[:MOST_TEXT_BYTES]
        while len(self._last) > MOST_RESULTS:
            self._last.popitem(last=False)
            self.forgotten += 1
        return before


def decode(event: Event, results: Results) -> None:
    """Fills the event; raises `NoEvent` where it is none."""
    message = read_object(event.log)
    kind = text(member(message, "type"))
    decoder = {"check": _check, "summary": _summary, "policies": None, "dump_end": None}.get(kind, _unknown)
    event.decoder = DecoderCard(name=b"sca")
    event.category = "ossec"
    if decoder is not None:
        decoder(event, message, results)


def _unknown(event: Event, message: Any, results: Results) -> None:
    raise NoEvent(f"type {text(member(message, 'type'))[:40]!r}")


def _check(event: Event, message: Any, results: Results) -> None:
    check = member(message, "check")
    scan, policy, policy_id = (text(member(message, name)) for name in ("id", "policy", "policy_id"))
    identity, title = text(member(check, "id")), text(member(check, "title"))
    if not all((scan, policy, policy_id, identity, title)):
        raise NoEvent("a check without id, policy, policy_id, check.id or check.title")
    result = text(member(check, "result")) or "not applicable"
    before = results.replace(event.agent_id, policy_id, identity, result)
    if before == result:
        return
    _add(event, "type", "check")
    _add(event, "scan_id", scan)
    _add(event, "policy", policy)
    _add(event, "check.id", identity)
    for name in _CHECK_TEXTS:
        _add(event, f"check.{name}", text(member(check, name)))
    for name, value in members(member(check, "compliance")):
        _add(event, f"check.compliance.{name}", text(value))
    _add(event, "check.references", text(member(check, "references")))
    for name in _CHECK_LISTS:
        words = [word for word in text(member(check, name)).split(",") if word]
        _add(event, f"check.{name}", cjson.print_compact(words) if words else "")
    _add(event, "check.result", result)
    _add(event, "check.reason", text(member(check, "reason")))
    _add(event, "check.previous_result", before or "")


def _summary(event: Event, message: Any, results: Results) -> None:
    said = {name: text(member(message, name)) for name in _SUMMARY_NEEDS}
    missing = [name for name, value in said.items() if not value]
    if missing:
        raise NoEvent(f"a summary without {', '.join(missing)}")
    before = results.replace(event.agent_id, said["policy_id"], "", said["hash"])
    is_first = bool(text(member(message, "first_scan"))) and text(member(message, "first_scan")) != "0"
    is_forced = member(message, "force_alert") is not None
    if not is_forced and (is_first or before == said["hash"]):
        return
    _add(event, "type", "summary")
    _add(event, "scan_id", said["scan_id"])
    _add(event, "policy", said["name"])
    _add(event, "description", text(member(message, "description")))
    for name in ("policy_id", "passed", "failed", "invalid", "total_checks"):
        _add(event, name, said[name])
    _add(event, "score", said["score"].partition(".")[0])
    _add(event, "file", said["file"])


def _add(event: Event, name: str, value: str) -> None:
    if value:
        add_named(event, f"sca.{name}", value)
