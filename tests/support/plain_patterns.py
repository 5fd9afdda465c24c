"""The pattern languages as the specification tells them, slow and plain: what the product is held against.

Shares nothing with the product. Source: spec/analysis-1-decoding.md 3.1 (OS_Match), 3.2 and 3.3 (OS_Regex).
"""

from __future__ import annotations

from dataclasses import dataclass, field

UPPER, LOWER = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"abcdefghijklmnopqrstuvwxyz"
DIGITS = b"0123456789"


def lowered(byte: int) -> int:
    place = UPPER.find(bytes([byte]))
    return LOWER[place] if place >= 0 else byte


def same(one: bytes, other: bytes) -> bool:
    return len(one) == len(other) and all(lowered(a) == lowered(b) for a, b in zip(one, other, strict=True))


def osmatch(pattern: bytes, subject: bytes) -> bool:
    """Whether `subject` fits the OS_Match `pattern`."""
    if pattern[:1] == b"!":
        return not _any_choice(pattern[1:], subject)
    return _any_choice(pattern, subject)


def _any_choice(pattern: bytes, subject: bytes) -> bool:
    return any(_choice(text, subject) for text in pattern.split(b"|"))


def _choice(text: bytes, subject: bytes) -> bool:
    if text in (b"", b"^", b"$"):
        return True
    begins, ends = text[:1] == b"^", text[-1:] == b"$"
    core = text[begins : len(text) - ends]
    size = len(core)
    if begins and ends:
        return same(subject, core)
    if begins:
        return same(subject[:size], core)
    if ends:
        return size == 0 or same(subject[-size:], core)
    return any(same(subject[at : at + size], core) for at in range(len(subject) - size + 1))


def in_class(letter: bytes, byte: int) -> bool:
    """Whether `byte` fits the item backslash + `letter`."""
    word = UPPER + LOWER + DIGITS + b"-_@"
    plain = {b"d": DIGITS, b"w": word, b"s": b" ", b"p": b"!\"#$%&'()*+,-.:;<=>?[]{|}"}
    if letter in plain:
        return byte in plain[letter]
    if letter in (b"D", b"W", b"S"):
        return byte not in plain[letter.lower()]
    if letter == b".":
        return True
    return byte == (9 if letter == b"t" else letter[0])


@dataclass
class Piece:
    kind: str
    """`class`, `literal` or `paren`."""
    text: bytes
    repeat: str = ""
    number: int = 0

    def fits(self, byte: int) -> bool:
        if self.kind == "class":
            return in_class(self.text, byte)
        return lowered(byte) == lowered(self.text[0])


@dataclass
class Branch:
    pieces: list[Piece] = field(default_factory=list)
    begins: bool = False
    ends: bool = False


class NoPattern(Exception):
    """The text does not compile."""


def compile_osregex(pattern: bytes) -> list[Branch]:
    """The alternatives of an OS_Regex; raises `NoPattern`."""
    if len(pattern) > 20_480:
        raise NoPattern
    branches: list[Branch] = []
    rest: bytes | None = pattern
    while rest is not None:
        branch, rest = _compile_branch(rest)
        branches.append(branch)
    return branches


def _compile_branch(text: bytes) -> tuple[Branch, bytes | None]:
    branch = Branch()
    at, is_open = 0, False
    if text[:1] == b"^":
        branch.begins, at = True, 1
    while at < len(text):
        char = text[at : at + 1]
        if char == b"\\":
            letter = text[at + 1 : at + 2]
            if not letter or letter not in b"dwspDWS.t\\()$<|":
                raise NoPattern
            repeat = text[at + 2 : at + 3].decode("latin-1")
            repeat = repeat if repeat in ("+", "*") and repeat else ""
            branch.pieces.append(Piece("class", letter, repeat))
            at += 2 + len(repeat)
            continue
        if char == b"|":
            if is_open:
                raise NoPattern
            return branch, text[at + 1 :]
        if char in (b"(", b")"):
            if (char == b"(") == is_open:
                raise NoPattern
            is_open = not is_open
            number = sum(piece.kind == "paren" for piece in branch.pieces)
            branch.pieces.append(Piece("paren", b"(", number=number))
        elif char == b"$" and text[at + 1 : at + 2] in (b"", b"|"):
            branch.ends = True
        else:
            branch.pieces.append(Piece("literal", char))
        at += 1
    if is_open:
        raise NoPattern
    return branch, None


def osregex(pattern: bytes, subject: bytes, *, wants_captures: bool) -> tuple[int, list[bytes]] | None:
    """(last, captures) of the first alternative that fits; None when none does."""
    branches = compile_osregex(pattern)
    wants_captures = wants_captures and any(p.kind == "paren" for b in branches for p in b.pieces)
    for branch in branches:
        walk = Walk(branch, subject, wants_captures)
        last = walk.run()
        if last is not None:
            return last, walk.captures()
    return None


