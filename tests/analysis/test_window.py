"""Rules that count earlier events: the vectors of spec/analysis-2-rules.md 5 and 9."""

from __future__ import annotations

import pytest

from garrison.analysis.source import Thresholds
from garrison.analysis.window import EarlierEvents
from tests.analysis.lab import BASE, Lab, child, rule


def counted(number: int, attributes: str = 'level="10"', inside: str = "", sid: int = 100) -> str:
    return rule(number, f"<if_matched_sid>{sid}</if_matched_sid>{inside}", attributes)


def group(number: int, pattern: str, attributes: str = 'level="10" frequency="3"', inside: str = "") -> str:
    return rule(number, f"<if_matched_group>{pattern}</if_matched_group>{inside}", attributes)


def spelled(text: str) -> list[int]:
    """`100*3 101` as [100, 100, 100, 101]."""
    found: list[int] = []
    for word in text.split():
        number, _, times = word.partition("*")
        found += [int(number)] * int(times or 1)
    return found


EQUAL = [
    (counted(101, 'level="10" frequency="4"'), "100*3 101 100*3 101 100*3 101 100"),
    (counted(101, 'level="10" frequency="2"'), "100 101*6"),
    (counted(101), "100 101*6"),
    (group(101, "g"), "100 100 101 100 100 101 100 100"),
    (
        '<rule id="101" level="10" frequency="3"><if_matched_group>g</if_matched_group>'
        "<description>a</description></rule>"
        + rule(102, "<if_matched_sid>100</if_matched_sid><srcip>9.9.9.9</srcip>", 'level="10" frequency="3"'),
        "100*8",
    ),
    (
        counted(101, 'level="8" frequency="3"') + child(102, "", parent="101"),
        "100 100 102 100 100 102 100 100",
    ),
    (
        counted(101, 'level="8" frequency="3"') + counted(102, 'level="10" frequency="5"'),
        "100 100 101 100 100 102 100 100 101 100 100 102 100 100",
    ),
    (
        counted(101, 'level="10" frequency="4"', "<same_location />")
        + counted(102, 'level="10" frequency="3"'),
        "100 100 102 100 100 102 100 100 102",
    ),
    (
        counted(101, 'level="10" frequency="3"') + counted(102, 'level="8" frequency="4"'),
        "100 100 101 100 100 101",
    ),
    (
        counted(101, 'level="10" frequency="3" noalert="1"') + counted(102, 'level="9" frequency="3"'),
        "100*6",
    ),
    (
        counted(101, 'level="8" frequency="2"') + counted(102, 'level="10" frequency="2"', sid=101),
        "100 101 102*5",
    ),
    (child(102, "", 'level="3"') + counted(101, 'level="10" frequency="2"'), "102*6"),
    (group(101, "^g,$", inside="<if_sid>100</if_sid>"), "100 100 101 100 100"),
    (group(101, "!zz", inside="<program_name>tst</program_name><if_sid>100</if_sid>"), "100 100 101 100 100"),
    (group(101, "auth"), "100*6"),
]


@pytest.mark.parametrize(("rules", "expected"), EQUAL, ids=range(len(EQUAL)))
def test_equal_events(rules: str, expected: str) -> None:
    wanted = spelled(expected)
    assert Lab(rules).ids(*["a"] * len(wanted)) == wanted


def test_rules_loaded_later_are_not_counted() -> None:
    rules = group(101, "g,") + child(103, "<group>auth,</group>")
    assert Lab(rules).ids(*["a"] * 8) == [103] * 8
    late = group(101, "auth,", inside="<if_sid>100</if_sid>") + child(
        103, "<group>auth,</group>", 'level="3"'
    )
    assert Lab(late).ids(*["a"] * 4) == [103] * 4


