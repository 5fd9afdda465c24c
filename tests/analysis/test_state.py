"""What passes from one ruleset to the next: nothing is lost that still has a meaning."""

from __future__ import annotations

from typing import Any

from garrison.analysis.run import Analyzer
from garrison.analysis.state import carried
from tests.analysis.lab import Lab, child, rule
from tests.analysis.test_memory import SEEN

BURST = rule(101, "<if_matched_sid>100</if_matched_sid>", 'level="10" frequency="4"')


def reloaded(lab: Lab, rules: str, **texts: Any) -> Lab:
    """The same analyzer with another ruleset."""
    new = Lab(rules, is_log_test=False, **texts)
    new.at = lab.at
    state = carried(lab.analyzer.state, lab.program, new.program, 8192)
    new.analyzer = Analyzer(new.program, host_name=b"manager", state=state)
    return new


def test_a_burst_goes_on_over_a_reload() -> None:
    lab = Lab(BURST, is_log_test=False)
    assert lab.ids("a", "a") == [100, 100]
    same = reloaded(lab, "\n<!-- a word -->" + BURST)
    assert same.ids("a", "a", "a") == [100, 101, 100]


def test_a_burst_goes_on_though_rules_come_and_go_around_it() -> None:
    lab = Lab(child(90, "<match>z</match>") + BURST, is_log_test=False)
    lab.ids("a", "z", "a", "a")
    moved = reloaded(lab, BURST + child(111, "<match>q</match>"))
    assert moved.ids("a") == [101]


def test_a_burst_counted_once_is_not_counted_again() -> None:
    lab = Lab(BURST, is_log_test=False)
    assert lab.ids("a", "a", "a", "a") == [100, 100, 100, 101]
    assert reloaded(lab, BURST).ids("a", "a", "a", "a") == [100, 100, 100, 101]


def test_a_group_goes_on_over_a_reload() -> None:
    rules = rule(101, "<if_matched_group>g</if_matched_group>", 'level="10" frequency="4"')
    lab = Lab(rules, is_log_test=False)
    lab.ids("a", "a", "a")
    assert reloaded(lab, rules).ids("a") == [101]


def test_a_new_composite_counts_what_was_there() -> None:
    lab = Lab("", is_log_test=False)
    lab.ids("a", "a", "a")
    assert reloaded(lab, BURST).ids("a") == [101]


def test_events_of_a_changed_rule_are_not_counted() -> None:
    changed = '<rule id="100" level="5" overwrite="yes"><program_name>^tst</program_name><description>n</description></rule>'
    lab = Lab(BURST, is_log_test=False)
    lab.ids("a", "a", "a")
    assert reloaded(lab, BURST + changed).ids("a") == [100]


def test_logs_are_still_looked_through_when_their_rule_is_gone() -> None:
    search = rule(
        101, "<if_sid>100</if_sid><if_matched_regex>^bad</if_matched_regex>", 'level="9" frequency="2"'
    )
    lab = Lab(search + child(102, "<match>worse</match>", 'level="10"'), is_log_test=False)
    assert lab.ids("bad and worse") == [102]
    assert reloaded(lab, search).ids("a") == [101]


def test_counters_stay_with_unchanged_rules_and_begin_anew_with_others() -> None:
    rules = child(101, "<match>a</match>") + child(102, "<match>b</match>")
    lab = Lab(rules, is_log_test=False)
    lab.ids("a", "a", "b", "b")
    new = reloaded(lab, child(102, "<match>b</match>") + child(101, "<match>a</match><group>n,</group>"))
    assert [(new.judge(text).fired_times) for text in "ab"] == [1, 3]


def test_an_ignored_rule_stays_ignored() -> None:
    rules = child(101, "", 'level="9" ignore="60"')
    lab = Lab(rules, is_log_test=False)
    assert lab.ids("a", "a") == [101, 100]
    same = reloaded(lab, child(99, "<match>q</match>") + rules)
    assert same.ids("a") == [100]
    same.wait(60)
    assert same.ids("a") == [101]


def test_what_was_seen_and_kept_stays_seen_and_kept() -> None:
    lab = Lab("", base=SEEN, is_log_test=False)
    assert lab.ids("user bob from 1.1.1.1", program="seen") == [101]
    new = reloaded(lab, child(102, ""), base=SEEN.replace("new", "other words"))
    assert new.ids("user bob from 1.1.1.1", "user eve from 1.1.1.1", program="seen") == [102, 101]
    lab = Lab(child(101, "<check_diff />"), is_log_test=False)
    lab.ids("same")
    assert reloaded(lab, child(101, "<check_diff />", 'level="7"')).ids("same", "other") == [100, 101]


def test_what_was_forgotten_is_still_told() -> None:
    lab = Lab("", is_log_test=False, memory_size=2048)
    for _ in range(2049):
        lab.judge("a")
    assert lab.analyzer.forgotten == 10
    assert reloaded(lab, "").analyzer.state.forgotten()["events"] == 10


def test_of_two_rules_that_say_the_same_each_has_its_own_successor() -> None:
    root = rule(5, "<match>u=</match>", 'level="3"') + rule(
        5, "<match>u=</match>", 'level="3" overwrite="yes"'
    )
    lab = Lab(root, is_log_test=False)
    new = Lab(root, is_log_test=False)
    lab.analyzer.state.fired[:] = range(len(lab.program.rules))
    state = carried(lab.analyzer.state, lab.program, new.program, 8192)
    assert state.fired == list(range(len(new.program.rules)))