class Walk:
    """One alternative walks over one subject, as 3.3 tells it step by step."""

    def __init__(self, branch: Branch, subject: bytes, wants_captures: bool) -> None:
        self.t, self.n = branch.pieces, len(branch.pieces)
        self.begin, self.end = branch.begins, branch.ends
        self.subject, self.wants = subject, wants_captures
        self.mark: dict[int, int] = {}
        self.p = self.s = 0
        self.last: int | None = 0
        self.seen = False
        self.restart: int | None = None
        self.stack: list[tuple[int, int]] = []

    def kind(self, at: int) -> str:
        return self.t[at].kind if at < self.n else "none"

    def run(self) -> int | None:
        while self.s < len(self.subject):
            outcome = self.step(self.subject[self.s])
            if outcome == "match":
                return self.last
            if outcome == "next":
                continue
            if self.stack:
                self.p, self.s = self.stack.pop()
                self.s += 1
                continue
            if self.begin:
                return None
            if self.restart is not None:
                self.s, self.restart = self.restart, None
            self.p, self.last = 0, None
            self.s += 1
        if self.wants:
            while self.kind(self.p) == "class" and self.t[self.p].repeat == "*":
                self.p += 1
            if self.kind(self.p) == "paren":
                self.mark[self.t[self.p].number] = self.s
        return self.last if self.accept() and self.last is not None else None

    def step(self, c: int) -> str:
        if self.p == self.n:
            if not self.end:
                return "match" if self.last is not None else self.no_match()
        elif self.kind(self.p) == "paren":
            self.mark[self.t[self.p].number] = self.s
            self.p += 1
            if self.p == self.n and not self.end:
                return "match" if self.last is not None else self.no_match()
        kind = self.kind(self.p)
        if kind == "class":
            piece = self.t[self.p]
            if piece.fits(c):
                return self.class_fits(piece, c)
            return self.class_fails(piece)
        if kind in ("literal", "paren") and self.t[self.p].fits(c):
            self.p += 1
            self.restart = self.s if self.restart is None else self.restart
            self.last = self.s
            self.s += 1
            return "next"
        return "failure"

    def no_match(self) -> str:
        """ "last" is unknown where the walk would return it: nothing may follow."""
        self.s = len(self.subject)
        self.stack, self.begin = [], True
        self.last = None
        return "match"

    def class_fits(self, piece: Piece, c: int) -> str:
        if piece.repeat == "":
            self.p += 1
            self.restart = self.s if self.restart is None else self.restart
            self.last = self.s
            self.s += 1
            return "next"
        if piece.repeat == "*":
            self.seen = True
        if not self.seen:
            if self.kind(self.p + 1) == "paren":
                is_last = self.s == len(self.subject) - 1
                self.mark[self.t[self.p + 1].number] = self.s + 1 if is_last else self.s
            self.seen = True
            self.last = self.s
            self.s += 1
            return "next"
        q, par = self.p + 1, None
        if self.kind(q) == "paren":
            par, q = self.t[q].number, q + 1
        adv: int | None = None
        if q == self.n:
            adv = 1
        elif self.kind(q) == "class":
            if self.t[q].fits(c):
                adv = 0 if self.t[q].repeat else 2
        elif self.t[q].fits(c):
            self.seen, adv = False, 1
        if adv is not None:
            if par is not None:
                self.mark[par] = self.s + 1 if self.seen and adv == 1 else self.s
            if q == self.n:
                self.s += 1
                return "next"
            if len(self.stack) < 4:
                self.stack.append((self.p, self.s))
            self.p = q if adv == 0 else q + 1
        self.last = self.s
        self.s += 1
        return "next"

    def class_fails(self, piece: Piece) -> str:
        is_last = self.p == self.n - 1
        before_last = piece.repeat == "" and self.p == self.n - 2 and self.kind(self.p + 1) != "class"
        if self.seen and self.last is not None and (is_last or before_last):
            self.last = self.s
            if not self.end:
                return "match"
        elif piece.repeat == "+" and self.seen:
            self.p, self.seen = self.p + 1, False
            return "next"
        elif piece.repeat == "*":
            self.p, self.last, self.seen = self.p + 1, self.s - 1, False
            return "next"
        self.seen = False
        return "failure"

    def accept(self) -> bool:
        def eof(at: int) -> int:
            return at + 1 if self.kind(at) == "paren" else at

        p = eof(self.p)
        if p == self.n:
            return True
        if self.kind(p) == "class" and self.seen:
            if self.t[p].repeat:
                p = eof(p + 1)
                if p == self.n:
                    return True
                if self.kind(p) == "class":
                    if self.t[p].repeat == "+":
                        return False
                    if self.t[p].repeat == "*":
                        p = eof(p + 1)
                        if p == self.n:
                            return True
                    else:
                        p += 1
            else:
                p += 1
        if self.kind(p) == "class" and self.t[p].repeat == "*":
            return eof(p + 1) == self.n
        return False

    def captures(self) -> list[bytes]:
        found = []
        for first in range(0, self.n, 2):
            if first not in self.mark or first + 1 not in self.mark:
                break
            found.append(self.subject[self.mark[first] : self.mark[first + 1]])
        return found
