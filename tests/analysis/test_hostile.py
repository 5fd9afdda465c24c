"""Events are hostile: no event stops or stalls the analysis."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from garrison.alerts.json_text import encode_json
from garrison.alerts.record import Context, alert_object, archive_object
from garrison.analysis import conditions
from garrison.analysis.compile import compile_program
from garrison.analysis.decode import Decoding
from garrison.analysis.event import Arrival
from garrison.analysis.load import load_folder
from garrison.analysis.run import Analyzer
from garrison.analysis.source import Source, SourceFile
from garrison.analysis.window import EarlierEvents
from garrison.ground.errors import RuleError
from garrison.ruleset import FOLDER

PROGRAM = compile_program(load_folder(FOLDER))
CONTEXT = Context(manager_name="m", cluster_name="c", node_name="n")


def judge(analyzer: Analyzer, message: bytes, location: bytes = b"/x", queue: str = "1") -> None:
    verdict = analyzer.judge(Arrival(queue=queue, location=location, message=message, at=1e9))
    if verdict is not None:
        for make in (alert_object, archive_object):
            json.loads(encode_json(make(verdict, CONTEXT, "1.0")).decode("utf-8", "replace"))


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=60), st.sampled_from("12389dfpu5x"))
def test_any_bytes_give_a_verdict(message: bytes, location: bytes, queue: str) -> None:
    judge(Analyzer(PROGRAM, host_name=b"m"), message, location, queue)


HUGE = [
    b"[" * 60000,
    b'{"a":' * 12000,
    b"{" + b",".join(b'"k%d":%d' % (n, n) for n in range(10000)) + b"}",
    b"Dec 10 06:55:46 LabSZ sshd[24200]: " + b"Failed password for " * 3000,
    b"Dec 10 06:55:46 LabSZ sshd[24200]: " + b"\xff\xfe\x00\x1b" * 15000,
    b" " * 65000,
    b"a" * 65000,
    b'203.0.113.9 - - [25/Nov/2026:10:00:01 +0000] "GET /' + b"%2e" * 20000 + b' HTTP/1.1" 404 1',
]


@pytest.mark.parametrize("message", HUGE, ids=range(len(HUGE)))
def test_huge_events_end(message: bytes) -> None:
    judge(Analyzer(PROGRAM, host_name=b"m"), message)


def test_memory_of_events_is_bounded() -> None:
    analyzer = Analyzer(PROGRAM, host_name=b"m", memory_size=2048)
    dice = random.Random(1)
    for number in range(6000):
        address = f"10.{dice.randrange(256)}.{dice.randrange(256)}.{dice.randrange(256)}"
        log = f"Dec 10 06:55:46 h sshd[{number}]: Failed password for root from {address} port 1 ssh2"
        judge(analyzer, log.encode())
    assert len(analyzer.state.earlier) <= 2048 and analyzer.forgotten > 0


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet='<>/="groupule idlv123\n-!\\$', max_size=200))
def test_any_rule_file_compiles_or_tells_its_faults(text: str) -> None:
    source = Source(rules=(SourceFile(path="x.xml", text=text.encode()),))
    try:
        compile_program(source)
    except RuleError as error:
        assert all(fault.path == "x.xml" for fault in error.faults)


def test_all_faults_are_told_at_once_with_file_line_and_rule() -> None:
    text = b"""<group name="a,">
  <rule id="200001" level="99">
    <match>x</match>
    <description>one</description>
  </rule>
  <rule id="200002" level="3">
    <regex>(a|b)</regex>
    <nonsense>x</nonsense>
  </rule>
</group>
"""
    with pytest.raises(RuleError) as error:
        compile_program(Source(rules=(SourceFile(path="my.xml", text=text),)))
    told = [(fault.line, fault.found) for fault in error.value.faults if not fault.is_warning]
    assert told == [
        (2, 'rule 200001: level="99"'),
        (6, "rule 200002: a rule without a description"),
        (7, "rule 200002: <regex> does not compile as osregex: '|' inside a parenthesis"),
        (8, "rule 200002: unknown element <nonsense>"),
    ]


def test_fields_with_endless_names_count_by_what_they_take() -> None:
    """A log of 6 kB that makes 256 fields with names of 4 kB each: the memory of events is bounded in bytes, not by trust."""
    analyzer = Analyzer(PROGRAM, host_name=b"m")
    members = b",".join(b'"%d":1' % number for number in range(256))
    earlier = EarlierEvents(PROGRAM, 8_192, most_bytes=20 << 20)
    for number in range(60):
        message = b'{"%s%d":{%s}}' % (b"k" * 4_000, number, members)
        verdict = analyzer.judge(Arrival(queue="1", location=b"/x", message=message, at=1e9))
        assert verdict is not None and len(verdict.event.by_name) == 256
        earlier.record(verdict.event, None)
    assert len(earlier) < 25 and earlier.forgotten > 35


def test_long_names_of_programs_and_long_addresses_are_not_remembered() -> None:
    decoding = Decoding(PROGRAM.decoders)
    for number in range(50):
        decoding._fitting(b"p%d" % number + b"x" * 60_000)
        assert conditions._address(b"%d" % number + b"1" * 60_000) is None
    assert not decoding._by_program
    assert conditions._address(b"10.0.0.1") == (4, 0x0A000001)
