"""Headers that position tells wrong or not at all: a second look, for logs that no decoder takes otherwise. Pure.

    <34>1 2003-10-11T22:14:15.003Z mymachine su 42 ID47 - text        RFC 5424, with or without its priority
    2022-12-19T15:02:53.288123456+0000 host sshd[7]: text             RFC 3339 with any fraction and zone
    Oct 03 2018 17:34:08 host prog: text                              a year behind the day
    Dec 29 10:00:01 fe80::1 prog: text                                a host that is an IPv6 address
    <34>Dec 29 10:00:01 host prog: text                               a priority that nobody took away

`predecode` cuts these as the rules in the field expect it, which for some is the middle of a word. Where that leaves
a log to no decoder nothing is lost by reading the header as it is meant.
Source: RFC 5424 6; RFC 3164 4.1; RFC 3339 5.6; spec/analysis-1-decoding.md 2.1 (what is cut blindly).
"""

from __future__ import annotations

import re

from garrison.analysis.predecode import Header

_ZONED = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)"
_MONTHLY = rb"[A-Z][a-z]{2} [ \d]\d (?:\d{4} )?\d\d:\d\d:\d\d(?: \d{4})?"
_NAME = rb"[A-Za-z0-9()\-./@_]++"
_HOST = rb"(?:[0-9A-Fa-f]*+:[0-9A-Fa-f:.]++(?:%[A-Za-z0-9]++)?|" + _NAME + rb")"
_PRIORITY = rb"(?:<\d{1,3}>)?"
_STRUCTURED = rb'(?:-|(?:\[(?:[^"\]\\]|\\.|"(?:[^"\\]|\\.)*+")*+\])++)'

_SYSLOG = re.compile(
    _PRIORITY
    + rb"("
    + _ZONED
    + rb"|"
    + _MONTHLY
    + rb") {1,2}("
    + _HOST
    + rb") ("
    + _NAME
    + rb")(?:\[\d++\])?: ?"
)
_VERSION_1 = re.compile(
    _PRIORITY
    + rb"1 (-|"
    + _ZONED
    + rb") (-|[^ ]{1,255}) (-|[^ ]{1,48}) [^ ]{1,128} [^ ]{1,32} "
    + _STRUCTURED
    + rb"(?: (?:\xef\xbb\xbf)?|\Z)",
    re.DOTALL,
)


def meant_header(message: bytes) -> Header | None:
    """The header of one of these forms; None for any other message."""
    first = message[:1]
    if not (first.isupper() or first == b"<" or message[10:11] == b"T" or message.startswith(b"1 ")):
        return None
    found = _VERSION_1.match(message)
    if found is not None:
        timestamp, host, program = (None if text == b"-" else text for text in found.groups())
        return Header(message[found.end() :], timestamp, host, program, True)
    found = _SYSLOG.match(message)
    if found is None:
        return None
    return Header(message[found.end() :], found[1], found[2], found[3], True)
