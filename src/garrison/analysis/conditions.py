"""The plain conditions of rules as tests of an event. Pure.

Source: spec/analysis.md 5.6, 9.2, 9.4.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from garrison.analysis.event import Event
from garrison.analysis.patterns import Pattern
from garrison.analysis.program import Test

Value = Callable[[Event], bytes | None]

MOST_ADDRESS_BYTES = 64
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


class Network(NamedTuple):
    """The addresses of one version of which the bits under `mask` are those of `base`."""

    version: int
    base: int
    mask: int


_MAPPED = re.compile(r"::ffff:(?=\d+\.)", re.IGNORECASE)


def read_network(text: str) -> Network | None:
    """The network of an address condition; None for `any`. A leading `!` has no meaning. Raises `BadCondition`."""
    text = text.strip().removeprefix("!")
    if text == "any":
        return None
    address, slash, suffix = _MAPPED.sub("", text, count=1).partition("/")
    found = _address(address.encode("utf-8", "replace"))
    mask = None if found is None else _mask(found[0], suffix if slash else "")
    if found is None or mask is None or (slash and not suffix):
        raise BadCondition("an address, a network such as 10.0.0.0/8 or 10.0.0.0/255.0.0.0, or any")
    return Network(found[0], found[1] & mask, mask)


def _mask(version: int, suffix: str) -> int | None:
    """The mask of `/suffix`, all bits without one; None where it is none."""
    width = 32 if version == 4 else 128
    if version == 4 and "." in suffix:
        dotted = _address(suffix.encode("utf-8", "replace"))
        return None if dotted is None else dotted[1]
    if suffix and not (suffix.isascii() and suffix.isdigit() and int(suffix[:4]) <= width):
        return None
    bits = int(suffix[:4]) if suffix else width
    return (1 << width) - (1 << (width - bits))


def _address(text: bytes) -> tuple[int, int] | None:
    """(version, number) of an address as events hold it; None for any other text, also one with a zone."""
    return _known_address(text) if len(text) <= MOST_ADDRESS_BYTES else None


@lru_cache(maxsize=8192)
def _known_address(text: bytes) -> tuple[int, int] | None:
    try:
        address = ipaddress.ip_address(text.decode("ascii"))
    except ValueError:
        return None
    return None if b"%" in text else (address.version, int(address))


def in_networks(value: Value, networks: Sequence[Network | None], *, negated: bool) -> Test:
    """The field's address is in one of the networks. What is no address fits only the negation.

    Versions never mix: `::ffff:10.0.0.1` in an event is no IPv4 address.
    """

    def test(event: Event) -> bool:
        found = value(event)
        if found is None:
            return False
        address = _address(found)
        if address is None:
            return negated
        version, number = address
        inside = any(
            net is None or (net.version == version and number & net.mask == net.base) for net in networks
        )
        return inside != negated

    return test


def at_least(size: int) -> Test:
    """The log has `size` bytes or more, which is what `maxsize` means."""
    return lambda event: event.size >= size


_CLOCK = re.compile(r" *(\d{1,2})(?::(\d{2}))? *(am|pm)? *", re.IGNORECASE | re.ASCII)
_TIME_FORM = "hh:mm-hh:mm, such as 18:30-6:00 or 6 pm - 8 am"


def read_time(text: str) -> Test:
    """`hh[:mm][am|pm] - hh[:mm][am|pm]`, optional leading `!`; local clock, whole minutes, both ends included.

    Times that run over midnight mean "not between the second and the first": the minutes of both ends are out, and
    a `!` has no meaning there. Minutes above 59 are only compared. Raises `BadCondition`.
    """
    text = text.lstrip(" ")
    negated = text.startswith("!")
    first, dash, second = text.removeprefix("!").partition("-")
    if not dash:
        raise BadCondition(_TIME_FORM)
    begin, end = _clock(first), _clock(second)
    if begin > end:
        return lambda event: not end <= _clock_of(event) <= begin
    return lambda event: (begin <= _clock_of(event) <= end) != negated


def _clock(text: str) -> int:
    """`6:30 pm` as 1830."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise BadCondition(_TIME_FORM)
    hour, minute = int(match[1]), int(match[2] or 0)
    half = (match[3] or "").lower()
    if half and hour == 12:
        hour = 0
    hour += 12 if half == "pm" else 0
    if hour >= 24:
        raise BadCondition("hours from 0 to 23, or from 1 to 12 with am or pm")
    return hour * 100 + minute


def _clock_of(event: Event) -> int:
    local = time.localtime(event.at)
    return local.tm_hour * 100 + local.tm_min


def read_weekdays(text: str) -> Test:
    """Names of days or their first three letters, `weekdays`, `weekends`. Raises `BadCondition`."""
    words = re.split(r"[ ,]+", text.strip(" ,").lower())
    days: set[int] = set()
    for word in words:
        if word == "weekdays":
            days |= {0, 1, 2, 3, 4}
        elif word == "weekends":
            days |= {5, 6}
        else:
            found = [number for number, name in enumerate(WEEKDAYS) if word in (name, name[:3])]
            if not found:
                raise BadCondition("names of days, weekdays or weekends, without a !")
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
