"""The plain conditions of rules as tests of an event. Pure.

Source: spec/analysis.md 5.6, 9.2, 9.4.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Callable, Sequence
from functools import lru_cache

from garrison.analysis.event import Event
from garrison.analysis.patterns import Pattern
from garrison.analysis.program import Test

Value = Callable[[Event], bytes | None]

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class BadCondition(ValueError):
    """The text of a condition is wrong; the message says what would be right."""


def static(name: str) -> Value:
    """The value of a static field."""
    return lambda event: event.static.get(name)


def dynamic(name: bytes) -> Value:
    """The value of a dynamic field, without regard to the name's case."""
    lowered = name.lower()
    return lambda event: event.by_name.get(lowered)


def user(event: Event) -> bytes | None:
    """The destination user, else the source user."""
    found = event.static.get("dstuser")
    return event.static.get("srcuser") if found is None else found


def source_user(event: Event) -> bytes | None:
    """The source user, else the destination user: what lists look up as `user`."""
    found = event.static.get("srcuser")
    return event.static.get("dstuser") if found is None else found


SPECIAL: dict[str, Value] = {
    "log": lambda event: event.log,
    "program_name": lambda event: event.program_name,
    "hostname": lambda event: event.hostname,
    "location": lambda event: event.location,
    "user": user,
}


def value_of(name: str) -> Value:
    """The value that a condition of that name looks at."""
    return SPECIAL.get(name) or static(name)


def value_at(subject: str | bytes) -> Value:
    """The value that `Condition.subject` names: dynamic fields by bytes, all others by text."""
    return dynamic(subject) if isinstance(subject, bytes) else value_of(subject)


def fits(value: Value, pattern: Pattern, *, negated: bool) -> Test:
    """The field is there and fits the pattern (or does not, negated)."""
    if negated:
        return lambda event: (found := value(event)) is not None and not pattern.test(found)
    return lambda event: (found := value(event)) is not None and pattern.test(found)


def fits_log(pattern: Pattern, *, negated: bool) -> Test:
    """The log fits the pattern (or does not, negated)."""
    if negated:
        return lambda event: not pattern.test(event.log)
    return lambda event: pattern.test(event.log)


def read_network(text: str) -> _Network | None:
    """The network of an address condition; None for `any`. A leading `!` has no meaning."""
    text = text.strip().removeprefix("!")
    if text == "any":
        return None
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise BadCondition("an address, a network such as 10.0.0.0/8, or any") from error
    address = network.network_address
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped and network.prefixlen == 128:
        return ipaddress.ip_network(str(address.ipv4_mapped))
    return network


@lru_cache(maxsize=8192)
def _address(text: bytes) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.decode("ascii"))
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def in_networks(value: Value, networks: Sequence[_Network | None], *, negated: bool) -> Test:
    """The field's address is in one of the networks. What is no address fits only the negation."""

    def test(event: Event) -> bool:
        found = value(event)
        if found is None:
            return False
        address = _address(found)
        if address is None:
            return negated
        inside = any(net is None or (net.version == address.version and address in net) for net in networks)
        return inside != negated

    return test


def at_least(size: int) -> Test:
    """The log has `size` bytes or more, which is what `maxsize` means."""
    return lambda event: event.size >= size


_CLOCK = re.compile(r"(\d{1,2})(?::(\d{2}))?\s*(am|pm)?", re.IGNORECASE)


def read_time(text: str) -> Test:
    """`hh[:mm][am|pm] - hh[:mm][am|pm]`, optional leading `!`; local clock, both ends included."""
    text = text.strip()
    negated = text.startswith("!")
    first, dash, second = text.removeprefix("!").partition("-")
    begin, end = _minutes(first), _minutes(second)
    if not dash or begin is None or end is None:
        raise BadCondition("hh:mm-hh:mm, such as 18:30-6:00 or 6 pm - 8 am")
    if begin > end:
        return lambda event: not end < _minute_of(event) < begin
    return lambda event: (begin <= _minute_of(event) <= end) != negated


def _minutes(text: str) -> int | None:
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        return None
    hour, minute = int(match[1]), int(match[2] or 0)
    half = (match[3] or "").lower()
    if half and not 1 <= hour <= 12:
        return None
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    return hour * 60 + minute if hour < 24 and minute < 60 else None


def _minute_of(event: Event) -> int:
    local = time.localtime(event.at)
    return local.tm_hour * 60 + local.tm_min


def read_weekdays(text: str) -> Test:
    """Names of days or their first three letters, `weekdays`, `weekends`."""
    days: set[int] = set()
    for word in re.split(r"[\s,]+", text.strip().lower()):
        if word == "weekdays":
            days |= {0, 1, 2, 3, 4}
        elif word == "weekends":
            days |= {5, 6}
        else:
            found = [number for number, name in enumerate(WEEKDAYS) if word in (name, name[:3])]
            if not found:
                raise BadCondition("names of days, weekdays or weekends")
            days.update(found)
    return lambda event: time.localtime(event.at).tm_wday in days


_CRAWLERS = (b"66.249.", b"72.14.", b"209.85.", b"65.55.", b"207.46.", b"74.6.", b"72.30.", b"67.195.")


def _simple_request(event: Event) -> bool:
    url = event.static.get("url")
    return url is not None and (url == b"/" or b"?" not in url)


def _same_users(event: Event) -> bool:
    source, destination = event.static.get("srcuser"), event.static.get("dstuser")
    return source is None or destination is None or source == destination


def _other_caller(event: Event) -> bool:
    names = [_after(event.log, label) for label in (b"Target Account Name", b"Caller User Name")]
    return None not in names and names[0] != names[1]


def _after(log: bytes, label: bytes) -> bytes | None:
    place = log.find(label)
    if place < 0:
        return None
    text = log[place + len(label) :].partition(b":")[2]
    return re.split(rb"\t|  ", text, maxsplit=1)[0]


COMPILED: dict[str, Test] = {
    "is_simple_http_request": _simple_request,
    "check_id_size": lambda event: len(event.static.get("id", b"")) >= 10,
    "comp_srcuser_dstuser": _same_users,
    "is_valid_crawler": lambda event: event.log.startswith(_CRAWLERS),
    "comp_mswin_targetuser_calleruser_diff": _other_caller,
}
"""The built-in tests by the names that rules write."""
