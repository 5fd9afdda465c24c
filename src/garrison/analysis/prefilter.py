"""One pass over a log tells which patterns can fit at all: their gates. Pure computing, by Hyperscan.

    book = GateBook(); number = book.add(pattern.required()); ...
    scanner = Prefilter(book.gates).scanner()
    scanner.scan(b"... log ...")  ->  {3, 17, 204}      the open gates

A gate is a set of plain texts of which one must occur, in either letter case, before a pattern can fit: what is
not in the answer cannot fit, the rest has to be tried. Only plain texts are looked for, as the library's own
expressions were seen to miss matches. Where the library is missing nobody scans, everything is tried, and the
answers are the same.
Source: docs/decisions/008-pattern-engines.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from garrison.analysis.osregex_shape import RARE_BYTES

try:
    import hyperscan
except ImportError:  # a platform without the wheel
    hyperscan = None  # type: ignore[assignment]

NO_GATE = -1
LEAST_TEXT_BYTES = 2
MOST_TEXT_BYTES = 64
"""Longer texts are looked for by their beginning."""

Gate = frozenset[bytes]


class GateBook:
    """Numbers gates; equal ones share a number."""

    def __init__(self) -> None:
        self._numbers: dict[Gate, int] = {}

    def add(self, texts: Gate) -> int:
        """The number of the gate of lower-case `texts`; NO_GATE for none, and for texts too short to tell anything."""
        if not texts or not all(map(_tells_something, texts)):
            return NO_GATE
        gate = frozenset(text[:MOST_TEXT_BYTES] for text in texts)
        return self._numbers.setdefault(gate, len(self._numbers))

    @property
    def gates(self) -> tuple[Gate, ...]:
        """All gates by number."""
        return tuple(self._numbers)


class Prefilter:
    """All gates as one automaton."""

    def __init__(self, gates: Sequence[Gate]) -> None:
        texts = [(number, text) for number, gate in enumerate(gates) for text in sorted(gate)]
        self._database = _compile(texts) if texts else None

    @staticmethod
    def is_available() -> bool:
        """True where the library is there."""
        return hyperscan is not None

    def scanner(self) -> Scanner:
        """A scanner with working memory of its own; one thread at a time may use it."""
        return Scanner(self._database)


class Scanner:
    """Looks at one log after the other. `failures` counts those that the library gave up."""

    def __init__(self, database: Any) -> None:
        self._scan = database.scan if database is not None else None
        self._scratch = hyperscan.Scratch(database) if database is not None else None
        self.failures = 0

    def scan(self, log: bytes) -> set[int] | None:
        """The numbers of the open gates of `log`; None when the library gave up: then all have to be tried."""
        found: set[int] = set()
        if self._scan is not None:
            try:
                self._scan(log, match_event_handler=_note, context=found, scratch=self._scratch)
            except hyperscan.error:
                self.failures += 1
                return None
        return found


def _tells_something(text: bytes) -> bool:
    return b"\0" not in text and (len(text) >= LEAST_TEXT_BYTES or text in RARE_BYTES)


def _note(number: int, start: int, end: int, flags: int, found: set[int]) -> None:
    found.add(number)


def _compile(texts: Sequence[tuple[int, bytes]]) -> Any:
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=[text for _, text in texts],
        ids=[number for number, _ in texts],
        elements=len(texts),
        flags=hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_SINGLEMATCH,
        literal=True,
    )
    return database
