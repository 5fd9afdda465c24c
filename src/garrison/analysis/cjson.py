"""JSON as logs write it, read the forgiving way that rules in the field rely on. Pure.

One value at the start of a text; what follows it is ignored. Any byte up to 0x20 is white space, raw control
bytes and foreign bytes inside strings stay, `\\u0000` cuts a string, members of equal name are all kept,
nesting is bounded. Source: spec/analysis.md 7.1; spec/analysis-1-decoding.md 5.1.

Values: `Members` for objects, list, str (foreign bytes as `surrogateescape`), int, float, bool, None.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

MAX_DEPTH = 1_000
MAX_NUMBER_BYTES = 63
"""Fields show no more of a number."""
_MAX_INT, _MIN_INT = 2_147_483_647, -2_147_483_648

_SPACE = re.compile(rb"[\x00-\x20]*")
_NUMBER = re.compile(rb"(?:-?[0-9]++(?:\.[0-9]*+)?|-\.[0-9]++)(?:[eE][+-]?[0-9]++)?")
_STRING = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"', re.DOTALL)
_ESCAPE = re.compile(rb"\\(u[0-9a-fA-F]{4}|.?)", re.DOTALL)
_PLAIN_ESCAPES = {
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b'"': b'"',
    b"\\": b"\\",
    b"/": b"/",
}
_PRINTED = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}
_TO_ESCAPE = re.compile(r'[\x00-\x1f"\\]')
_MINUS_ZERO = re.compile(rb"[\x00-\x20\[,:]-0[eE,\]}\x00-\x20]")
"""A strict reader takes it for the whole number 0, and its sign would be lost."""
_LOOSE_COLON = re.compile(rb'"[\x00-\x20]+:')


class NotJson(ValueError):
    """The text does not begin with a JSON value."""


class Members(list[tuple[str, Any]]):
    """An object: its members in order, equal names included."""


def parse(text: bytes) -> Any:
    """The value at the start of `text`; raises `NotJson`."""
    return _Parser(text).value_at_start()


def fault_position(text: bytes) -> int:
    """Where reading a value stopped: the index of the byte that does not fit."""
    parser = _Parser(text)
    try:
        parser.value_at_start()
    except NotJson:
        pass
    return parser.place


def parse_quickly(text: bytes) -> Any:
    """The same value with plain dicts for objects, or `Members` where the text needs the forgiving reader.

    A strict reader takes what it can; names that come twice, which it would lose, are noticed by counting.
    """
    try:
        value = orjson.loads(text)
    except ValueError:
        return parse(text)
    if b"\\u0000" in text or _LOOSE_COLON.search(text) or _count_names(value) != text.count(b'":'):
        return parse(text)
    if b"-0" in text and _MINUS_ZERO.search(text):
        return parse(text)
    if len(text) > MAX_DEPTH and text.count(b"[") + text.count(b"{") > MAX_DEPTH:
        return parse(text)
    return value


def _count_names(value: Any) -> int:
    count = 0
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if type(item) is dict:
            count += len(item)
            waiting.extend(part for part in item.values() if type(part) is dict or type(part) is list)
        elif type(item) is list:
            waiting.extend(part for part in item if type(part) is dict or type(part) is list)
    return count


class _Parser:
    """Keeps its own stack: depth is a number here, not calls."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._at = 3 if text.startswith(b"\xef\xbb\xbf") else 0

    @property
    def place(self) -> int:
        """Index of the byte that is looked at."""
        return self._at

    def value_at_start(self) -> Any:
        root: list[Any] = []
        waiting: list[Any] = [root]
        self._value(root, waiting)
        while len(waiting) > 1:
            if len(waiting) > MAX_DEPTH + 1:
                raise NotJson("nested too deep")
            self._next(waiting)
        return root[0]

    def _skip(self) -> int:
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return self._text[self._at] if self._at < len(self._text) else -1

    def _next(self, waiting: list[Any]) -> None:
        """One more member of the innermost open object or array, or its end."""
        inner = waiting[-1]
        is_object = isinstance(inner, Members)
        byte = self._skip()
        if byte == (0x7D if is_object else 0x5D):
            self._at += 1
            waiting.pop()
            return
        if inner:
            if byte != 0x2C:
                raise NotJson("expected ',' or an end")
            self._at += 1
            self._skip()
        if is_object:
            name = self._string()
            if self._skip() != 0x3A:
                raise NotJson("expected ':'")
            self._at += 1
            slot: list[Any] = []
            self._value(slot, waiting)
            inner.append((name, slot[0]))
        else:
            self._value(inner, waiting)

    def _value(self, into: list[Any], waiting: list[Any]) -> None:
        """Appends the next value to `into`; an object or array is appended open and put on `waiting`."""
        byte = self._skip()
        text = self._text
        if byte == 0x22:
            into.append(self._string())
        elif byte == 0x7B:
            self._at += 1
            into.append(Members())
            waiting.append(into[-1])
        elif byte == 0x5B:
            self._at += 1
            into.append([])
            waiting.append(into[-1])
        elif text.startswith(b"true", self._at):
            self._word(into, True, 4)
        elif text.startswith(b"false", self._at):
            self._word(into, False, 5)
        elif text.startswith(b"null", self._at):
            self._word(into, None, 4)
        else:
            self._number(into)

    def _word(self, into: list[Any], value: bool | None, length: int) -> None:
        into.append(value)
        self._at += length

    def _number(self, into: list[Any]) -> None:
        found = _NUMBER.match(self._text, self._at)
        if found is None:
            raise NotJson("expected a value")
        into.append(float(found[0]))
        self._at = found.end()

    def _string(self) -> str:
        found = _STRING.match(self._text, self._at)
        if found is None:
            raise NotJson("expected a string")
        self._at = found.end()
        raw = found[1]
        if b"\\" in raw:
            raw = _unescape(raw)
        return raw.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _unescape(raw: bytes) -> bytes:
    pieces: list[bytes] = []
    at = 0
    high = 0
    for found in _ESCAPE.finditer(raw):
        if found.start() < at:
            continue
        between = raw[at : found.start()]
        if high and (between or not found[1].startswith(b"u")):
            raise NotJson("half a surrogate pair")
        pieces.append(between)
        at = found.end()
        code = found[1]
        if not code.startswith(b"u"):
            if code not in _PLAIN_ESCAPES:
                raise NotJson("unknown escape")
            pieces.append(_PLAIN_ESCAPES[code])
            continue
        if len(code) != 5:
            raise NotJson("unknown escape")
        number = int(code[1:], 16)
        if high:
            if not 0xDC00 <= number <= 0xDFFF:
                raise NotJson("half a surrogate pair")
            pieces.append(chr(0x10000 + ((high - 0xD800) << 10) + (number - 0xDC00)).encode())
            high = 0
        elif 0xD800 <= number <= 0xDBFF:
            high = number
        elif 0xDC00 <= number <= 0xDFFF:
            raise NotJson("half a surrogate pair")
        else:
            pieces.append(chr(number).encode())
    if high:
        raise NotJson("half a surrogate pair")
    return b"".join([*pieces, raw[at:]])


