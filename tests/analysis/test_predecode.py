"""Headers by the tables of spec/analysis-1-decoding.md 2, each row as it was seen."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from garrison.analysis.predecode import Header, cut_header, shown_hostname

NONE = None
Row = tuple[str, str | None, str | None, str | None, str | None]

DATED: list[Row] = [
    # message, timestamp, host, program, log (None: the whole message)
    ("Jan  1 00:00:00 host prog: x", "Jan  1 00:00:00", "host", "prog", "x"),
    ("xxx zz ab:cd:ef h", "xxx zz ab:cd:ef", NONE, NONE, "h"),
    ("2015 Dec 29 10:00:01 host prog[12]: x", "2015 Dec 29 10:00:01", "host", "prog", "x"),
    ("2007-06-14T15:48:55-04:00 host prog: x yyy", "2007-06-14T15:48:55-04:00", "host", "prog", "x yyy"),
    ("2007-06-14T15:48:55-04:00 h p: x", NONE, NONE, NONE, NONE),
    ("2007-06-14T15:48:55Z host prog: xxxxxxxxxxxxxxxxx", NONE, NONE, NONE, NONE),
    ("2007-06-14T15:48:55+0400 host prog: xxxxxxxxxx", NONE, NONE, NONE, NONE),
    (
        "2022-12-19T15:02:53.288+00:00 host prog: x yy",
        "2022-12-19T15:02:53.288+00:00",
        "host",
        "prog",
        "x yy",
    ),
    (
        "2009-05-22T09:36:46.214994-07:00 host prog: yy",
        "2009-05-22T09:36:46.214994-07:00",
        "host",
        "prog",
        "yy",
    ),
    (
        "2022-12-19T15:02:53.288Z host prog: xxxxxxxxx",
        "2022-12-19T15:02:53.288Z host p",
        NONE,
        "og",
        "xxxxxxxxx",
    ),
    (
        "2022-12-19T15:02:53.288123Z host prog: xxxxxx",
        "2022-12-19T15:02:53.288123Z hos",
        NONE,
        "prog",
        "xxxxxx",
    ),
    ("2015-04-16 21:51:02,805 host proftpd[3]: y", "2015-04-16 21:51:02,805", "host", "proftpd", "y"),
    (
        "2021-04-21 10:16:09.404756-0700  localhost kernel[0]: (Sandbox) x",
        "2021-04-21 10:16:09.404756-0700",
        "localhost",
        "kernel",
        "(Sandbox) x",
    ),
    ("<34>Dec 29 10:00:01 host prog: x", NONE, NONE, NONE, NONE),
    (" Dec 29 10:00:01 host prog: x", NONE, NONE, NONE, NONE),
    ("Dec 29 10:00:01", NONE, NONE, NONE, NONE),
    ("Dec 29 10:00:01 ", NONE, NONE, NONE, NONE),
    ("Dec 29 10:00:01 x", "Dec 29 10:00:01", NONE, NONE, "x"),
    ("", NONE, NONE, NONE, NONE),
]

# What stands behind `Dec 29 10:00:01 `: text, host, program, log (None: all of it)
BEHIND: list[tuple[str, str | None, str | None, str | None]] = [
    ("prog: solaris", NONE, "prog", "solaris"),
    ("prog:solaris", NONE, NONE, NONE),
    ("prog[1]: nohost", NONE, NONE, NONE),
    ("host prog[12]:ok", "host", "prog", "ok"),
    ("host prog[12] nocolon", "host", "prog", "nocolon"),
    ("host prog[12] : z", "host", "prog", ": z"),
    ("host prog[12]", "host", NONE, "prog[12]"),
    ("host prog[12weird", "host", NONE, "prog[12weird"),
    ("host prog[ab]: x", "host", NONE, "prog[ab]: x"),
    ("host prog[]: x", "host", NONE, "prog[]: x"),
    ("host prog:nospace", "host", "prog", "nospace"),
    ("host prog:  two", "host", "prog", " two"),
    ("host prog : sp", "host", NONE, "prog : sp"),
    ("host prog", "host", NONE, "prog"),
    ("host", NONE, NONE, NONE),
    ("host ", "host", NONE, ""),
    ("host : empty", "host", "", "empty"),
    (": empty2", NONE, "", "empty2"),
    (" host prog: x", "host", "prog", "x"),
    ("  host prog: x", "", NONE, "host prog: x"),
    ("ho$t prog: x", NONE, NONE, NONE),
    ("fe80::1 prog: y", NONE, NONE, NONE),
    ("[core:error] x", NONE, NONE, NONE),
    ("host (prog): x", "host", "(prog)", "x"),
    ("10.1.1.1 %ASA-6-302: x", "10.1.1.1", NONE, "%ASA-6-302: x"),
    ("host prog#x: y", "host", NONE, "prog#x: y"),
    ("host 1 2020-01-01T00:00:00Z h app - x", "host", NONE, "1 2020-01-01T00:00:00Z h app - x"),
    ("host prog: [ID 123 auth.info] msg", "host", "prog", "msg"),
    ("prog: [ID 12 a.b] msg", NONE, "prog", "msg"),
    ("host prog: [ID 123 no", "host", "prog", "[ID 123 no"),
    ("host prog: [ID 1]", "host", "prog", ""),
    ("host [ID 12 a.b] msg", "host", NONE, "[ID 12 a.b] msg"),
    ("host auth|security:info prog: aix", "host", "prog", "aix"),
    ("host auth|security:info prog[12]: aix", "host", "prog", "aix"),
    ("host auth|security:info prog: [ID 1 a.b] aix", "host", "prog", "aix"),
    (
        "host auth|security:info prog[12] aix",
        "host",
        "prog",
        "auth|security:info prog",
    ),
    ("host auth|security:info prog aix", "host", "prog aix", " aix"),
    ("host auth|security:info prog:aix", "host", "prog:aix", ":aix"),
    ("host auth|security:info prog[ID 1] aix", "host", "prog[ID 1] aix", "aix"),
    ("host daemon|x:y ", "host", "", ""),
    ("host auth|x", "host", NONE, "auth|x"),
    ("host auth|security info", "host", NONE, "auth|security info"),
    ("host auth|Security:info p: x", "host", NONE, "auth|Security:info p: x"),
]

OTHER: list[Row] = [
    (
        "Mon Apr 17 18:27:14 2006 1 64.160.42.130 x",
        "Mon Apr 17 18:27:14 2006",
        NONE,
        NONE,
        "1 64.160.42.130 x",
    ),
    ("Mon Apr 17 18:27:14 2006 12 64.160.42.130 x", NONE, NONE, NONE, NONE),
    ("01/28-09:13:16.240702  [**] x", "01/28-09:13:16.240702", NONE, NONE, "[**] x"),
    ("01/28-09:13:16.240702 [**] x", "01/28-09:13:16.240702", NONE, NONE, "**] x"),
    ("01/28/1979-09:13:16.240702  [**] x", "01/28/1979-09:13:16.240702", NONE, NONE, "[**] x"),
    ("[Fri Feb 11 18:06:35 2004] [warn] x", "Fri Feb 11 18:06:35 2004", NONE, NONE, "[warn] x"),
    ("[Fri Feb 11 18:06:35.123456 2004] [warn] x", NONE, NONE, NONE, NONE),
    ("1140804070.368  11623 192.168.0.1 x", "1140804070.368 ", NONE, NONE, "11623 192.168.0.1 x"),
    ("1140804070.368 123456789 192.168.0.1 x", NONE, NONE, NONE, NONE),
    (
        "[Time 2006.12.28 15:53:55 UTC] [Facility auth] [Sender sshd] [PID 483] [Message error: x] [Level 3]"
        " [UID -2] [GID -2] [Host Hn]",
        NONE,
        "Hn",
        "sshd",
        "error: x",
    ),
    ("[Time 2006.12.28 15:53:55 UTC] [Message a [b] c] [Message z] [Host h", NONE, NONE, NONE, "a [b"),
    ("[Time 2006.12.28 15:53:55 UTC] [Host h] [Sender s] [Message z]", NONE, "h", NONE, " UTC] [Host h"),
    ("[Time 2006.12.28 15:53:55 UTC] [Message open", NONE, NONE, NONE, "open"),
    ("[Time 2006.12.28 15:53:55 UTC] [Sender open", NONE, NONE, NONE, " UTC] [Sender open"),
]


def said(header: Header) -> tuple[bytes | None, bytes | None, bytes | None, bytes]:
    return header.timestamp, header.hostname, header.program_name, header.log


def encoded(*texts: str | None) -> tuple[bytes | None, ...]:
    return tuple(None if text is None else text.encode("latin-1") for text in texts)


@pytest.mark.parametrize("row", DATED + OTHER, ids=[row[0] for row in DATED + OTHER])
def test_forms(row: Row) -> None:
    message, timestamp, host, program, log = row
    assert said(cut_header(message.encode())) == encoded(
        timestamp, host, program, message if log is None else log
    )


@pytest.mark.parametrize("row", BEHIND, ids=[row[0] for row in BEHIND])
@pytest.mark.parametrize("date", ["Dec 29 10:00:01 ", "2015 Dec 29 10:00:01 ", "2015-04-16 21:51:02,805 "])
def test_host_and_program(date: str, row: tuple[str, str | None, str | None, str | None]) -> None:
    text, host, program, log = row
    assert said(cut_header((date + text).encode())) == encoded(
        date[:-1], host, program, text if log is None else log
    )


def test_an_umlaut_in_the_month_is_repaired_for_the_tests_only() -> None:
    header = cut_header(b"M\xc3\xa4r 02 17:30:52 host prog: umlaut")
    assert said(header) == (b"M\xc3\xa4r 02 17:30:5", b"host", b"prog", b"umlaut")


BYTE_BEFORE = [
    (b"xyz", False),
    (b"Dec 29 10:00:01 xyz", False),
    (b"Dec 29 10:00:01  [xyz", True),
    (b"Dec 29 10:00:01 h xyz", False),
    (b"Dec 29 10:00:01 h u: xyz", True),
    (b"Dec 29 10:00:01 h u:xyz", False),
    (b"Dec 29 10:00:01 h u[1] xyz", True),
    (b"Dec 29 10:00:01 h u[1]:xyz", True),
    (b"Dec 29 10:00:01 u: xyz", True),
    (b"Dec 29 10:00:01 h u: [ID 1 a.b] xyz", True),
    (b"Dec 29 10:00:01 h a|b:c u: xyz", True),
    (b"Dec 29 10:00:01 h a|b:c u[1] xyz", False),
    (b"Mon Apr 17 18:27:14 2006 1 64.160.42.130 x", False),
    (b"[Fri Feb 11 18:06:35 2004] [warn] x", True),
    (b"1140804070.368  11623 192.168.0.1 x", False),
]


@pytest.mark.parametrize(("message", "follows"), BYTE_BEFORE)
def test_a_byte_of_the_header_before_the_log(message: bytes, follows: bool) -> None:
    assert cut_header(message).follows_byte is follows


@pytest.mark.parametrize(
    ("full_log", "shown"),
    [
        (b"Dec 29 10:00:01 host prog: x", b"host"),
        (b"Dec  9 10:00:01 fe80::1 x", b"fe80::1"),
        (b"Dec 49 10:00:01 host x", None),
        (b"dec 29 10:00:01 host x", None),
        (b"2015 Dec 29 10:00:01 host prog: x", None),
    ],
)
def test_the_host_that_outputs_show_has_a_form_of_its_own(full_log: bytes, shown: bytes | None) -> None:
    assert shown_hostname(full_log) == shown


HEADS = st.sampled_from([row[0].encode() for row in DATED + OTHER] + [b"M\xc3\xa4r 02 17:30:52 h p: x"])


@settings(max_examples=1500, deadline=None)
@given(HEADS, st.lists(st.tuples(st.integers(0, 40), st.binary(max_size=3)), max_size=3), st.integers(0, 80))
def test_any_header_is_cut_without_inventing_a_byte(
    head: bytes, changes: list[tuple[int, bytes]], length: int
) -> None:
    for place, piece in changes:
        head = head[:place] + piece + head[place + 1 :]
    message = head[: max(length, 1)].replace(b"\0", b"")
    header = cut_header(message)
    assert header.log in message
    for part in (header.timestamp, header.hostname, header.program_name):
        assert part is None or part in message
