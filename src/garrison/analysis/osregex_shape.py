"""Ordinary expressions that stand in for the OS_Regex walk where that is proven. Pure.

All of them look at subjects in lower case. For one alternative:

* `loose` finds a match wherever the walk does, and perhaps where it does not. No hit: no match.
* `loose` is *exact* where every repeated class is disjoint from what may follow it: then run and exit are
  forced, an attempt that fails has nothing to resume, and no later attempt can overtake an earlier one.
* `strict` is one attempt of the walk without a resume: a run takes bytes until one also fits the next item.
  Possessive repetition makes it as forced as the walk. A hit of `strict` at the first place where the
  alternative's fixed beginning occurs is what the walk finds: every earlier attempt dies in that beginning.

What neither settles is walked. `tests/analysis/test_osregex.py` holds all three against the walk.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from functools import cache, cached_property

from garrison.analysis.osregex import ALL, LITERAL, ONE, PAREN, PLUS, STAR, Alternative, Item

_FLAGS = re.DOTALL

RARE_BYTES = frozenset(bytes([byte]) for byte in b"%|<>~^@#$&*!{}`\t")
"""Bytes that tell something about a log though they stand alone."""


@dataclass(frozen=True, slots=True)
class Tail:
    """A repeated class at the very end: where the match ends is counted in a way of its own."""

    is_plus: bool
    is_captured: bool

    def last(self, start: int, end: int, length: int) -> int:
        """The index that the walk gives for a tail of [start, end) in a subject of `length` bytes."""
        if self.is_plus:
            return start if self.is_captured or end == length else end
        if self.is_captured:
            return start - 1 if end == length else end - 1
        return end if start < end < length else start - 1


class Shape:
    """The stand-ins of one alternative; None where there is none. They are compiled when first used.

    `begin` finds the first place where `strict` may be tried, None when that is the start of the subject.
    """

    def __init__(
        self,
        loose: bytes | None,
        is_exact: bool,
        strict: bytes | None,
        begin: bytes | None,
        tail: Tail | None,
    ) -> None:
        self.loose_source = loose
        self.is_exact = is_exact
        self._strict_source = strict
        self._begin_source = begin
        self.tail = tail

    @cached_property
    def loose(self) -> re.Pattern[bytes] | None:
        """Fits wherever the walk does."""
        return _compiled(self.loose_source)

    @cached_property
    def strict(self) -> re.Pattern[bytes] | None:
        """One attempt of the walk."""
        return _compiled(self._strict_source)

    @cached_property
    def begin(self) -> re.Pattern[bytes] | None:
        """The first place for an attempt."""
        return _compiled(self._begin_source)


def _compiled(source: bytes | None) -> re.Pattern[bytes] | None:
    return None if source is None else re.compile(source, _FLAGS)


def shape_of(alternative: Alternative) -> Shape:
    """The stand-ins of `alternative`."""
    solid = [item for item in alternative.items if item.kind != PAREN]
    if not solid or _has_neighboring_parens(alternative):
        return Shape(None, False, None, None, None)
    return Shape(
        loose=loose_expression(alternative),
        is_exact=_is_exact(alternative, solid),
        strict=_strict_expression(alternative),
        begin=_begin_expression(alternative, solid),
        tail=_tail(alternative),
    )


def _has_neighboring_parens(alternative: Alternative) -> bool:
    items = alternative.items
    return any(a.kind == PAREN == b.kind for a, b in itertools.pairwise(items))


@cache
def _set(members: frozenset[int]) -> bytes:
    """A bracket expression, or the shortest equal form."""
    if members == ALL or len(members) == 256:
        return b"."
    if len(members) == 1:
        only = bytes(members)
        return only if only.isalnum() and only < b"\x80" else b"\\x%02x" % only[0]
    ranges: list[bytes] = []
    low = -1
    ordered = sorted(members)
    for at, byte in enumerate(ordered):
        if low < 0:
            low = byte
        if at + 1 == len(ordered) or ordered[at + 1] != byte + 1:
            ranges.append(b"\\x%02x-\\x%02x" % (low, byte) if low != byte else b"\\x%02x" % low)
            low = -1
    return b"[" + b"".join(ranges) + b"]"


def _piece(item: Item, suffix: bytes = b"") -> bytes:
    return _set(item.members) + {PLUS: b"+", STAR: b"*"}.get(item.kind, b"") + suffix


def _next_solid(items: tuple[Item, ...], at: int) -> int:
    """Index of the item that a run at `at` looks at; the count of items when there is none."""
    after = at + 1
    if after < len(items) and items[after].kind == PAREN:
        after += 1
    return after


def _is_stale_prone(alternative: Alternative) -> bool:
    """True when a run can end by giving its byte to a single class: then "seen" outlives the run."""
    items = alternative.items
    for at, item in enumerate(items):
        after = _next_solid(items, at)
        if item.kind >= PLUS and after < len(items) and items[after].kind == ONE:
            if item.members & items[after].members:
                return True
    return False


def loose_expression(alternative: Alternative, *, keeps_start: bool = True) -> bytes | None:
    """An expression that fits wherever the walk finds a match; None when none is known.

    `keeps_start` False drops the anchor at the start: the expression then also fits any text that has the
    subject as its end, which is what a gate over the whole log needs.
    """
    if _has_neighboring_parens(alternative):
        return None
    solid = [item for item in alternative.items if item.kind != PAREN]
    if not solid:
        return None
    at_end = alternative.at_end
    is_prone = _is_stale_prone(alternative)
    if is_prone:
        solid = [Item(STAR, item.members) if item.kind == PLUS else item for item in solid]
        if (
            alternative.items[-1].kind < ONE
            and len(alternative.items) > 1
            and alternative.items[-2].kind == ONE
        ):
            solid = solid[: -1 if alternative.items[-1].kind == PAREN else -2]
            at_end = False
        elif alternative.items[-1].kind == ONE:
            solid = solid[:-1]
            at_end = False
    else:
        solid = [
            Item(STAR, item.members) if _may_be_skipped_at_end(solid, at) else item
            for at, item in enumerate(solid)
        ]
    pieces = [_piece(item) for item in solid]
    if _may_lack_its_single(solid) or (is_prone and len(solid) > 1 and solid[-1].kind == STAR):
        pieces[-2] = b"(?:" + pieces[-2] + rb"|\Z)"
    start = rb"\A" if alternative.at_start and keeps_start else b""
    return start + b"".join(pieces) + (rb"\Z" if at_end else b"")


def _may_be_skipped_at_end(solid: list[Item], at: int) -> bool:
    """True for a PLUS behind a STAR that a subject may end before, which the walk with captures lets pass."""
    return at > 0 and solid[at].kind == PLUS and solid[at - 1].kind == STAR and at >= len(solid) - 3


def _may_lack_its_single(solid: list[Item]) -> bool:
    """True for `\\d+\\s\\S*`: a subject may end after the run, and the single class is not missed."""
    return len(solid) > 2 and solid[-1].kind == STAR and solid[-2].kind == ONE and solid[-3].kind >= PLUS


def _is_exact(alternative: Alternative, solid: list[Item]) -> bool:
    for at, item in enumerate(solid):
        if item.kind >= PLUS and item.members & _may_follow(solid, at):
            return False
        if _may_be_skipped_at_end(solid, at):
            return False
    if solid[-1].kind == STAR:
        if len(solid) == 1 or solid[-2].kind == STAR:
            return False
        if _may_lack_its_single(solid):
            return False
    if alternative.at_start or solid[0].kind <= ONE:
        return True
    return len(solid) == 1 or solid[1].kind <= ONE


def _may_follow(solid: list[Item], at: int) -> frozenset[int]:
    found: frozenset[int] = frozenset()
    for item in solid[at + 1 :]:
        found |= item.members
        if item.kind != STAR:
            break
    return found


def _tail(alternative: Alternative) -> Tail | None:
    items = alternative.items
    if items[-1].kind >= PLUS:
        return Tail(items[-1].kind == PLUS, False)
    if items[-1].kind == PAREN and len(items) > 1 and items[-2].kind >= PLUS:
        return Tail(items[-2].kind == PLUS, True)
    return None


def _strict_expression(alternative: Alternative) -> bytes | None:
    """One attempt of the walk that never resumes; the run of a tail is an extra last group."""
    items = alternative.items
    solid = [item for item in items if item.kind != PAREN]
    if solid[-1].kind == STAR and (len(solid) == 1 or solid[-2].kind == STAR):
        return None
    pieces: list[bytes] = []
    is_stale = False
    shared: frozenset[int] = frozenset()
    for at, item in enumerate(items):
        if item.kind == PAREN:
            pieces.append(b"(" if item.index % 2 == 0 else b")")
            continue
        if item.kind <= ONE:
            pieces.append(_set(item.members))
            continue
        if is_stale:
            return None
        after = _next_solid(items, at)
        is_tail = after == len(items)
        if is_tail and item.kind == STAR and shared:
            return None
        following = frozenset() if is_tail else items[after].members
        run = _run(item, following, shared)
        pieces.append(b"(" + run + b")" if is_tail else run)
        shared = item.members & following if not is_tail and items[after].kind >= PLUS else frozenset()
        is_stale = bool(not is_tail and items[after].kind == ONE and item.members & following)
    start = rb"\A" if alternative.at_start else b""
    return start + b"".join(pieces) + (rb"\Z" if alternative.at_end else b"")


def _run(item: Item, following: frozenset[int], shared: frozenset[int]) -> bytes:
    """A run of `item`: `shared` bytes may have entered it from the run before."""
    members = _set(item.members)
    stays = item.members - following
    rest = _set(stays) + b"*+" if stays else b""
    if item.kind == PLUS:
        return members + rest if following & item.members else members + b"++"
    entered = _set(shared) + b"?+" if shared else b""
    return entered + rest


def _begin_expression(alternative: Alternative, solid: list[Item]) -> bytes | None:
    """What every attempt has to pass before its first run; None: only the start of the subject is tried."""
    if alternative.at_start or solid[0].kind == STAR:
        return None
    if solid[0].kind == PLUS:
        return _set(solid[0].members)
    pieces: list[bytes] = []
    for item in solid:
        if item.kind > ONE:
            break
        pieces.append(_set(item.members))
    return b"".join(pieces)


def is_literal(item: Item) -> bool:
    """True for an item that fits one byte (and its other case) only."""
    return item.kind == LITERAL


def leading_literal(alternative: Alternative) -> bytes:
    """The text, in lower case, that every attempt of the walk has to pass first; empty when there is none."""
    text = b""
    for item in alternative.items:
        if item.kind == PAREN:
            continue
        if item.kind > ONE or len(item.members) != 1:
            break
        text += bytes(item.members)
    return b"" if _has_neighboring_parens(alternative) else text


def first_members(alternative: Alternative) -> frozenset[int] | None:
    """The bytes, in lower case, of which a subject must begin with one; None where that is not known."""
    first = next((item for item in alternative.items if item.kind != PAREN), None)
    if (
        not alternative.at_start
        or first is None
        or first.kind == STAR
        or _has_neighboring_parens(alternative)
    ):
        return None
    return first.members


def _rarity(text: bytes) -> tuple[int, bool]:
    return len(text), text in RARE_BYTES


def longest_literal(alternative: Alternative) -> bytes:
    """The longest text, in lower case, that every match of the walk surely contains; empty when unknown."""
    best = leading_literal(alternative)
    if _has_neighboring_parens(alternative) or _is_stale_prone(alternative):
        return best
    current = b""
    solid = [item for item in alternative.items if item.kind != PAREN]
    sure = solid[:-2] if _may_lack_its_single(solid) else solid
    for item in sure:
        if item.kind <= ONE and len(item.members) == 1:
            current += bytes(item.members)
            best = max(best, current, key=_rarity)
        else:
            current = b""
    return best
