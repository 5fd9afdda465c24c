"""OS_Regex: the home-grown expression language of decoders and rules, exactly as the field expects it. Pure.

    ^user=(\\w+) from (\\d+.\\d+.\\d+.\\d+)|^user (\\S+)$

It is no back-tracking engine but one walk forward over the subject that leaves a repeated class as soon as
the next item fits, with at most four saved points to resume a repetition. `walk` is that walk;
`osregex_shape` finds ordinary expressions that give the same answers faster.
Source: spec/analysis.md 5.3, 5.4; spec/analysis-1-decoding.md 3.2, 3.3. Text is folded to lower case first,
which changes nothing: literals ignore case, and no class tells the cases apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from garrison.analysis.effort import MOST_WALKED_AGAIN, TooMuchWork

MAX_BYTES = 20_480
MAX_RESUME_POINTS = 4

LITERAL, PAREN, ONE, PLUS, STAR = range(5)

ALL = frozenset(range(256))
_DIGIT = frozenset(b"0123456789")
_WORD = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_@")
_BLANK = frozenset(b" ")
_PUNCTUATION = frozenset(b"!\"#$%&'()*+,-.:;<=>?[]{|}")
CLASSES = {
    ord("d"): _DIGIT,
    ord("w"): _WORD,
    ord("s"): _BLANK,
    ord("p"): _PUNCTUATION,
    ord("D"): ALL - _DIGIT,
    ord("W"): ALL - _WORD,
    ord("S"): ALL - _BLANK,
    ord("."): ALL,
}
_SINGLE = {ord("t"): 9, **{byte: byte for byte in b"\\()$|<"}}


class BadPattern(ValueError):
    """The text is no OS_Regex; the message says why."""


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of an alternative: LITERAL, PAREN, or a class that is taken ONE, PLUS or STAR times.

    `members` are the bytes that fit, in lower case; for a PAREN its own number is `index`.
    """

    kind: int
    members: frozenset[int]
    index: int = 0


