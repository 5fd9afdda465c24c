"""The fast way to an alert's line gives the same bytes as the slow one, for all events."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from garrison.alerts.json_text import encode_json
from garrison.alerts.labels import Labels
from garrison.alerts.line import AlertLines
from garrison.alerts.record import Context, alert_object, archive_object
from garrison.analysis.event import STATIC_FIELDS, Arrival, DecoderCard, MitreMark, RuleCard, Verdict
from garrison.analysis.run import Analyzer
from tests.alerts.samples import AT, event, rule, verdict
from tests.analysis.test_corpus import lines
from tests.support.reference import full_program

LABELS: dict[str, Labels | None] = {
    "001": (("env.tier", "1"), ("env", "x"), ("ENV.tier", "2")),
    "002": (),
    "x": None,
}
CONTEXT = Context(
    manager_name="manager",
    cluster_name="wazuh",
    node_name="node01",
    agent_ip=lambda identity: {"003": "10.9.9.9", "004": "any"}.get(identity),
    labels=lambda identity: LABELS.get(identity),
    mitre=lambda mark: {"id": [each.decode() for each in mark.ids], "tactic": [], "technique": []},
)
FAST = AlertLines(CONTEXT)


def same(made: Verdict, fast: AlertLines = FAST, context: Context = CONTEXT) -> bytes:
    """The alert's line, after both lines were held against the objects of `record`."""
    alert = fast.alert(made, "1.0")
    assert alert == encode_json(alert_object(made, context, "1.0")) + b"\n"
    assert fast.archive(made, "1.0") == encode_json(archive_object(made, context, "1.0")) + b"\n"
    return alert


@cache
def corpus() -> list[Verdict]:
    analyzer = Analyzer(full_program(), host_name=b"manager")
    places = (
        b"stdin",
        b"[001] (web01) 10.0.0.5->/var/log/auth.log",
        b"[002] (web 02) any->x",
        b"[003] (a) fe80::1->b",
    )
    found = []
    for number, case in enumerate(lines("cases.jsonl")):
        for log in case["logs"]:
            made = analyzer.judge(
                Arrival(queue="1", location=places[number % 4], message=log.encode(), at=AT + number / 7)
            )
            assert made is not None
            found.append(made)
    return found


def test_all_logs_of_the_corpus() -> None:
    if not lines("cases.jsonl"):
        pytest.skip("reference data not present")
    for made in corpus():
        same(made)


words = st.binary(max_size=8) | st.sampled_from(
    [b"srcip", b"a.b", b"A.b", b"a", b"a.b.c", b"a..b", b".", b"", b"\xe4"]
)
values = st.binary(max_size=12) | st.sampled_from(
    [
        b"",
        b"[1]",
        b'[1,"a",null,true,{"z":1.50}]',
        b"[1] x",
        b"[NaN]",
        b"[1e400]",
        b"[3.0]",
        b'["\x01"]',
        b"[",
        b"[1e15]",
    ]
)
verdicts = st.builds(
    lambda **parts: parts,
    location=st.sampled_from(
        [b"x", b"", b"(web01) 10.0.0.5->/l", b"(web01 10.0.0.5->x", b"(s) u@h->p", b"(a) any->y"]
    ),
    agent_id=st.sampled_from([b"000", b"001", b"003", b"004", b"x\xff"]),
    full_log=st.binary(max_size=30) | st.just(b"Mar  3 10:00:00 gate sshd[1]: x {PCI_DSS: 2.2, 3} {x: y}"),
    static=st.dictionaries(st.sampled_from(STATIC_FIELDS), values, max_size=4),
    dynamic=st.lists(st.tuples(words, values), max_size=6),
    card=st.sampled_from(
        [
            None,
            rule(),
            rule(level=0),
            rule(groups=b"rootcheck,cis_1,"),
            rule(groups=b"a,,pci_dss_1,pci_dss_2,gdpr_x"),
            replace(rule(), shows_counter=False, shows_full_log=False, frequency=8, cve=b"C", info=b"\xff"),
            replace(rule(), mitre=MitreMark(ids=(b"T1",)), info=b"4611686018427387847", is_mailed=True),
        ]
    ),
    decoder=st.sampled_from(
        [
            None,
            DecoderCard(name=b"sshd", parent=b"sshd"),
            DecoderCard(name=b"sca"),
            DecoderCard(name=b"x", accumulates=True),
        ]
    ),
    header=st.sampled_from([(None, None), (b"Mar", None), (b"Mar", b"sshd"), (None, b"")]),
    previous=st.sampled_from([(), (b"a",), (b"a", b""), (b"a", b"b\xff"), (b"a", b"b", b"c")]),
    previous_log=st.sampled_from([None, b"", b"x"]),
    description=st.binary(max_size=12),
    after=st.floats(0, 3),
)


@settings(max_examples=600, deadline=None)
@given(verdicts)
def test_any_event(parts: dict) -> None:  # type: ignore[type-arg]
    subject = event(
        at=AT + parts["after"],
        location=parts["location"],
        agent_id=parts["agent_id"],
        full_log=parts["full_log"],
        static=parts["static"],
        dynamic=parts["dynamic"],
    )
    subject.decoder = parts["decoder"]
    subject.timestamp, subject.program_name = parts["header"]
    same(
        Verdict(
            event=subject,
            rule=parts["card"],
            description=parts["description"],
            fired_times=3,
            previous=parts["previous"],
            previous_log=parts["previous_log"],
        )
    )


def test_file_integrity_takes_the_slow_way() -> None:
    subject = event()
    subject.extra = {"path": "/etc/a", "event": "modified"}
    assert b'"syscheck":{"path":"/etc/a","event":"modified"}' in same(verdict(subject))


def test_without_a_cluster_and_without_a_node_name() -> None:
    for context in (Context(manager_name="vm"), Context(manager_name="v\u00e4", cluster_name="c")):
        same(verdict(), AlertLines(context), context)


def test_what_an_agent_is_called_changes_at_once() -> None:
    known: dict[str, str] = {}
    context = Context(manager_name="vm", agent_ip=known.get)
    fast = AlertLines(context)
    subject = event(agent_id=b"001", location=b"(web01) any->x")
    assert b'"agent":{"id":"001","name":"gate"}' in same(verdict(subject), fast, context)
    known["001"] = "10.0.0.9"
    assert b'"ip":"10.0.0.9"' in same(verdict(subject), fast, context)


def test_old_rules_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("garrison.alerts.line.MOST_KEPT", 3)
    fast = AlertLines(CONTEXT)
    for number in range(10):
        card = RuleCard(id=number, level=3, description=b"x", groups=b"g,", path="x", line=1)
        assert b'"id":"%d"' % number in fast.alert(replace(verdict(), rule=card), "1.0")
    assert len(fast._rules) <= 3
