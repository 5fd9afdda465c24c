"""The decoders that are programs: JSON, SonicWall, PF, Symantec Web Security, forwarded alerts. Pure.

Each takes the event, the text that its offset leaves (None: nothing to read) and the decoder that owns the options.
Source: spec/analysis.md 7.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from garrison.analysis import cjson
from garrison.analysis.event import FORWARDED, Event, Forwarded
from garrison.analysis.fields import add_named
from garrison.analysis.patterns import RegexPattern
from garrison.analysis.program import DecoderNode

Plugin = Callable[[Event, bytes | None, DecoderNode], None]

MOST_CSV_BYTES = 65_535

_JSON_STATIC = {
    "srcip": "srcip",
    "dstip": "dstip",
    "srcport": "srcport",
    "dstport": "dstport",
    "protocol": "protocol",
    "action": "action",
    "srcuser": "srcuser",
    "dstuser": "dstuser",
    "id": "id",
    "status": "status",
    "url": "url",
    "data": "data",
    "extra_data": "extra_data",
    "systemname": "system_name",
}


def decode_json(event: Event, text: bytes | None, owner: DecoderNode) -> None:
    """The members of a JSON object as fields, nested names joined with dots."""
    if text is None:
        return
    try:
        value = cjson.parse_quickly(text)
    except cjson.NotJson:
        return
    if isinstance(value, dict | cjson.Members):
        _flatten(event, value, owner)


def _flatten(event: Event, value: Any, owner: DecoderNode) -> None:
    """Fields of all members, the innermost first where they are met: depth is a list here, not calls."""
    outer: list[tuple[Iterator[tuple[str, Any]], str]] = []
    members, prefix = _members(value), ""
    while True:
        for name, member in members:
            kind = type(member)
            if kind is dict or kind is cjson.Members:
                outer.append((members, prefix))
                members, prefix = _members(member), f"{prefix}{name}."
                break
            shown = member if kind is str else _shown(member, owner)
            if shown is None:
                continue
            if prefix:
                add_named(event, prefix + name, shown)
            else:
                _fill(event, name, shown)
        else:
            if not outer:
                return
            members, prefix = outer.pop()


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    return iter(value.items() if type(value) is dict else value)


def _shown(member: Any, owner: DecoderNode) -> str | None:
    if isinstance(member, str):
        return member
    if member is None:
        return None if owner.discards_null else "null"
    if isinstance(member, bool):
        return "true" if member else "false"
    if isinstance(member, int | float):
        return cjson.number_text(member)
    if owner.joins_arrays:
        return _joined(member) or None
    return cjson.print_array(member)


def _joined(values: list[Any]) -> str:
    """Elements with commas; objects and arrays are left out with the comma behind them. Empty when it gets too long."""
    pieces: list[str] = []
    size = 0
    for place, value in enumerate(values):
        if isinstance(value, list | dict | cjson.Members):
            continue
        shown = value if isinstance(value, str) else _shown_in_csv(value)
        piece = shown + "," if place + 1 < len(values) else shown
        size += len(piece)
        if size > MOST_CSV_BYTES:
            return ""
        pieces.append(piece)
    return "".join(pieces)


def _shown_in_csv(value: float | bool | None) -> str:
    """As elsewhere, but that null is always told: `json_null_field` does not reach into arrays."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return cjson.number_text(value)


def _fill(event: Event, name: str, shown: str) -> None:
    """A member at the top: some names are static fields."""
    static = _JSON_STATIC.get(name)
    if static is not None:
        event.static[static] = shown.encode("utf-8", "surrogateescape")
    elif name == "user" and "dstuser" not in event.static:
        event.static["dstuser"] = shown.encode("utf-8", "surrogateescape")
    else:
        add_named(event, name, shown)


_SONIC_HEAD = RegexPattern(rb"pri=(\d) c=(\d+) m=(\d+) ")
_SONIC_ADDRESSES = RegexPattern(rb"src=(\d+.\d+.\d+.\d+):(\d+):\S+ dst=(\d+.\d+.\d+.\d+):(\d+):")
_SONIC_WEB = RegexPattern(rb"result=(\d+) dstname=(\S+) arg=(\S+)$")
_PROTOCOL = re.compile(rb"[A-Za-z0-9()\-.@_]{0,6}")
_SONIC_ACTIONS = {
    **dict.fromkeys((b"98", b"597", b"598"), b"pass"),
    **dict.fromkeys((b"36", b"37", b"38", b"173", b"174"), b"drop"),
    b"537": b"close",
}


