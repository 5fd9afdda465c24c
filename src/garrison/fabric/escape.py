"""Any text as one token of the engine's subjects and keys, and back. Pure.

    web-01      web-01
    a.b c       a=2Eb=20c
    001         001
    =           =3D

Letters, digits, `-` and `_` stay; every other byte of the UTF-8 form becomes `=` and two upper-case
hexadecimal digits. So no text can be a wildcard, a separator or a second token.
"""

from __future__ import annotations

import re

from garrison.ground.errors import PeerError

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_TOKEN = re.compile(r"(?:[A-Za-z0-9_-]|=[0-9A-F]{2})+")
_ESCAPED = re.compile(rb"=([0-9A-F]{2})")


def escape(text: str) -> str:
    """The token of `text`; two texts never share one. Empty for empty, which the engine refuses."""
    return "".join(
        chr(byte) if byte in _PLAIN else f"={byte:02X}" for byte in text.encode("utf-8", "surrogatepass")
    )


def unescape(token: str) -> str:
    """The text whose token this is; `PeerError` when it is the token of none."""
    if not _TOKEN.fullmatch(token):
        raise PeerError("not an escaped token")
    raw = _ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), token.encode("ascii"))
    try:
        text = raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise PeerError("an escaped token that is not UTF-8") from error
    if escape(text) != token:
        raise PeerError("a token that is escaped in another way than ours")
    return text
