"""The short cuts change no verdict: whole corpus, real logs and mangled ones, judged the short and the long way."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from garrison.analysis.event import Arrival, Verdict
from garrison.analysis.patterns import compile_pattern
from garrison.analysis.prefilter import NO_GATE, GateBook, Prefilter
from garrison.analysis.run import Analyzer
from tests.support.reference import ROOT, full_program, reference_path


def corpus() -> list[bytes]:
    text = reference_path("ruleset/cases.jsonl").read_text("utf-8")
    cases = map(json.loads, text.splitlines())
    return [log.encode("utf-8", "surrogateescape") for case in cases for log in case["logs"]]


def told(verdict: Verdict | None) -> object:
    """All that outputs can see of a verdict."""
    if verdict is None:
        return None
    event = verdict.event
    return (
        verdict.rule and verdict.rule.id,
        verdict.description,
        verdict.fired_times,
        verdict.previous,
        verdict.previous_log,
        verdict.is_alert,
        verdict.is_recorded,
        event.decoder and event.decoder.name,
        event.category,
        event.static,
        event.dynamic,
    )


def judge_both_ways(logs: Iterable[bytes]) -> Iterator[tuple[bytes, object, object]]:
    short = Analyzer(full_program(), host_name=b"manager")
    long = Analyzer(full_program(), host_name=b"manager", tries_all=True)
    for second, log in enumerate(logs):
        arrival = Arrival(queue="1", location=b"/var/log/x", message=log, at=1.7e9 + second)
        yield log, told(short.judge(arrival)), told(long.judge(arrival))


def test_the_whole_corpus_gets_equal_verdicts() -> None:
    for log, short, long in judge_both_ways(corpus()):
        assert short == long, log


@pytest.mark.parametrize("name", [path.name for path in sorted((ROOT / "logs").glob("*.log"))] or ["any.log"])
def test_real_logs_get_equal_verdicts(name: str) -> None:
    lines = reference_path(f"logs/{name}").read_bytes().splitlines()
    for log, short, long in judge_both_ways(lines[:1000]):
        assert short == long, log


def test_mangled_logs_get_equal_verdicts() -> None:
    for log, short, long in judge_both_ways(mangled(corpus(), random.Random(4), 1500)):
        assert short == long, log


def mangled(logs: list[bytes], dice: random.Random, count: int) -> Iterator[bytes]:
    """Logs cut, joined, upper-cased and sprinkled with odd bytes."""
    for _ in range(count):
        log = bytearray(dice.choice(logs))
        kind = dice.randrange(5)
        place = dice.randrange(len(log) + 1)
        if kind == 0:
            del log[place:]
        elif kind == 1:
            log[place:] = dice.choice(logs)[dice.randrange(20) :]
        elif kind == 2:
            log = bytearray(bytes(log).swapcase())
        elif kind == 3:
            log[place:place] = dice.choice([b"\n", b"\xff\xfe", b"  ", b"|", b"\t", b"\r\n", b"$"])
        else:
            del log[:place]
        yield bytes(log)


def test_gates_are_numbered_once() -> None:
    book = GateBook()
    numbers = [
        book.add(compile_pattern(source, language).required())
        for source, language in [
            (b"error", "osmatch"),
            (b"^ERROR$", "osmatch"),
            (b"!error", "osmatch"),
            (b"(?i)error", "pcre2"),
            (b"^", "osmatch"),
            (rb"\d+", "osregex"),
            (rb"one|two", "osregex"),
        ]
    ]
    assert numbers == [0, 0, NO_GATE, 0, NO_GATE, NO_GATE, 1]


def test_open_are_the_gates_of_which_a_text_occurs() -> None:
    book = GateBook()
    for texts in ({b"failed"}, {b"root", b"admin"}, {b"x" * 80}, {b"never"}):
        book.add(frozenset(texts))
    scanner = Prefilter(book.gates).scanner()
    assert scanner.scan(b"nothing of it") == set()
    assert scanner.scan(b"FAILED for Admin") == {0, 1}
    assert scanner.scan(b"x" * 80) == {2}
    assert scanner.scan(b"") == set()
    assert scanner.failures == 0


def test_nothing_to_look_for_is_nothing_found() -> None:
    assert Prefilter(()).scanner().scan(b"any") == set()


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.binary(min_size=2, max_size=12).filter(lambda text: b"\0" not in text), min_size=1, max_size=60
    ),
    st.data(),
)
def test_the_library_finds_every_text(texts: list[bytes], data: st.DataObject) -> None:
    lowered = [text.lower() for text in texts]
    book = GateBook()
    for text in lowered:
        book.add(frozenset({text}))
    pieces = st.one_of(st.sampled_from(texts), st.binary(max_size=40))
    log = b"".join(data.draw(st.lists(pieces, max_size=30)))
    wanted = {number for number, (text,) in enumerate(map(tuple, book.gates)) if text in log.lower()}
    assert Prefilter(book.gates).scanner().scan(log) == wanted
