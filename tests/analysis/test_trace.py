"""Watching an event changes nothing about its verdict, and tells what was tried."""

from __future__ import annotations

import json

from garrison.analysis.compile import compile_program
from garrison.analysis.event import Arrival, Verdict
from garrison.analysis.explain import explain_lines
from garrison.analysis.run import Analyzer
from garrison.analysis.source import Source, SourceFile
from garrison.analysis.trace import Count, Trace, TracingAnalyzer, debug_lines
from tests.analysis.test_prefilter import told
from tests.support.reference import full_program, reference_path

DECODERS = b"""
<decoder name="door"><program_name>^door</program_name></decoder>
<decoder name="door-open"><parent>door</parent><prematch>^open </prematch>
  <regex offset="after_prematch">by (\\w+)</regex><order>user</order></decoder>
"""
RULES = b"""<group name="door,">
<rule id="1" level="0" noalert="1"><category>syslog</category><description>Root.</description></rule>
<rule id="100" level="3"><decoded_as>door</decoded_as><description>Door.</description></rule>
<rule id="101" level="5"><if_sid>100</if_sid><match>closed</match><description>Closed.</description></rule>
<rule id="102" level="4"><if_sid>100</if_sid><user>^ana$</user><description>Opened by $(dstuser).</description></rule>
<rule id="103" level="9" frequency="3" timeframe="60"><if_matched_sid>102</if_matched_sid><description>Often.</description></rule>
<rule id="104" level="2"><decoded_as>door</decoded_as><if_fts/><description>First.</description></rule>
</group>"""


def analyzer() -> TracingAnalyzer:
    source = Source(
        decoders=(SourceFile(path="d.xml", text=DECODERS),), rules=(SourceFile(path="r.xml", text=RULES),)
    )
    return TracingAnalyzer(compile_program(source), host_name=b"gate", is_log_test=True)


def watched(watcher: TracingAnalyzer, text: bytes, at: float = 1e9) -> tuple[Verdict, Trace]:
    verdict, trace = watcher.judge_watched(Arrival(queue="1", location=b"stdin", message=text, at=at))
    assert verdict is not None
    return verdict, trace


def log(text: bytes) -> bytes:
    return b"Dec 10 06:55:46 gate door[1]: " + text


def test_the_steps_are_told_as_tools_know_them() -> None:
    _, trace = watched(analyzer(), log(b"open by ana"))
    assert debug_lines(trace) == [
        "Trying rule: 1 - Root.",
        "*Rule 1 matched",
        "*Trying child rules",
        "Trying rule: 100 - Door.",
        "*Rule 100 matched",
        "*Trying child rules",
        "Trying rule: 101 - Closed.",
        "Trying rule: 102 - Opened by $(dstuser).",
        "*Rule 102 matched",
        "*Trying child rules",
        "Trying rule: 103 - Often.",
    ]


def test_refusals_name_what_was_asked_and_what_was_there() -> None:
    _, trace = watched(analyzer(), log(b"open by bob"))
    refusals = {each.rule.card.id: each.refusal for each in trace.rules if each.refusal}
    assert (refusals[101].option, refusals[101].text, refusals[101].line) == ("match", b"closed", 4)
    assert (refusals[102].option, refusals[102].text, refusals[102].value) == ("user", b"^ana$", b"bob")


def test_a_composite_tells_how_far_it_is() -> None:
    watcher = analyzer()
    counts = []
    for second in range(3):
        _, trace = watched(watcher, log(b"open by ana"), 1e9 + second)
        counts.append(next(each.count for each in trace.rules if each.rule.card.id == 103))
    assert counts == [Count(seen=seen, needed=3, timeframe_s=60) for seen in (1, 2, 3)]


def test_the_explanation_puts_the_answer_first() -> None:
    verdict, trace = watched(analyzer(), log(b"open by ana"))
    lines = explain_lines(verdict, trace)
    assert lines[0] == "Rule 102 (level 4) answers: Opened by ana.   r.xml:5"
    assert "  by way of 1 > 100 > 102" in lines
    assert "  door-open: <prematch> fits '^open '   d.xml:3" in lines
    assert "  103 (level 9): seen 1 of 3 events within 60 s   r.xml:6" in lines
    assert "  101 (level 5): <match> wants 'closed' in the log   r.xml:4" in lines


def test_an_event_without_a_rule_is_explained_too() -> None:
    verdict, trace = watched(analyzer(), log(b"\x00").replace(b"door[1]", b"win\xff[1]"))
    lines = explain_lines(verdict, trace)
    assert lines[0] == "No rule answers; 3 were tried." and lines[2] == "No decoder fits; 0 were tried."


def test_verdicts_are_those_of_the_plain_analyzer_on_the_whole_corpus() -> None:
    cases = map(json.loads, reference_path("ruleset/cases.jsonl").read_text("utf-8").splitlines())
    for case in cases:
        plain = Analyzer(full_program(), host_name=b"manager", is_log_test=True)
        watcher = TracingAnalyzer(full_program(), host_name=b"manager", is_log_test=True)
        for text in case["logs"]:
            arrival = Arrival(
                queue="1", location=b"stdin", message=text.encode("utf-8", "surrogateescape"), at=1e9
            )
            verdict, trace = watcher.judge_watched(arrival)
            assert told(plain.judge(arrival)) == told(verdict), case["id"]
            if verdict is not None:
                answered = [each.rule.card.id for each in trace.rules if each.refusal is None]
                assert verdict.rule is None or verdict.rule.id in answered, case["id"]
                assert explain_lines(verdict, trace)