def number_text(value: float) -> str:
    """A number as a field shows it: integral and within 32 bits plain, else with six decimals."""
    if (
        value == value
        and abs(value) != float("inf")
        and value == int(value)
        and _MIN_INT <= value <= _MAX_INT
    ):
        return str(int(value))
    return f"{float(value):f}"[:MAX_NUMBER_BYTES]


def print_array(value: list[Any]) -> str:
    """The text of an array as rules see it: `[1, "a", {` with objects over several lines."""
    return _printed(value, is_compact=False)


def print_compact(value: Any) -> str:
    """The text of any value without blanks."""
    return _printed(value, is_compact=True)


_AS_IT_IS = -1


def _printed(value: Any, *, is_compact: bool) -> str:
    """Keeps its own stack, as the parser does; a depth of _AS_IT_IS marks finished text."""
    pieces: list[str] = []
    waiting: list[tuple[Any, int]] = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth == _AS_IT_IS:
            pieces.append(item)
        elif isinstance(item, Members | dict):
            _open_object(item, depth, is_compact, waiting)
        elif isinstance(item, list):
            waiting.append(("]", _AS_IT_IS))
            comma = ("," if is_compact else ", ", _AS_IT_IS)
            for place in range(len(item) - 1, -1, -1):
                waiting.append((item[place], depth + 1))
                if place:
                    waiting.append(comma)
            waiting.append(("[", _AS_IT_IS))
        else:
            pieces.append(_printed_scalar(item))
    return "".join(pieces)


def _open_object(
    item: Members | dict[str, Any], depth: int, is_compact: bool, waiting: list[tuple[Any, int]]
) -> None:
    """Puts an object on `waiting`, its beginning on top."""
    members = item if isinstance(item, Members) else list(item.items())
    tabs = "" if is_compact else "\t" * (depth + 1)
    line, colon = ("", ":") if is_compact else ("\n", ":\t")
    waiting.append((f"{line if members else ''}{tabs[1:]}}}", _AS_IT_IS))
    for place in range(len(members) - 1, -1, -1):
        name, each = members[place]
        waiting.append((each, depth + 1))
        waiting.append((f"{',' + line if place else ''}{tabs}{_quoted(name)}{colon}", _AS_IT_IS))
    waiting.append(("{" + line, _AS_IT_IS))


def _printed_scalar(value: Any) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _printed_number(float(value))


def _quoted(text: str) -> str:
    return '"' + _TO_ESCAPE.sub(_escaped, text) + '"'


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return _PRINTED.get(code) or f"\\u{code:04x}"


def _printed_number(value: float) -> str:
    if value != value or abs(value) == float("inf"):
        return "null"
    if value == int(value) and abs(value) <= _MAX_INT:
        return str(int(value)) if value or str(value)[0] != "-" else "-0"
    short = f"{value:.15g}"
    return short if float(short) == value else f"{value:.17g}"
