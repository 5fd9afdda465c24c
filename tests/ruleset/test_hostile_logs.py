"""No log that a stranger writes makes a pattern of the starter ruleset slow.

Each pattern meets long repetitions of its own pieces and of what patterns stumble over. What is linear takes a few
milliseconds here, what is quadratic some hundred, what is worse seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from time import process_time

import pytest

from garrison.analysis.patterns import compile_pattern
from garrison.analysis.syntax import Element, read_elements
from garrison.ruleset import FOLDER

SUBJECT_BYTES = 60_000
MOST_S = 0.2
UNITS = [b"a", b" ", b"a ", b"1 ", b"=", b"A= ; ", b"/", b"..", b"%2e", b"[1", b"a[1]", b"\\", b'a"', b"a: "]
UNITS += [
    b"a from b port 1 ",
    b"drop IN= OUT= ",
    b"SRC=a DST=b ",
    b"SRC=a DST=b PROTO=x ",
    b"union ",
    b"' or ",
    b"${",
]


def patterns() -> Iterator[tuple[str, bytes]]:
    for path in sorted(FOLDER.glob("*/*.xml")):
        for root in read_elements(path.read_bytes(), path.name):
            for element in everything(root):
                if element.attribute("type") == b"pcre2":
                    yield f"{path.name}:{element.line}", element.text


def everything(element: Element) -> Iterator[Element]:
    yield element
    for child in element.children:
        yield from everything(child)


def pieces(source: bytes) -> list[bytes]:
    """The literal pieces of a pattern, which lead a subject deep into it."""
    return [piece for piece in re.split(rb"[\\^$.|?*+()\[\]{}]+", source) if len(piece) > 2][:6]


@pytest.mark.parametrize(("place", "source"), [pytest.param(*found, id=found[0]) for found in patterns()])
def test_pattern_stays_quick(place: str, source: bytes) -> None:
    pattern = compile_pattern(source, "pcre2")
    own = pieces(source)
    for head in [b"", *own[:2]]:
        for unit in UNITS + own:
            subject = head + (unit * (SUBJECT_BYTES // len(unit)))
            begin = process_time()
            pattern.extract(subject)
            assert process_time() - begin < MOST_S, (place, head, unit)
