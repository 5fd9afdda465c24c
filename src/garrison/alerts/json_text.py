"""A value as compact JSON, also where its texts are no UTF-8. Pure.

Logs are bytes that somebody else wrote. Text goes out as UTF-8 and what is none goes out as it came in, so that
an alert shows the log that was received. `orjson` does the first and refuses the second; then the slow encoder
below takes over. Texts carry foreign bytes as `surrogateescape` does, or are `bytes` themselves.

`/` is not escaped, control characters are `\\b \\f \\n \\r \\t` or `\\u00xx`. Source: spec/analysis-3-outputs.md 2.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

_ESCAPED = re.compile(rb'[\x00-\x1f"\\]')
_SHORT = {
    b'"': b'\\"',
    b"\\": b"\\\\",
    b"\b": b"\\b",
    b"\f": b"\\f",
    b"\n": b"\\n",
    b"\r": b"\\r",
    b"\t": b"\\t",
}


def encode_json(value: Any) -> bytes:
    """`value` as JSON without blanks and without a line end."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return encode_foreign(value)


class _Raw(bytes):
    """A piece of the output that is finished."""


def encode_foreign(value: Any) -> bytes:
    """The same as `encode_json` for any bytes, any depth of nesting and any size of integer."""
    pieces: list[bytes] = []
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, _Raw):
            pieces.append(item)
        elif isinstance(item, str | bytes):
            pieces.append(_text(item))
        elif isinstance(item, dict):
            waiting.append(_Raw(b"}"))
            waiting.extend(reversed(_members(item)))
        elif isinstance(item, list | tuple):
            waiting.append(_Raw(b"]"))
            waiting.extend(reversed(_elements(item)))
        elif isinstance(item, int) and not isinstance(item, bool):
            pieces.append(b"%d" % item)
        else:
            pieces.append(orjson.dumps(item))
    return b"".join(pieces)


def _members(value: dict[Any, Any]) -> list[Any]:
    members: list[Any] = [_Raw(b"{")]
    for name, member in value.items():
        comma = b"," if len(members) > 1 else b""
        members += [_Raw(comma + _text(name) + b":"), member]
    return members


def _elements(value: list[Any] | tuple[Any, ...]) -> list[Any]:
    elements: list[Any] = [_Raw(b"[")]
    for element in value:
        if len(elements) > 1:
            elements.append(_Raw(b","))
        elements.append(element)
    return elements


def _text(text: str | bytes) -> bytes:
    if isinstance(text, bytes):
        raw = text
    else:
        try:
            raw = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raw = text.encode("utf-8", "surrogatepass")  # half a pair, made by nobody we know: still no crash
    return b'"' + _ESCAPED.sub(_escape, raw) + b'"'


def _escape(found: re.Match[bytes]) -> bytes:
    char = found[0]
    return _SHORT.get(char) or b"\\u%04x" % char[0]
