"""The decoders that are programs: JSON, SonicWall, PF, Symantec Web Security, forwarded alerts. Pure.

Each takes the event, the text that its offset leaves (None: nothing to read) and the decoder that owns the options.
Source: spec/analysis.md 7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from garrison.analysis import cjson
from garrison.analysis.event import Event
from garrison.analysis.fields import add_named
from garrison.analysis.patterns import RegexPattern
from garrison.analysis.program import DecoderNode

Plugin = Callable[[Event, bytes | None, DecoderNode], None]

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
        return _joined(member, owner) or None
    return cjson.print_array(member) or None


def _joined(values: list[Any], owner: DecoderNode) -> str:
    """Elements with commas; what cannot be shown is left out with the comma behind it."""
    text = ""
    for place, value in enumerate(values):
        shown = None if isinstance(value, list | dict | cjson.Members) else _shown(value, owner)
        if shown is None:
            continue
        text += shown
        if place + 1 < len(values):
            text += ","
    return text


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
        event.static["protocol"] = after[6:12].partition(b"/")[0]
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
    _, found, rest = event.log.partition(b") ")
    actions = {b"p": b"pass", b"b": b"block"}
    if not found or rest[:1] not in actions:
        return
    event.static["action"] = actions[rest[:1]]
    _, found, rest = rest.partition(b": ")
    source, blank, rest = rest.partition(b" ")
    if not found or not blank or not rest.startswith(b"> "):
        return
    destination, colon, rest = rest[2:].partition(b":")
    if not colon:
        return
    for side, address in (("src", source), ("dst", destination)):
        parts = address.split(b".", 4)
        event.static[f"{side}ip"] = b".".join(parts[:4])
        if len(parts) > 4:
            event.static[f"{side}port"] = parts[4]
    kinds = {b"u": b"UDP", b"i": b"ICMP"}
    event.static["protocol"] = kinds.get(rest.lstrip()[:1], b"TCP")


def decode_symantec(event: Event, text: bytes | None, owner: DecoderNode) -> None:
    """Fields of the numbered pairs of Symantec Web Security."""
    _, comma, rest = event.log.partition(b",")
    if not comma:
        return
    names = {b"10=": ("dstuser", 128), b"11=": ("srcip", 128), b"60=": ("url", 1024)}
    place = 0
    while place < len(rest):
        for key, (name, most) in names.items():
            if rest.startswith(key, place) and name not in event.static:
                value = rest[place + len(key) :].partition(b",")[0]
                event.static[name] = value[: most - 1]
        if rest[place : place + 2] in (b"3=", b"2=") and "id" not in event.static:
            event.static["id"] = rest[place : place + 9]
        following = rest.find(b",", place)
        if following < 0:
            break
        place = following + 1


def decode_forwarded_alert(event: Event, text: bytes | None, owner: DecoderNode) -> None:
    """An alert that another manager forwarded. Its rule is not looked up: the event ends without one."""
    event.category = "ossec-alert"


PLUGINS: dict[str, Plugin] = {
    "JSON_Decoder": decode_json,
    "SonicWall_Decoder": decode_sonicwall,
    "PF_Decoder": decode_pf,
    "SymantecWS_Decoder": decode_symantec,
    "OSSECAlert_Decoder": decode_forwarded_alert,
}
