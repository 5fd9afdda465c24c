"""The header of a log: time stamp, host and program are cut off, by position, whoever wrote them. Pure.

    Dec 29 10:00:01 host prog[12]: text      ->  timestamp, b"host", b"prog", log b"text"

Only the listed separators are looked at. `n` of the source is the length and one.
Source: spec/analysis.md 2; spec/analysis-1-decoding.md 2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BLANK, _COLON, _DASH, _DOT, _SLASH, _BAR, _T = b" :-./|T"
_OPEN, _CLOSE = b"[]"

_NAME = re.compile(rb"[A-Za-z0-9()\-./@_]*")
_USUAL = re.compile(rb"([A-Za-z0-9()\-./@_]*+) ([A-Za-z0-9()\-./@_]*+)(?:\[[0-9]++\])?+: ?+")
_DIGITS = re.compile(rb"[0-9]+")
_AIX = re.compile(rb"\|[a-z][A-Za-z0-9]*:[A-Za-z0-9]* ")
_SHOWN_HOST = re.compile(rb"[A-Z][a-z][a-z] [ 0123][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9] ([^ ]+)")


@dataclass(slots=True)
class Header:
    """What a header says, and the log behind it; None for what it does not say.

    `follows_byte` tells that a byte of the header stands right before the log, none that the cutting took away (such
    as the colon of `prog:log`): it decides what "after a match of nothing" means (spec/analysis-1-decoding.md 3.6).
    """

    log: bytes
    timestamp: bytes | None = None
    hostname: bytes | None = None
    program_name: bytes | None = None
    follows_byte: bool = False


def cut_header(message: bytes) -> Header:
    """The header of `message`, by the first form that fits."""
    seen = message
    if message.startswith(b"\xc3\xa4", 1):
        seen = b"Ma" + message[3:] + b"\0"
    length = len(message)
    if length < 17:
        return Header(message)
    cut = _dated_cut(seen, length)
    if cut:
        return _host_and_program(message, cut)
    return _other_form(seen, message, length)


def shown_hostname(full_log: bytes) -> bytes | None:
    """`predecoder.hostname` of outputs, which has an expression of its own."""
    found = _SHOWN_HOST.match(full_log)
    return found[1] if found else None


def _dated_cut(m: bytes, length: int) -> int:
    """How many bytes of forms A to E are cut off, 0 when none fits."""
    if m[3] == _BLANK and m[6] == _BLANK and m[9] == _COLON and m[12] == _COLON and m[15] == _BLANK:
        return 16
    if length >= 24 and m[4] == _DASH and m[7] == _DASH:
        if m[10] == _BLANK and m[13] == _COLON and m[16] == _COLON and m[19] == 0x2C:
            return 24
        if length >= 33 and m[10] == _T and m[13] == _COLON and m[16] == _COLON:
            iso = _iso_cut(m)
            if iso:
                return iso
    is_numbered = 0x30 <= m[0] <= 0x39
    if length >= 21 and is_numbered and m[4] == _BLANK and m[8] == _BLANK and m[11] == _BLANK:
        if m[14] == _COLON and m[17] == _COLON and m[20] == _BLANK:
            return 21
    if length >= 33 and is_numbered and m[4] == _DASH and m[7] == _DASH and m[10] == _BLANK:
        if m[13] == _COLON and m[16] == _COLON and m[19] == _DOT and m[26] in b"+-" and m[31] == _BLANK:
            return 32
    return 0


def _iso_cut(m: bytes) -> int:
    if m[22] == _COLON and m[25] == _BLANK:
        return 26
    if m[19] != _DOT:
        return 0
    if m[26] == _COLON:
        return 30
    return 33 if m[29] == _COLON else 32


def _host_and_program(m: bytes, cut: int) -> Header:
    timestamp = m[: cut - 1]
    start = cut + 1 if m[cut : cut + 1] == b" " else cut
    usual = _USUAL.match(m, start)
    if usual:
        end = usual.end()
        is_cut_away = end - usual.end(2) == 1
        header = Header(m[end:], timestamp, usual[1], usual[2], not is_cut_away)
        return _without_solaris_id(header)
    name = _NAME.match(m, start)
    end = name.end() if name else start
    if m.startswith(b": ", end):
        header = Header(m[end + 2 :], timestamp, None, m[start:end], True)
        return _without_solaris_id(header)
    if m[end : end + 1] != b" ":
        return Header(m[start:], timestamp, follows_byte=start > cut)
    return _program(m, end + 1, timestamp, m[start:end])


def _program(m: bytes, start: int, timestamp: bytes, hostname: bytes) -> Header:
    """The rarer forms of a program, after a host name."""
    name = _NAME.match(m, start)
    end = name.end() if name else start
    unchanged = Header(m[start:], timestamp, hostname)
    if m[end : end + 1] == b"[":
        digits = _DIGITS.match(m, end + 1)
        if digits and m.startswith(b"] ", digits.end()):
            header = Header(m[digits.end() + 2 :], timestamp, hostname, m[start:end], True)
            return _without_solaris_id(header)
        return unchanged
    aix = _AIX.match(m, end)
    return _aix_program(m, start, aix.end(), unchanged) if aix else unchanged


def _aix_program(m: bytes, start: int, at: int, header: Header) -> Header:
    name = _NAME.match(m, at)
    end = name.end() if name else at
    if m.startswith(b": ", end):
        header.program_name, header.log, header.follows_byte = m[at:end], m[end + 2 :], True
        return _without_solaris_id(header)
    digits = _DIGITS.match(m, end + 1) if m[end : end + 1] == b"[" else None
    if digits:
        header.program_name = m[at:end]
        if m.startswith(b"]: ", digits.end()):
            header.log, header.follows_byte = m[digits.end() + 3 :], True
            return _without_solaris_id(header)
        header.log = m[start:end]
        return header
    header.program_name, header.log, header.follows_byte = m[at:], m[end:], True
    return _without_solaris_id(header)


def _without_solaris_id(header: Header) -> Header:
    """`[ID 123 auth.info] ` at the start of the log goes away."""
    if header.log.startswith(b"[ID "):
        end = header.log.find(b"]")
        if end >= 0:
            header.follows_byte = True
            header.log = header.log[end + 2 :]
    return header


def _other_form(m: bytes, message: bytes, length: int) -> Header:
    """The forms without host and program."""

    def fits(places: bytes, byte: int) -> bool:
        return all(m[place] == byte for place in places)

    if length >= 28 and fits(b"\x03\x07\x0a\x13\x18\x1a", _BLANK) and fits(b"\x0d\x10", _COLON):
        return Header(message[25:], message[:24])
    if length >= 24 and m[2] == _SLASH and m[5] == _DASH and fits(b"\x08\x0b", _COLON):
        if m[14] == _DOT and m[21] == _BLANK:
            return Header(message[23:], message[:21], follows_byte=True)
    if length >= 28 and fits(b"\x02\x05", _SLASH) and m[10] == _DASH and fits(b"\x0d\x10", _COLON):
        if m[19] == _DOT and m[26] == _BLANK:
            return Header(message[28:], message[:26], follows_byte=True)
    if length >= 27 and m[0] == _OPEN and fits(b"\x04\x08\x0b\x14", _BLANK):
        if fits(b"\x0e\x11", _COLON) and m[25] == _CLOSE:
            return Header(message[27:], message[1:25], follows_byte=True)
    if length >= 26 and m[0] == _OPEN and m[1] == _T and fits(b"\x05\x10", _BLANK):
        if fits(b"\x0a\x0d", _DOT) and m[19] == _COLON:
            return _asl(message)
    if length >= 32 and m[0] == 0x31 and all(0x30 <= m[at] <= 0x39 for at in (1, 2, 3, 13)):
        if m[10] == _DOT and m[14] == _BLANK and (m[21] == _BLANK or m[22] == _BLANK):
            start = 14
            while message[start : start + 1] == b" ":
                start += 1
            return Header(message[start:], message[: start - 1])
    return Header(message)


def _asl(m: bytes) -> Header:
    """`[Time 2006.12.28 15:53:55 UTC] [Facility auth] [Sender sshd] [PID 483] [Message text] [Host h]`."""
    header = Header(b"", follows_byte=True)
    log_start, log_end = 25, len(m)
    has_message = False
    at = 25
    while (opening := m.find(b"[", at)) >= 0:
        at = opening + 1
        end = m.find(b"]", at)
        if m.startswith(b"Sender ", at) and header.program_name is None:
            if end < 0:
                break
            header.program_name = m[at + 7 : end]
        elif m.startswith(b"Message ", at) and not has_message:
            has_message = True
            log_start = at + 8
            log_end = end if end >= 0 else len(m)
            if end < 0:
                break
        elif m.startswith(b"Host ", at):
            if end >= 0:
                header.hostname = m[at + 5 : end]
            if not has_message and end >= 0:
                log_end = min(log_end, end)
            break
        else:
            continue
        if not has_message:
            log_end = min(log_end, end)
        at = end
    header.log = m[log_start:log_end]
    return header