def decode_sonicwall(event: Event, text: bytes | None, owner: DecoderNode) -> None:
    """Fields of a SonicWall line; the event's kind follows its category and message number."""
    event.category = "syslog"
    head = _SONIC_HEAD.extract(event.log)
    if head is None:
        return
    status, category, identity = head.captures
    event.static["status"], event.static["id"] = status, identity
    rest = event.log[head.last :]
    found = _SONIC_ADDRESSES.extract(rest)
    if found is None:
        return
    for name, value in zip(("srcip", "srcport", "dstip", "dstport"), found.captures, strict=True):
        event.static[name] = value
    tail = rest[found.last :]
    after = tail.partition(b" ")[2]
    if after.startswith(b"proto="):
        protocol = _PROTOCOL.match(after, 6)
        event.static["protocol"] = protocol[0] if protocol else b""
    if category == b"32":
        event.category = "ids"
    elif identity in _SONIC_ACTIONS:
        event.category = "firewall"
        event.static["action"] = _SONIC_ACTIONS[identity]
    elif identity == b"97":
        event.category = "squid"
        web = _SONIC_WEB.extract(after)
        if web is not None:
            event.static["id"] = web.captures[0]
            event.static["url"] = web.captures[1] + web.captures[2]


def decode_pf(event: Event, text: bytes | None, owner: DecoderNode) -> None:
    """Fields of a line of OpenBSD's pf."""
    rest = event.log.partition(b")")[2]
    action = {b" p": b"pass", b" b": b"block"}.get(rest[:2])
    if action is None:
        return
    event.static["action"] = action
    rest = rest.partition(b":")[2]
    source, blank, rest = rest[1:].partition(b" ") if rest.startswith(b" ") else (b"", b"", b"")
    if not blank:
        return
    _set_endpoint(event, "src", source)
    destination, colon, rest = rest[2:].partition(b":") if rest.startswith(b"> ") else (b"", b"", b"")
    if not colon:
        return
    _set_endpoint(event, "dst", destination)
    kind = rest.lstrip(b" ")[:1]
    if kind:
        event.static["protocol"] = {b"u": b"UDP", b"i": b"ICMP"}.get(kind, b"TCP")


def _set_endpoint(event: Event, side: str, address: bytes) -> None:
    """`192.168.2.10.16290`: the fourth dot parts address and port; without one there is no port."""
    parts = address.split(b".", 4)
    event.static[f"{side}ip"] = b".".join(parts[:4])
    if len(parts) > 4:
        event.static[f"{side}port"] = parts[4]


_SYMANTEC_FIELDS = {b"10=": ("dstuser", 128), b"11=": ("srcip", 128), b"60=": ("url", 1024)}
_SYMANTEC_ID_BYTES = 9


def decode_symantec(event: Event, text: bytes | None, owner: DecoderNode) -> None:
    """Fields of the numbered pairs of Symantec Web Security, the first of each."""
    log, place = event.log, event.log.find(b",") + 1
    seen: set[str] = set()
    while 0 < place < len(log):
        name, most = _SYMANTEC_FIELDS.get(log[place : place + 3], ("", 0))
        if name and name not in seen:
            event.static[name] = log[place + 3 :].partition(b",")[0][:most]
            seen.add(name)
        elif log[place : place + 2] in (b"3=", b"2=") and "id" not in seen:
            event.static["id"] = log[place : place + _SYMANTEC_ID_BYTES]
            seen.add("id")
            place += _SYMANTEC_ID_BYTES  # whatever stands in them, the next comma is looked for behind
        place = log.find(b",", place) + 1


_FORWARDED = re.compile(
    rb"(?:Alert Level:|ossec: Alert Level)[^;]*;(?:(?!: ).)*: (\d{1,9}) [^;]*; Location: ([^;]*);", re.DOTALL
)
_FORWARDED_PART = re.compile(rb" (?! )([^:;]*): ([^;]*);")
MOST_FORWARDED_BYTES = 4_094


def decode_forwarded_alert(event: Event, text: bytes | None, owner: DecoderNode) -> None:
    """`Alert Level: 3; Rule: 5502 - Closed.; Location: gate->/var/log/x; srcip: 1.1.1.1; user: root; the log itself`.

    Whether this ruleset knows the rule is for those to see who have it.
    """
    event.category = FORWARDED
    head = _FORWARDED.match(event.log)
    if head is None:
        return
    parts: dict[bytes, bytes] = {}
    at = head.end()
    while (part := _FORWARDED_PART.match(event.log, at)) is not None:
        parts[part[1]] = part[2]
        at = part.end()
    event.forwarded = Forwarded(
        rule_id=int(head[1]),
        place=head[2],
        log=event.log[at:].lstrip(b" ")[:MOST_FORWARDED_BYTES],
        srcip=parts.get(b"srcip"),
        dstuser=parts.get(b"user"),
    )


PLUGINS: dict[str, Plugin] = {
    "JSON_Decoder": decode_json,
    "SonicWall_Decoder": decode_sonicwall,
    "PF_Decoder": decode_pf,
    "SymantecWS_Decoder": decode_symantec,
    "OSSECAlert_Decoder": decode_forwarded_alert,
}
