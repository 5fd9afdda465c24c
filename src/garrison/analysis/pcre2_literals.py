"""Texts of which a subject must hold at least one before a PCRE2 pattern can match it. Pure.

    required_literals(rb"^user (?:root|admin)\\d+ login")   ->  {b" login"}
    required_literals(rb"(?:root|admin) in|out")           ->  {b" in", b"out"}
    required_literals(rb"\\d+")                            ->  empty: nothing is known

It reads just enough of the language to be sure: what it does not know it takes for "anything", and where that
could change how the rest is read, nothing is known. Letter case is not looked at: all texts are in lower case.
"""

from __future__ import annotations

import re

_QUANTIFIER = re.compile(rb"(?:[*?+]|\{(\d*)(?:,\d*)?\})[?+]?")
_CLASS = re.compile(rb"\[\^?\]?(?:\[:\^?\w+:\]|\[|\\.|[^\]\\\[])*\]", re.DOTALL)
_GROUP_HEAD = re.compile(rb"\((?:\?(?::|>|\||P?<[A-Za-z_]\w*>|'[A-Za-z_]\w*'|[imsnJ-]*:))?(?![?*])")
_LOOK_HEAD = re.compile(rb"\(\?(?:=|!|<=|<!)")
_FLAGS = re.compile(rb"\(\?[imsnJ-]*\)")
_COMMENT = re.compile(rb"\(\?#[^)]*\)")
_PLAIN_ESCAPE = re.compile(rb"\\[dDwWsSbBAzZGKhHvVNRXtnrfae]")

MOST_LITERALS = 32
MOST_DEPTH = 40


class _Unknown(Exception):
    """The pattern holds something that this reader does not know."""


def required_literals(source: bytes) -> frozenset[bytes]:
    """Lower-case texts, one of which surely occurs in every subject that matches; empty when none is known."""
    reader = _Reader(source)
    try:
        found = reader.alternation(0)
    except _Unknown:
        return frozenset()
    if reader.at != len(source) or found is None:
        return frozenset()
    return found


class _Reader:
    def __init__(self, source: bytes) -> None:
        self._source = source
        self.at = 0

    def alternation(self, depth: int) -> frozenset[bytes] | None:
        """One text of each branch, None where a branch has none."""
        if depth > MOST_DEPTH:
            raise _Unknown
        found: frozenset[bytes] | None = self._branch(depth)
        while self._source.startswith(b"|", self.at):
            self.at += 1
            other = self._branch(depth)
            found = None if found is None or other is None else found | other
        return None if found is None or len(found) > MOST_LITERALS else found

    def _branch(self, depth: int) -> frozenset[bytes] | None:
        best: frozenset[bytes] | None = None
        run = b""
        while self.at < len(self._source) and self._source[self.at] not in b"|)":
            piece = self._piece(depth)
            least = self._quantifier()
            if isinstance(piece, bytes) and least is None:
                run += piece
                continue
            if isinstance(piece, bytes):
                best = _better(best, frozenset({run + piece if least else run}))
                run = b""
                continue
            best = _better(best, frozenset({run}))
            run = b""
            if piece is not None and least != 0:
                best = _better(best, piece)
        return _better(best, frozenset({run}))

    def _piece(self, depth: int) -> bytes | frozenset[bytes] | None:
        """A literal byte, the texts of a group, or None for anything."""
        source, at = self._source, self.at
        byte = source[at : at + 1]
        if byte == b"\\":
            return self._escape()
        if byte == b"[":
            self._skip(_CLASS)
            return None
        if byte == b"(":
            return self._group(depth)
        if byte in (b".", b"^", b"$"):
            self.at += 1
            return None
        if byte in (b"*", b"+", b"?"):
            raise _Unknown
        self.at += 1
        return byte.lower()

    def _escape(self) -> bytes | None:
        after = self._source[self.at + 1 : self.at + 2]
        if after and not after.isalnum() and after < b"\x80":
            self.at += 2
            return after
        self._skip(_PLAIN_ESCAPE)
        return None

    def _skip(self, what: re.Pattern[bytes]) -> None:
        found = what.match(self._source, self.at)
        if found is None:
            raise _Unknown
        self.at = found.end()

    def _group(self, depth: int) -> frozenset[bytes] | None:
        for what in (_COMMENT, _FLAGS):
            if what.match(self._source, self.at):
                self._skip(what)
                return None
        is_look = _LOOK_HEAD.match(self._source, self.at) is not None
        self._skip(_LOOK_HEAD if is_look else _GROUP_HEAD)
        found = self.alternation(depth + 1)
        if not self._source.startswith(b")", self.at):
            raise _Unknown
        self.at += 1
        return None if is_look else found

    def _quantifier(self) -> int | None:
        """The least count of a quantifier that stands here, None when none does."""
        found = _QUANTIFIER.match(self._source, self.at)
        if found is None:
            return None
        text = found[0]
        if text == b"{}" or text.startswith(b"{,"):
            raise _Unknown  # a count or a plain text, as the library's version has it
        self.at = found.end()
        if found[1] is not None:
            return int(found[1])
        return 1 if text.startswith(b"+") else 0


def _better(one: frozenset[bytes] | None, other: frozenset[bytes]) -> frozenset[bytes] | None:
    """The more telling of two: its shortest text is longer, and it has fewer of them."""
    if b"" in other:
        return one
    if one is None:
        return other
    return max(one, other, key=lambda texts: (min(map(len, texts)), -len(texts)))
