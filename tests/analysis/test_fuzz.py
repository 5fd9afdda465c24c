"""Mangled and hostile events through the whole reference ruleset: none stops it, none takes long, alerts can be written.

A failure names its seed and number; `FUZZ_EVENTS` in the environment asks for more than the few of a usual run.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from functools import cache

import orjson
import pytest

from garrison.alerts.json_text import encode_json
from garrison.alerts.record import Context, alert_object, archive_object
from garrison.analysis.decoder_tree import all_nodes
from garrison.analysis.effort import MOST_S
from garrison.analysis.event import Arrival
from garrison.analysis.run import Analyzer
from tests.support.reference import full_program, reference_path

EVENTS = int(os.environ.get("FUZZ_EVENTS", "400"))
MOST_BYTES = 65_000
MOST_EVENT_S = 4 * MOST_S
"""Wall time, as much of the processor's, and what was under way when both were over."""

CONTEXT = Context(manager_name="m", cluster_name="c", node_name="n")
HEADS = [
    b"",
    b"Dec 10 01:02:02 h sshd[1]: ",
    b"Dec 10 01:02:02 h kernel: ",
    b"{",
    b"type=",
    b"[Fri Feb 11 18:06:35 2004] ",
]

Make = Callable[[random.Random], bytes]


@cache
def logs() -> list[bytes]:
    found = []
    for line in reference_path("ruleset/cases.jsonl").read_text("utf-8").splitlines():
        found += [log.encode() for log in json.loads(line)["logs"]]
    for name in ("OpenSSH_2k.log", "Apache_2k.log", "Linux_2k.log", "Windows_2k.log"):
        found += reference_path(f"logs/{name}").read_bytes().splitlines()[:200]
    return found


@cache
def wanted_texts() -> list[bytes]:
    """What decoders and rules ask of logs: an event that holds all of it passes every gate."""
    program = full_program()
    patterns = [pattern for node in all_nodes(program.decoders) for pattern in (node.prematch, node.regex)]
    patterns += [each.pattern for rule in program.rules for each in rule.conditions if each.subject == "log"]
    return sorted({text for pattern in patterns if pattern is not None for text in pattern.required()})


def mutated(dice: random.Random) -> bytes:
    log = bytearray(dice.choice(logs()))
    for _ in range(dice.randrange(1, 6)):
        place = dice.randrange(len(log) + 1)
        kind = dice.randrange(5)
        if kind == 0:
            log[place : place + dice.randrange(8)] = dice.randbytes(dice.randrange(6))
        elif kind == 1:
            del log[place:]
        elif kind == 2:
            log[place:] = dice.choice(logs())[dice.randrange(20) :]
        elif kind == 3:
            log = bytearray(bytes(log).swapcase())
        else:
            log[place:place] = dice.choice(
                [b"\n", b"\xff", b"  ", b"|", b"\t", b"\r\n", b"$", b"\0", b"\\", b'"', b"\xc3"]
            )
    return bytes(log)


def of_all_gates(dice: random.Random) -> bytes:
    return dice.choice(HEADS) + dice.choice([b" ", b"", b"\n"]).join(dice.choices(wanted_texts(), k=4_000))


def repeated(dice: random.Random) -> bytes:
    return dice.choice(logs()) * 400


def padded(dice: random.Random) -> bytes:
    """A log that something of itself is repeated in, thousands of times."""
    log = dice.choice(logs())
    place = dice.randrange(len(log) + 1)
    piece = log[place : place + dice.randrange(1, 12)] or b"a"
    return log[:place] + piece * (60_000 // len(piece)) + log[place:]


def patterned(dice: random.Random) -> bytes:
    return dice.choice(HEADS) + bytes(dice.choices(b'ab1 :."=[{\\', k=3_000)) * 20


def deep_json(dice: random.Random) -> bytes:
    depth = dice.choice([500, 998, 999, 1_000, 1_001, 20_000])
    opened, closed = dice.choice([(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")])
    depth //= len(closed)
    key = dice.choice([b"k", b"id", b"srcip", b"win.system.eventID"])
    return b'{"%s":%s1%s}' % (key, opened * depth, closed * depth)


def wide_json(dice: random.Random) -> bytes:
    name = dice.choice([b"k", b"k" * 20_000, b"\\u0000", b"\xff"])
    value = dice.choice([b"1", b'"x"', b"null", b"1e300", b"[]", b'[{"a":1}]', b'{"a":[1,2]}', b'"\xff\xfe"'])
    members = (b'"%s%d":%s' % (name, number, value) for number in range(2_000))
    return (
        b'{"%s":{%s}}' % (name, b",".join(members)) if dice.random() < 0.5 else b"{%s}" % b",".join(members)
    )


MAKES: list[Make] = [mutated, mutated, of_all_gates, repeated, padded, patterned, deep_json, wide_json]


def events(seed: int) -> Iterator[tuple[str, bytes]]:
    dice = random.Random(seed)
    for number in range(EVENTS):
        make = MAKES[number % len(MAKES)]
        yield f"seed {seed}, event {number}, {make.__name__}", make(dice)[:MOST_BYTES]


@pytest.mark.parametrize("seed", [1, 2])
def test_no_event_stops_or_stalls_the_reference_ruleset(seed: int) -> None:
    analyzer = Analyzer(full_program(), host_name=b"m")
    took: list[float] = []
    for number, (told, message) in enumerate(events(seed)):
        began = time.thread_time()
        verdict = analyzer.judge(Arrival(queue="1", location=b"/x", message=message, at=1e9 + number))
        took.append(time.thread_time() - began)
        assert took[-1] < MOST_EVENT_S, f"{told}: {took[-1]:.3f} s, {message[:80]!r}"
        assert verdict is not None, told
        began = time.thread_time()
        texts = [encode_json(make(verdict, CONTEXT, "1.0")) for make in (alert_object, archive_object)]
        assert time.thread_time() - began < MOST_EVENT_S, told
        orjson.loads(texts[0].decode("utf-8", "replace"))
    assert statistics.median(took) < 0.05
    assert analyzer.state.unfinished < EVENTS // 20
