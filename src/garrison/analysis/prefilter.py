"""One pass over a log tells which patterns can fit at all: their gates. Pure computing, by Hyperscan.

    book = GateBook(); number = book.add(pattern.gate(whole=True)); ...
    scanner = Prefilter(book.gates).scanner()
    scanner.scan(b"... log ...")  ->  {3, 17, 204}      the open gates

A gate is a necessary condition: what is not in the set cannot fit, what is in it has to be tried. Where the
library is missing, nobody scans, everything is tried, and the answers are the same.
Source: docs/decisions/008-pattern-engines.md.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from garrison.analysis.patterns import Gate

hyperscan: Any = None
with contextlib.suppress(ImportError):  # a platform without the wheel
    hyperscan = importlib.import_module("hyperscan")

NO_GATE = -1
MOST_EXPRESSION_BYTES = 8_192


def is_available() -> bool:
    """True where the library is there."""
    return hyperscan is not None


class GateBook:
    """Numbers gates; equal ones share a number."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[bytes, bool], int] = {}

    def add(self, gate: Gate) -> int:
        """The number of `gate`, NO_GATE when it holds nothing to look for."""
        expression = gate.expression
        if expression is None or b"\0" in expression or len(expression) > MOST_EXPRESSION_BYTES:
            return NO_GATE
        return self._numbers.setdefault((expression, gate.is_caseless), len(self._numbers))

    @property
    def gates(self) -> tuple[tuple[bytes, bool], ...]:
        """(expression, whether letter case is ignored) by number."""
        return tuple(self._numbers)


class Prefilter:
    """All gates as one automaton. `always` are those it could not take: they count as open."""

    def __init__(self, gates: Sequence[tuple[bytes, bool]]) -> None:
        if hyperscan is None:
            raise ImportError("hyperscan is not installed")
        flags = [_flags(is_caseless) for _, is_caseless in gates]
        ours = [number for number, (_, is_caseless) in enumerate(gates) if is_caseless]
        foreign = [number for number in range(len(gates)) if not gates[number][1]]
        taken = _settle(gates, flags, foreign)
        try:
            self._database = _compile(gates, flags, ours + taken)
        except hyperscan.error:
            taken += _settle(gates, flags, ours)
            self._database = _compile(gates, flags, taken)
            ours = []
        self.always = frozenset(range(len(gates))).difference(ours, taken)

    def scanner(self) -> Scanner:
        """A scanner with working memory of its own; one thread at a time may use it."""
        return Scanner(self._database, self.always)


class Scanner:
    """Looks at one log after the other."""

    def __init__(self, database: Any, always: frozenset[int]) -> None:
        self._scan = database.scan if database is not None else None
        self._scratch = hyperscan.Scratch(database) if database is not None else None
        self._always = always

    def scan(self, log: bytes) -> set[int]:
        """The numbers of the open gates of `log`."""
        found = set(self._always)
        if self._scan is not None:
            self._scan(log, match_event_handler=_note, context=found, scratch=self._scratch)
        return found


def _note(number: int, start: int, end: int, flags: int, found: set[int]) -> None:
    found.add(number)


def _flags(is_caseless: bool) -> int:
    common = hyperscan.HS_FLAG_DOTALL | hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_ALLOWEMPTY
    return int(common | (hyperscan.HS_FLAG_CASELESS if is_caseless else 0))


def _settle(gates: Sequence[tuple[bytes, bool]], flags: list[int], numbers: Sequence[int]) -> list[int]:
    """Those of `numbers` that the library takes: as written, else as a looser stand-in, which `flags` then says."""
    taken = []
    for number in numbers:
        for flag in (0, hyperscan.HS_FLAG_PREFILTER):
            try:
                _compile(gates, {number: flags[number] | flag}, [number])
            except hyperscan.error:
                continue
            flags[number] |= flag
            taken.append(number)
            break
    return taken


def _compile(
    gates: Sequence[tuple[bytes, bool]], flags: Sequence[int] | Mapping[int, int], numbers: Sequence[int]
) -> Any:
    if not numbers:
        return None
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=[gates[number][0] for number in numbers],
        ids=list(numbers),
        elements=len(numbers),
        flags=[flags[number] for number in numbers],
    )
    return database