TWO_PARENTS = """
<group name="g,">
  <rule id="1" level="0" noalert="1"> <description>root</description> </rule>
  <rule id="98" level="0"> <program_name>^tst</program_name> <description>a</description> </rule>
  <rule id="99" level="0"> <program_name>^tst</program_name> <description>b</description> </rule>
  <rule id="100" level="5"> <if_sid>98,99</if_sid> <group>auth,</group> <description>c</description> </rule>
</group>"""


def test_a_rule_in_two_places_counts_twice_for_a_group_and_once_by_id() -> None:
    by_group = Lab(group(101, "auth", 'level="10" frequency="4"'), base=TWO_PARENTS)
    assert by_group.ids(*["a"] * 8) == spelled("100 100 101 100 100 101 100 100")
    by_id = Lab(counted(101, 'level="10" frequency="4"'), base=TWO_PARENTS)
    assert by_id.ids(*["a"] * 8) == spelled("100*3 101 100*3 101")


def test_a_group_of_several_rules() -> None:
    rules = (
        child(103, "<match>three</match><group>au,</group>")
        + child(104, "<match>four</match><group>au,</group>")
        + group(101, "au", 'level="10" frequency="4"')
    )
    logs = ["three", "four", "x", "three", "four", "three"]
    assert Lab(rules, root="z,").ids(*logs) == [103, 104, 100, 103, 101, 103]


def test_parent_and_counted_rule_may_differ() -> None:
    rules = child(102, "", parent="200", attributes='level="3"') + rule(
        101, "<if_sid>102</if_sid><if_matched_sid>100</if_matched_sid>", 'level="10" frequency="3"'
    )
    lab = Lab(rules)
    asked = [("tst", 100), ("tst", 100), ("oth", 101), ("oth", 102), ("tst", 100)]
    assert [lab.id("a", program=program) for program, _ in asked] == [expected for _, expected in asked]


def test_a_counted_rule_that_is_missing_matches_nothing() -> None:
    lab = Lab(
        rule(101, "<if_sid>100</if_sid><if_matched_sid>777</if_matched_sid>", 'level="10" frequency="2"')
    )
    assert lab.ids("a", "a", "a") == [100, 100, 100]


def test_source_addresses() -> None:
    rules = counted(101, 'level="10" frequency="3"', "<same_srcip />")

    def logs(letters: str) -> list[str]:
        return [f'{{"srcip":"{letter}"}}' for letter in letters.split()]

    assert Lab(rules).ids(*logs("a b a c a a a a")) == spelled("100*4 101 100 100 101")
    assert Lab(rules).ids(*logs("a b a b a b a a a")) == spelled("100*4 101 101 100 100 101")


LIKE = [
    ("<same_user />", '{"dstuser":"a"}', '{"dstuser":"a"}', True),
    ("<same_user />", '{"dstuser":"a"}', '{"dstuser":"A"}', False),
    ("<same_user />", '{"srcuser":"a"}', '{"srcuser":"a"}', False),
    ("<same_srcuser />", '{"srcuser":"a"}', '{"srcuser":"a"}', True),
    ("<same_id /><same_url />", '{"id":"1","url":"/"}', '{"id":"1","url":"/"}', True),
    ("<same_id /><same_url />", '{"id":"1","url":"/"}', '{"id":"1","url":"/a"}', False),
    ("<same_src_port />", '{"srcport":"1"}', '{"srcport":"1"}', True),
    ("<same_location />", "a", "b", True),
    ("<different_location />", "a", "b", False),
    ("<different_srcip />", '{"srcip":"a"}', '{"srcip":"b"}', True),
    ("<different_srcip />", '{"srcip":"a"}', '{"srcip":"a"}', False),
    ("<not_same_source_ip />", '{"srcip":"a"}', '{"x":"a"}', True),
    ("<different_srcip />", '{"x":"a"}', '{"x":"b"}', True),
    ("<same_field>x</same_field>", '{"x":"a"}', '{"X":"a"}', True),
    ("<same_field>X</same_field>", '{"x":"a"}', '{"x":"a"}', True),
    ("<same_field>x</same_field>", '{"x":"a"}', '{"x":"b"}', False),
    ("<same_field>srcip</same_field>", '{"srcip":"a","x":"1"}', '{"srcip":"a","x":"1"}', False),
    ("<same_field></same_field>", '{"x":"a"}', '{"x":"a"}', False),
    ("<same_field>x</same_field>", "a", "a", False),
    ("<different_field>x</different_field>", '{"x":"a"}', '{"x":"b"}', True),
    ("<different_field>x</different_field>", '{"x":"a"}', '{"x":"a"}', False),
    ("<not_same_field>x</not_same_field>", '{"x":"a"}', '{"y":"a"}', True),
    ("<not_same_field>x</not_same_field>", "a", '{"y":"a"}', True),
    ("<not_same_field>x</not_same_field>", "a", "a", False),
    ("<same_srcip /><different_user />", '{"srcip":"a","dstuser":"1"}', '{"srcip":"a","dstuser":"2"}', True),
    ("<same_srcip /><different_user />", '{"srcip":"a","dstuser":"1"}', '{"srcip":"a","dstuser":"1"}', False),
]


