"""Rulesets at random: short cuts change no verdict, whatever hangs where, and a reload in between changes none either."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from garrison.analysis.run import Analyzer
from garrison.analysis.state import carried
from tests.analysis.lab import Lab

NUMBERS = st.integers(101, 107)
CONDITIONS = st.sampled_from(
    [
        "",
        "<match>a</match>",
        "<match>b|c</match>",
        "<match>!a</match>",
        '<match negate="yes">b</match>',
        "<regex>^a\\w+</regex>",
        '<regex type="pcre2">[bc]$</regex>',
        '<field name="x">^1$</field>',
        '<field name="x">1|2</field>',
        '<field name="y" negate="yes">1</field>',
        "<srcip>10.0.0.0/8</srcip>",
        "<user>bob</user>",
        "<action>drop</action>",
        "<decoded_as>tst</decoded_as>",
        "<group>late,</group>",
    ]
)
PARENTS = st.one_of(
    st.lists(st.integers(100, 107), min_size=1, max_size=3).map(
        lambda ids: f"<if_sid>{','.join(map(str, ids))}</if_sid>"
    ),
    st.sampled_from(
        [
            "",
            "<if_group>g</if_group>",
            "<if_group>late</if_group>",
            "<if_level>5</if_level>",
            "<if_matched_sid>100</if_matched_sid>",
            "<if_matched_sid>101</if_matched_sid><same_srcip />",
            "<if_matched_group>g</if_matched_group>",
            "<if_matched_group>late</if_matched_group>",
            "<if_sid>100</if_sid><if_matched_regex>a</if_matched_regex>",
        ]
    ),
)
ATTRIBUTES = st.sampled_from(
    ["", "", ' noalert="1"', ' accuracy="0"', ' overwrite="yes"', ' ignore="2"', ' maxsize="9"']
)


def text_of(number: int, level: int, attributes: str, parent: str, conditions: list[str]) -> str:
    frequency = ' frequency="3" timeframe="9"' if "matched" in parent else ""
    inside = parent + "".join(conditions) + f"<description>{number}</description>"
    return f'<rule id="{number}" level="{level}"{attributes}{frequency}>{inside}</rule>'


RULES = st.builds(text_of, NUMBERS, st.integers(0, 12), ATTRIBUTES, PARENTS, st.lists(CONDITIONS, max_size=2))
LOGS = st.sampled_from(
    [
        "a",
        "ab",
        "bc",
        "c",
        "zzz",
        '{"x":"1"}',
        '{"x":"2","y":"2"}',
        '{"x":"a","srcip":"10.1.1.1","action":"drop"}',
        '{"srcip":"11.1.1.1","dstuser":"bob"}',
        "a long text with a b c",
        '{"X":"1","x":"2"}',
    ]
)


def shown(analyzer: Analyzer, lab: Lab, logs: list[str]) -> list[object]:
    lab.analyzer = analyzer
    found: list[object] = []
    for number, log in enumerate(logs):
        lab.at += number % 3
        verdict = lab.judge(log)
        rule = verdict.rule
        found.append((rule.id if rule else None, verdict.is_alert, verdict.fired_times, verdict.previous))
    return found


@settings(max_examples=400, deadline=None)
@given(st.lists(RULES, min_size=1, max_size=12), st.lists(LOGS, min_size=1, max_size=14))
def test_short_cuts_and_reloads_change_no_verdict(rules: list[str], logs: list[str]) -> None:
    text = "".join(rules)
    plain, fast, again = (Lab(text, is_log_test=False) for _ in range(3))
    slow = Analyzer(plain.program, host_name=b"manager", tries_all=True)
    expected = shown(slow, plain, logs)
    assert shown(fast.analyzer, fast, logs) == expected

    half = len(logs) // 2
    first = shown(again.analyzer, again, logs[:half])
    other = Lab(text, is_log_test=False)
    state = carried(again.analyzer.state, again.program, other.program, 8192)
    other.at = again.at
    new = Analyzer(other.program, host_name=b"manager", state=state)
    found: list[object] = []
    other.analyzer = new
    for number, log in enumerate(logs[half:], half):
        other.at += number % 3
        verdict = other.judge(log)
        found.append(
            (
                verdict.rule.id if verdict.rule else None,
                verdict.is_alert,
                verdict.fired_times,
                verdict.previous,
            )
        )
    assert first + found == expected