@dataclass(frozen=True, slots=True)
class Alternative:
    """Items between two bars, with its anchors."""

    items: tuple[Item, ...]
    at_start: bool
    at_end: bool
    groups: int = field(init=False)
    """How many captures it has."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", sum(item.kind == PAREN for item in self.items) // 2)


class Found(NamedTuple):
    """A match: `last` is the index of its last byte as the language counts it, -1 for none; and the captures."""

    last: int
    captures: tuple[bytes, ...] = ()


def parse(source: bytes) -> tuple[Alternative, ...]:
    """The alternatives of `source`; raises `BadPattern`."""
    if len(source) > MAX_BYTES:
        raise BadPattern(f"longer than {MAX_BYTES} bytes")
    return tuple(_parse_alternative(text) for text in _split(source))


def _split(source: bytes) -> list[bytes]:
    """The texts between bare bars; checks escapes and parentheses."""
    texts: list[bytes] = []
    start = at = 0
    is_open = False
    while at < len(source):
        byte = source[at]
        if byte == ord("\\"):
            at += 1
            if at == len(source) or (source[at] not in CLASSES and source[at] not in _SINGLE):
                shown = source[at - 1 : at + 1].decode("latin-1")
                raise BadPattern(f"{shown!r} is no escape of this language")
        elif byte == ord("("):
            if is_open:
                raise BadPattern("a parenthesis inside a parenthesis")
            is_open = True
        elif byte == ord(")"):
            if not is_open:
                raise BadPattern("')' without '('")
            is_open = False
        elif byte == ord("|"):
            if is_open:
                raise BadPattern("'|' inside a parenthesis")
            texts.append(source[start:at])
            start = at + 1
        at += 1
    if is_open:
        raise BadPattern("'(' without ')'")
    return [*texts, source[start:]]


def _parse_alternative(text: bytes) -> Alternative:
    at_start = text.startswith(b"^")
    at = 1 if at_start else 0
    items: list[Item] = []
    at_end = False
    parens = 0
    while at < len(text):
        byte = text[at]
        if byte == ord("\\"):
            members = CLASSES.get(text[at + 1]) or frozenset({_SINGLE.get(text[at + 1], 0)})
            at += 2
            kind = {ord("+"): PLUS, ord("*"): STAR}.get(text[at] if at < len(text) else 0, ONE)
            at += kind != ONE
            items.append(Item(kind, _lowered(members)))
            continue
        if byte in b"()":
            items.append(Item(PAREN, frozenset(b"("), parens))
            parens += 1
        elif byte == ord("$") and at == len(text) - 1:
            at_end = True
        else:
            items.append(Item(LITERAL, frozenset(bytes([byte]).lower())))
        at += 1
    return Alternative(tuple(items), at_start, at_end)


def _lowered(members: frozenset[int]) -> frozenset[int]:
    return frozenset(bytes(members).lower()) if any(65 <= m <= 90 for m in members) else members


def walk(alternative: Alternative, low: bytes, *, captures: bool) -> tuple[int, list[int]] | None:
    """(last, marks) when `alternative` fits `low`, a subject in lower case.

    `marks` holds the position of each parenthesis passed, -1 for others. `captures` says that they are asked
    for, which at the very end of the subject makes a difference. Raises `TooMuchWork` when it has to go back too often.
    """
    again = 0
    items = alternative.items
    count = len(items)
    at_end = alternative.at_end
    marks = [-1] * count
    length = len(low)
    resume: list[tuple[int, int]] = []
    p = s = 0
    last: int | None = 0
    seen = False
    restart = -1
    while s < length:
        byte = low[s]
        item = items[p] if p < count else None
        if item is None:
            if not at_end:
                return None if last is None else (last, marks)
        elif item.kind == PAREN:
            marks[item.index] = s
            p += 1
            if p == count:
                if not at_end:
                    return None if last is None else (last, marks)
                item = None
            else:
                item = items[p]
        if item is None:
            pass
        elif item.kind >= ONE:
            kind = item.kind
            if byte in item.members:
                if kind == ONE:
                    p += 1
                    if restart < 0:
                        restart = s
                    last = s
                    s += 1
                    continue
                if kind == STAR:
                    seen = True
                if seen:
                    q = p + 1
                    paren = -1
                    if q < count and items[q].kind == PAREN:
                        paren = items[q].index
                        q += 1
                    advance = -1
                    if q == count:
                        advance = 1
                    elif byte in items[q].members:
                        if items[q].kind >= ONE:
                            advance = 2 if items[q].kind == ONE else 0
                        else:
                            seen = False
                            advance = 1
                    if advance >= 0:
                        if paren >= 0:
                            marks[paren] = s + 1 if seen and advance == 1 else s
                        if q == count:
                            s += 1
                            continue
                        if len(resume) < MAX_RESUME_POINTS:
                            resume.append((p, s))
                        p = q if advance == 0 else q + 1
                else:
                    if p + 1 < count and items[p + 1].kind == PAREN:
                        marks[items[p + 1].index] = s + 1 if s == length - 1 else s
                    seen = True
                last = s
                s += 1
                continue
            if (
                seen
                and last is not None
                and (p == count - 1 or (kind == ONE and p == count - 2 and items[p + 1].kind < ONE))
            ):
                last = s
                if not at_end:
                    return last, marks
            elif kind == PLUS and seen:
                p += 1
                seen = False
                continue
            elif kind == STAR:
                p += 1
                last = s - 1
                seen = False
                continue
            seen = False
        elif byte in item.members:
            p += 1
            if restart < 0:
                restart = s
            last = s
            s += 1
            continue
        if resume:
            at = s
            p, s = resume.pop()
            s += 1
            again += at - s
            if again > MOST_WALKED_AGAIN:
                raise TooMuchWork
            continue
        if alternative.at_start:
            return None
        if restart >= 0:
            again += s - restart
            if again > MOST_WALKED_AGAIN:
                raise TooMuchWork
            s = restart
            restart = -1
        p = 0
        last = None
        s += 1
    if captures:
        while p < count and items[p].kind == STAR:
            p += 1
        if p < count and items[p].kind == PAREN:
            marks[items[p].index] = s
    if last is None or not _accepts(items, p, seen):
        return None
    return last, marks


def _accepts(items: tuple[Item, ...], p: int, seen: bool) -> bool:
    """Whether a subject that ended while the walk stood at item `p` fits."""
    count = len(items)

    def kind(index: int) -> int:
        return items[index].kind if index < count else -1

    def after_paren(index: int) -> int:
        return index + 1 if kind(index) == PAREN else index

    p = after_paren(p)
    if p == count:
        return True
    if seen and kind(p) >= ONE:
        if kind(p) == ONE:
            p += 1
        else:
            p = after_paren(p + 1)
            if p == count:
                return True
            if kind(p) == PLUS:
                return False
            if kind(p) == STAR:
                p = after_paren(p + 1)
                if p == count:
                    return True
            elif kind(p) == ONE:
                p += 1
    return kind(p) == STAR and after_paren(p + 1) == count


def captures_of(subject: bytes, marks: list[int]) -> tuple[bytes, ...]:
    """The captured texts: marks two by two until one is missing; a pair in reverse order is empty."""
    found: list[bytes] = []
    for first in range(0, len(marks) - 1, 2):
        if marks[first] < 0 or marks[first + 1] < 0:
            break
        found.append(subject[marks[first] : marks[first + 1]])
    return tuple(found)


def interpret(
    alternatives: tuple[Alternative, ...], subject: bytes, *, captures: bool = False
) -> Found | None:
    """What the pattern says about `subject`, by the walk alone."""
    low = subject.lower()
    for alternative in alternatives:
        asked = captures and alternative_has_groups(alternatives)
        result = walk(alternative, low, captures=asked)
        if result is not None:
            last, marks = result
            return Found(last, captures_of(subject, marks) if captures else ())
    return None


def alternative_has_groups(alternatives: tuple[Alternative, ...]) -> bool:
    """True when the pattern contains a parenthesis."""
    return any(alternative.groups for alternative in alternatives)
