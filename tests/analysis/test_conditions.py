"""Addresses, times of day and days of the week."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from garrison.analysis.conditions import (
    BadCondition,
    in_networks,
    read_network,
    read_time,
    read_weekdays,
    static,
)
from tests.analysis.lab import Lab


def event(value: str = "", at: float = 0.0):  # type: ignore[no-untyped-def]
    lab = Lab("")
    lab.at = at
    found = lab.judge("x").event
    if value:
        found.static["srcip"] = value.encode("latin-1")
    return found


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
        ("10.1.2.3/8", "10.9.9.9", "11.1.2.3"),
        ("10.0.0.0/255.0.0.0", "10.9.9.9", "11.1.2.3"),
        ("10.0.0.5/255.0.0.255", "10.9.9.5", "10.9.9.6"),
        ("10.0.0.0/32", "10.0.0.0", "10.0.0.1"),
        ("0.0.0.0/0", "1.2.3.4", "::1"),
        ("::ffff:1.1.1.1", "1.1.1.1", "::ffff:1.1.1.1"),
        ("::FFFF:1.1.1.1/24", "1.1.1.9", "1.1.2.1"),
        ("2001:db8:0:0::1", "2001:DB8::1", "2001:db8::2"),
        ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
        ("::/0", "::1", "1.1.1.1"),
        ("!1.1.1.1", "1.1.1.1", "1.1.1.2"),
        ("any", "::1", "notip"),
        ("any", "1.1.1.1", "fe80::1%eth0"),
        ("1.1.1.1", "1.1.1.1", "1.1.1.1 "),
        ("any", "1.1.1.1", "1" * 60_000),
    ],
)
def test_networks(network: str, inside: str, outside: str) -> None:
    test = in_networks(static("srcip"), [read_network(network)], negated=False)
    assert (test(event(inside)), test(event(outside)), test(event())) == (True, False, False)
    inverse = in_networks(static("srcip"), [read_network(network)], negated=True)
    assert (inverse(event(inside)), inverse(event(outside)), inverse(event())) == (False, True, False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1.1.1.",
        "1.1.1",
        "1.1.1.1/33",
        "1.1.1.1/",
        "1.1.1.1/-1",
        "1.1.1.256",
        "::1/129",
        "x",
        "Any",
        "1.1.1.1/a",
    ],
)
def test_texts_that_are_no_network(text: str) -> None:
    with pytest.raises(BadCondition):
        read_network(text)


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The local clock of Tokyo, nine hours ahead."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


MIDNIGHT = 1_795_618_800.0
"""2026-11-26 00:00 in Tokyo, a Thursday."""


def at(clock: str, day: int = 0) -> float:
    hour, minute = clock.split(":")
    return MIDNIGHT + int(hour) * 3600 + int(minute) * 60 + 59 + day * 86400


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize(
    ("text", "yes", "no"),
    [
        ("8-18", "8:00 18:00 12:30", "7:59 18:01 23:00"),
        ("08:30-8:30", "8:30", "8:29 8:31"),
        ("8:30 am - 6:00 pm", "8:30 18:00", "8:29 18:01"),
        ("12 am-12 PM", "0:00 12:00", "12:01 23:00"),
        ("!8-18", "7:59 18:01", "8:00 18:00"),
        ("! 8 - 18", "7:59 18:01", "8:00 18:00"),
        ("18:00-6:00", "18:01 23:59 0:00 5:59", "18:00 6:00 12:00"),
        ("!18:00-6:00", "18:01 5:59", "18:00 6:00 12:00"),
        ("00:75-23:99", "1:00 23:59", "0:59"),
        ("6pm-8 am", "23:00", "18:00 8:00"),
    ],
)
def test_times(text: str, yes: str, no: str) -> None:
    test = read_time(text)
    assert [clock for clock in yes.split() if not test(event(at=at(clock)))] == []
    assert [clock for clock in no.split() if test(event(at=at(clock)))] == []


@pytest.mark.parametrize(
    "text", ["", "8", "8-", "-8", "24-1", "1-25", "13 pm-1", "8:5-9", "8-9-10", "a-b", "8-9x", "8!-9"]
)
def test_texts_that_are_no_time(text: str) -> None:
    with pytest.raises(BadCondition):
        read_time(text)


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("thursday", [0]),
        ("THU", [0]),
        ("fri,sat", [1, 2]),
        ("monday  tue, Wednesday", [4, 5, 6]),
        ("weekdays", [0, 1, 4, 5, 6]),
        ("weekends", [2, 3]),
        ("weekends sun thu ", [0, 2, 3]),
    ],
)
def test_weekdays_are_those_of_the_local_clock(text: str, days: list[int]) -> None:
    test = read_weekdays(text)
    for clock in ("0:00", "23:59"):
        assert [day for day in range(7) if test(event(at=at(clock, day)))] == days


@pytest.mark.parametrize("text", ["", " ", "!monday", "mond", "mondays", "monday;friday"])
def test_texts_that_are_no_weekday(text: str) -> None:
    with pytest.raises(BadCondition):
        read_weekdays(text)


def test_the_last_time_counts() -> None:
    from tests.analysis.lab import AT, child

    local = time.localtime(AT)
    now, never = (
        f"{local.tm_hour}:00-{local.tm_hour}:59",
        f"{(local.tm_hour + 2) % 24}:00-{(local.tm_hour + 2) % 24}:01",
    )
    assert Lab(child(101, f"<time>{never}</time><time>{now}</time>")).ids("a") == [101]
    assert Lab(child(101, f"<time>{now}</time><time>{never}</time>")).ids("a") == [100]