@pytest.mark.parametrize(("inside", "before", "now", "expected"), LIKE, ids=range(len(LIKE)))
def test_likeness(inside: str, before: str, now: str, expected: bool) -> None:
    assert Lab(counted(101, 'level="10" frequency="2"', inside)).ids(before, now) == [
        100,
        101 if expected else 100,
    ]


def test_differences_are_with_the_current_event_only() -> None:
    lab = Lab(counted(101, 'level="10" frequency="3"', "<different_srcip />"))
    assert lab.ids('{"srcip":"A"}', '{"srcip":"A"}', '{"srcip":"B"}') == [100, 100, 101]


def xy(text: str) -> list[str]:
    return [f'{{"x":"{pair[0]}","y":"{pair[1]}"}}' for pair in text.split()]


def test_several_fields() -> None:
    different = counted(
        101,
        'level="10" frequency="2"',
        "<not_same_field>x</not_same_field><not_same_field>y</not_same_field>",
    )
    assert Lab(different).ids(*xy("XY QY RS RT ZU")) == [100, 100, 101, 101, 101]
    same = counted(101, 'level="10" frequency="2"', "<same_field>x</same_field><same_field>y</same_field>")
    assert Lab(same).ids(*xy("XY bY bY bt")) == [100, 100, 101, 100]


def test_timeframe() -> None:
    lab = Lab(counted(101, 'level="10" frequency="2" timeframe="10"'))
    found = []
    for pause in (0, 10, 11, 9):
        lab.wait(pause)
        found.append(lab.id("a"))
    assert found == [100, 101, 100, 101]


def test_timeframe_without_one_is_the_default() -> None:
    for default, expected in ((360, 101), (60, 100)):
        lab = Lab(counted(101), thresholds=Thresholds(timeframe_s=default))
        lab.id("a")
        lab.wait(100)
        assert lab.id("a") == expected
    assert Lab(counted(101, 'level="10" timeframe="123456"')).program.rules[-1].card.timeframe_s == 12345


def test_agents_are_counted_apart() -> None:
    for inside, expected in (("", "100*4 101 101"), ("<global_frequency />", "100 100 101 100 100 101")):
        lab = Lab(counted(101, 'level="10" frequency="3"', inside), is_log_test=False)
        assert [lab.id("a", agent=agent) for agent in ("001", "002") * 3] == spelled(expected)


def test_level_zero_and_silent_rules_are_never_counted() -> None:
    base = BASE.replace('id="100" level="5"', 'id="100" level="0"')
    assert Lab(counted(101, 'level="10" frequency="3"'), base=base).ids(*["a"] * 5) == [100] * 5


