"""What comes of an event: ignored rules, counters and their hours, descriptions, the way of a manager and of the log test."""

from __future__ import annotations

import time

import pytest

from tests.analysis.lab import AT, Lab, child, rule

IGNORING = child(101, "<match>a</match>", 'level="8" ignore="4"')


def test_within_the_ignored_time_the_parent_answers() -> None:
    """Measured: 101 (fired 1), 100 (2), 100 (3), after 5 s 101 (4), 100."""
    lab = Lab(IGNORING, is_log_test=False)
    found = []
    for pause in (0, 0, 3, 5, 0):
        lab.wait(pause)
        verdict = lab.judge("a")
        assert verdict.rule is not None
        found.append((verdict.rule.id, verdict.level, verdict.fired_times, verdict.is_alert))
    assert found == [
        (101, 8, 1, True),
        (100, 5, 2, True),
        (100, 5, 3, True),
        (101, 8, 4, True),
        (100, 5, 5, True),
    ]


def test_the_ignored_time_ends_with_its_last_second() -> None:
    lab = Lab(IGNORING, is_log_test=False)
    assert lab.id("a") == 101
    lab.wait(3.9)
    assert lab.id("a") == 100
    lab.wait(0.1)
    assert lab.id("a") == 101


def test_the_parent_counts_what_is_ignored_and_shows_no_earlier_logs() -> None:
    rules = IGNORING + rule(105, "<if_matched_sid>100</if_matched_sid>", 'level="10" frequency="3"')
    lab = Lab(rules, is_log_test=False)
    assert lab.ids("a", "a", "a", "b") == [101, 100, 100, 105]
    composite = rule(106, "<if_matched_sid>100</if_matched_sid>", 'level="9" frequency="3" ignore="60"')
    lab = Lab(composite, is_log_test=False)
    verdicts = [lab.judge("a") for _ in range(6)]
    assert [v.rule.id for v in verdicts if v.rule] == [100, 100, 106, 100, 100, 100]
    assert (len(verdicts[2].previous), verdicts[5].previous) == (2, ())


def test_a_parent_of_level_zero_takes_the_event_in_silence() -> None:
    base = '<group name="g,"><rule id="1" level="0" noalert="1"><description>r</description></rule></group>'
    lab = Lab(rule(101, "<match>a</match>", 'level="8" ignore="60"'), base=base, is_log_test=False)
    verdicts = [lab.judge("a"), lab.judge("a")]
    assert [(v.level, v.is_alert, v.is_recorded) for v in verdicts] == [(8, True, True), (0, False, True)]


def test_a_root_that_is_ignored_says_nothing() -> None:
    base = '<group name="g,"><rule id="1" level="3" ignore="60"><description>r</description></rule></group>'
    lab = Lab("", base=base, is_log_test=False)
    assert lab.ids("a", "a") == [1, None]


def test_the_log_test_keeps_the_rule_and_begins_no_time_where_one_ended() -> None:
    """Measured: ignore 60 s, events at 0, 0, 30, 61, 61, 61 give alert T F F T T F."""
    lab = Lab(child(101, "", 'level="8" ignore="60"'))
    found = []
    for pause in (0, 0, 30, 31, 0, 0):
        lab.wait(pause)
        verdict = lab.judge("a")
        assert verdict.rule is not None and verdict.rule.id == 101
        found.append((verdict.is_alert, verdict.is_recorded))
    assert [alert for alert, _ in found] == [True, False, False, True, True, False]
    assert all(alert == recorded for alert, recorded in found)


def test_the_log_test_weighs_the_level_alone() -> None:
    rules = child(101, "<match>a</match><options>no_log</options>", 'level="7"')
    rules += child(102, "<match>b</match><options>log_alert</options>", 'level="2"')
    assert [Lab(rules).judge(text).is_alert for text in "ab"] == [True, False]
    assert [Lab(rules, is_log_test=False).judge(text).is_alert for text in "ab"] == [False, True]


def test_counters_count_every_answer_level_zero_included() -> None:
    lab = Lab(child(101, "<match>a</match>", 'level="0"'), is_log_test=False)
    assert [lab.judge(text).fired_times for text in ("a", "b", "a", "a", "b")] == [1, 1, 2, 3, 2]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_counters_begin_anew_with_the_hour_of_the_local_clock(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        lab = Lab("", is_log_test=False)
        local = time.localtime(AT)
        assert [lab.judge("a").fired_times for _ in range(2)] == [1, 2]
        lab.wait(3_599 - local.tm_min * 60 - local.tm_sec)
        assert lab.judge("a").fired_times == 3
        lab.wait(1)
        assert [lab.judge("a").fired_times for _ in range(2)] == [1, 2]
        session = Lab("")
        session.judge("a")
        session.wait(7_200)
        assert session.judge("a").fired_times == 2
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("text", "log", "expected"),
    [
        ("$(srcip) $(x) $(X) $(nope)!", '{"srcip":"1.1.1.1","x":"y"}', "1.1.1.1 y y !"),
        ("$(SRCIP)", '{"srcip":"1.1.1.1"}', ""),
        ("$(user)$(location)", '{"dstuser":"bob"}', ""),
        ("$(dstuser) $(srcuser)", '{"dstuser":"bob","srcuser":"eve"}', "bob eve"),
        ("$(program_name) on $(hostname)", "x", "tst on host"),
        ("open $(srcip", '{"srcip":"1.1.1.1"}', "open $(srcip"),
        ("$(a.b)", '{"a":{"b":"c"}}', "c"),
        ("$(x)", '{"x":"' + "y" * 1024 + '"}', "$(x)"),
        ("$(x)", '{"x":"' + "y" * 1023 + '"}', "y" * 1023),
        ("&lt;$(x)&gt;", '{"x":"y"}', "&lt;y&gt;"),
    ],
)
def test_descriptions(text: str, log: str, expected: str) -> None:
    lab = Lab(f'<rule id="101" level="5"><if_sid>100</if_sid><description>{text}</description></rule>')
    assert lab.judge(log).description == expected.encode()


def test_the_host_of_an_agent_is_its_name() -> None:
    lab = Lab(child(101, "<hostname>^agent007$</hostname>") + child(102, "<location>^(agent</location>"))
    assert (lab.id("a", agent="007"), lab.id("a", agent="008"), lab.id("a")) == (101, 102, 100)


FORWARDS = """
<decoder name="tst"> <program_name>^tst</program_name> <plugin_decoder>OSSECAlert_Decoder</plugin_decoder> </decoder>
<decoder name="n"> <prematch>^n</prematch> </decoder>
"""


def test_the_rule_that_a_forwarded_alert_names_answers() -> None:
    alert = "Alert Level: 3; Rule: 101 - x; Location: gate->/a; srcip: 1.1.1.1; user: root; the log"
    lab = Lab(child(101, "<match>never</match>", 'level="8"'), decoders=FORWARDS, is_log_test=False)
    verdict = lab.judge(alert, location="/var/log/in")
    event = verdict.event
    assert verdict.rule is not None and (verdict.rule.id, verdict.fired_times, verdict.is_alert) == (
        101,
        1,
        True,
    )
    assert (event.location, event.hostname) == (b"/var/log/in|gate->/a", b"host|gate->/a")
    assert (event.full_log, event.log) == (b"the log", b"the log")
    assert event.static == {"srcip": b"1.1.1.1", "dstuser": b"root"}
    assert len(lab.judge(alert, location="l" * 300).event.location) == 254
    assert lab.id(alert.replace("101", "102")) is None
    assert lab.id("never") is None
    assert Lab(child(101, "<match>never</match>"), decoders=FORWARDS).id(alert) is None
