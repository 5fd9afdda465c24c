"""Headers as their writers meant them, where no decoder takes what position makes of them."""

from __future__ import annotations

import pytest

from garrison.analysis.event import Arrival, Event
from garrison.analysis.header_forms import meant_header
from garrison.analysis.run import Analyzer
from tests.analysis.test_decode import analyzers, kid, root

ROWS: list[tuple[str, str | None, str | None, str | None, str]] = [
    ("<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - 'su root' failed", "2003-10-11T22:14:15.003Z", "mymachine.example.com", "su", "'su root' failed"),
    ("<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time", "2003-08-24T05:14:15.000003-07:00", "192.0.2.1", "myproc", "%% It's time"),
    ('1 2003-10-11T22:14:15Z h evntslog - ID47 [a@1 iut="3\\"]" x="1"][b@1 c="d"] \ufeffAn entry', "2003-10-11T22:14:15Z", "h", "evntslog", "An entry"),
    ("<1>1 - - - - - -", None, None, None, ""),
    ("2022-12-19T15:02:53.288Z host prog: x", "2022-12-19T15:02:53.288Z", "host", "prog", "x"),
    ("2022-12-19T15:02:53.288123Z host prog[7]: x", "2022-12-19T15:02:53.288123Z", "host", "prog", "x"),
    ("2022-12-19T15:02:53.288123456+00:00 host prog: x", "2022-12-19T15:02:53.288123456+00:00", "host", "prog", "x"),
    ("2007-06-14T15:48:55Z host prog: x", "2007-06-14T15:48:55Z", "host", "prog", "x"),
    ("2007-06-14T15:48:55+0400 host prog: x", "2007-06-14T15:48:55+0400", "host", "prog", "x"),
    ("Oct 03 2018 17:34:08 host prog: x", "Oct 03 2018 17:34:08", "host", "prog", "x"),
    ("Oct  3 17:34:08 2018 host prog: x", "Oct  3 17:34:08 2018", "host", "prog", "x"),
    ("Dec 29 10:00:01 fe80::1 prog: x", "Dec 29 10:00:01", "fe80::1", "prog", "x"),
    ("Dec 29 10:00:01 2001:db8::1.2.3.4%eth0 prog[1]:x", "Dec 29 10:00:01", "2001:db8::1.2.3.4%eth0", "prog", "x"),
    ("<34>Dec 29 10:00:01 host prog: x", "Dec 29 10:00:01", "host", "prog", "x"),
]  # fmt: skip

OTHERS = [
    "",
    "text",
    "2014-06-10T18:18:26Z 14299 TID-55uqo INFO: Booting Sidekiq",
    "2021-04-06T14:54:34.255Z,61d2c86f,15,0,847",
    "Oct 03 2018 17:34:08: %ASA-4-106023: Deny udp",
    "1 2003-10-11T22:14:15Z h app",
    '1 2003-10-11T22:14:15Z h app - - [a x="1" text',
    '{"a":1}',
]


@pytest.mark.parametrize(("message", "timestamp", "host", "program", "log"), ROWS)
def test_forms(message: str, timestamp: str | None, host: str | None, program: str | None, log: str) -> None:
    header = meant_header(message.encode())
    assert header is not None
    wanted = tuple(None if text is None else text.encode() for text in (timestamp, host, program, log))
    assert (header.timestamp, header.hostname, header.program_name, header.log) == wanted


@pytest.mark.parametrize("message", OTHERS)
def test_other_messages(message: str) -> None:
    assert meant_header(message.encode()) is None


def test_hostile_headers_end() -> None:
    for piece in (b"1 - - - - - [", b"[", b'["', b"[]", b'[\\"]', b"a", b":", b"1 "):
        for head in (b"<1>1 - - - - - ", b"Dec 29 10:00:01 ", b"<1>1 ", b""):
            meant_header(head + piece * 30_000)


DECODERS = root("prog", "<program_name>^prog$</program_name>") + kid(
    "c", r"<regex>^x (\w+)</regex><order>user</order>", "prog"
)


def judged(analyzer: Analyzer, message: str, location: bytes = b"x") -> Event:
    verdict = analyzer.judge(Arrival(queue="1", location=location, message=message.encode(), at=1.0))
    assert verdict is not None
    return verdict.event


def test_a_log_that_no_decoder_takes_is_looked_at_again() -> None:
    for analyzer in analyzers(DECODERS):
        for head in (row[0].removesuffix("x") for row in ROWS if row[3] == "prog" and row[4] == "x"):
            event = judged(analyzer, head + "x bob")
            assert event.decoder is not None and event.static == {"dstuser": b"bob"}, head
            assert (event.program_name, event.log, event.size) == (b"prog", b"x bob", 5)
            assert event.full_log == (head + "x bob").encode()
            assert event.hostname == b"host" or b":" in event.hostname
        event = judged(analyzer, "<34>Dec 29 10:00:01 host prog: x bob", b"[001] (web) any->x")
        assert (event.hostname, event.static) == (b"web", {"dstuser": b"bob"})


def test_what_a_decoder_takes_and_what_none_takes_stays_as_it_is() -> None:
    taken = root("z", r"<prematch>^\d+-\d+-\d+T\S+Z host </prematch>") + DECODERS
    for analyzer in analyzers(taken):
        event = judged(analyzer, "2007-06-14T15:48:55Z host prog: x bob")
        assert event.decoder is not None and event.decoder.name == b"z"
        assert (event.timestamp, event.program_name) == (None, None)
        event = judged(analyzer, "2022-12-19T15:02:53.288Z host other: xxxxxxxxx")
        assert event.decoder is None
        assert (event.timestamp, event.program_name) == (b"2022-12-19T15:02:53.288Z host o", b"her")
        assert (event.hostname, event.log, event.size) == (b"manager", b"xxxxxxxxx", 9)