def test_a_rule_that_does_not_alert_is_counted() -> None:
    lab = Lab(
        child(102, "", 'level="2"') + counted(101, 'level="7" frequency="3"', sid=102), is_log_test=False
    )
    assert [(v.is_alert, v.level) for v in (lab.judge("a") for _ in range(3))] == [
        (False, 2),
        (False, 2),
        (True, 7),
    ]


@pytest.mark.parametrize(
    ("frequency", "events", "expected"),
    [(4, 4, (2, 1, 0)), (20, 20, tuple(range(18, 7, -1))), (4, 8, (6, 5, 4)), (2, 2, (0,)), (3, 3, (1, 0))],
)
def test_previous_logs(frequency: int, events: int, expected: tuple[int, ...]) -> None:
    lab = Lab(counted(101, f'level="10" frequency="{frequency}"'))
    verdicts = [lab.judge(f"n{number}") for number in range(events)]
    assert [int(log.rpartition(b"n")[2]) for log in verdicts[-1].previous] == list(expected)


@pytest.mark.parametrize(("frequency", "expected"), [(4, 2), (3, 1), (2, 0)])
def test_expressions_over_earlier_logs(frequency: int, expected: int) -> None:
    """One log less is shown than where rules are counted by id; see spec 5.4."""
    inside = "<if_sid>100</if_sid><if_matched_regex>^bad \\d+$</if_matched_regex>"
    lab = Lab(rule(101, inside, f'level="10" frequency="{frequency}"'))
    verdicts = [lab.judge(f"bad {number}") for number in range(frequency)]
    assert [v.rule.id for v in verdicts if v.rule] == [100] * (frequency - 1) + [101]
    assert len(verdicts[-1].previous) == expected
    assert Lab(rule(101, inside, 'level="10" frequency="2"')).ids("good", "bad 1", "bad 2") == [100, 100, 101]


def test_expressions_see_events_of_other_rules() -> None:
    inside = "<if_sid>100</if_sid><if_matched_regex>^bad</if_matched_regex>"
    lab = Lab(rule(101, inside, 'level="10" frequency="2"'))
    assert [lab.id("bad", program="oth"), lab.id("x"), lab.id("y")] == [200, 101, 101]


def test_a_failing_search_shows_nothing() -> None:
    """What a failing composite gathered is gone before the next rule is tried."""
    rules = counted(101, 'level="10" frequency="9"') + child(102, "<match>last</match>", 'level="3"')
    lab = Lab(rules)
    verdicts = [lab.judge(text) for text in ("a", "b", "c", "last")]
    assert verdicts[-1].rule is not None and verdicts[-1].rule.id == 102 and verdicts[-1].previous == ()


def test_old_events_go_ten_at_a_time_and_as_they_age() -> None:
    """Vector of spec 5.1: two pending events are there up to the 2048th remembered one, and gone after the 2049th."""
    rules = counted(101, 'level="10" frequency="4" timeframe="9999"')
    for filling, expected in ((2045, 101), (2047, 100)):
        lab = Lab(rules, memory_size=2048)
        lab.ids("a", "a")
        for _ in range(filling):
            lab.judge("filling", program="oth")
        assert lab.ids("a", "a")[-1] == expected, filling
    for age, expected in ((1, 101), (100, 100)):
        lab = Lab(rules, memory_size=2048)
        for _ in range(1000):
            lab.judge("filling", program="oth")
        lab.ids("a", "a", "a")
        lab.wait(age)
        for _ in range(1050):
            lab.judge("filling", program="oth")
        assert lab.id("a") == expected, age


def test_events_are_bounded_in_bytes_and_told() -> None:
    lab = Lab("")
    earlier = EarlierEvents(lab.program, 2048, most_bytes=100_000)
    for number in range(10):
        earlier.record(lab.judge("x" * 10_000 + str(number)).event, None)
    assert (len(earlier), earlier.forgotten) == (3, 7)
