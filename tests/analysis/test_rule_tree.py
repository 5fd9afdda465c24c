"""Where rules hang, in what order they are tried, and what one rule may overwrite of another."""

from __future__ import annotations

import pytest

from garrison.analysis.program import RuleNode
from tests.analysis.lab import BASE, Lab, child, rule, told


def places(lab: Lab, number: int) -> list[list[int]]:
    """The ids on the way to each place of a rule."""
    found: list[list[int]] = []

    def walk(node: RuleNode, way: list[int]) -> None:
        if node.rule.card.id == number:
            found.append(way)
        for each in node.children:
            walk(each, [*way, node.rule.card.id])

    for root in lab.program.roots:
        walk(root, [])
    return found


def tried(lab: Lab, parent: int) -> list[int]:
    """The children of a rule in the order of trial."""
    waiting = list(lab.program.roots)
    while waiting:
        node = waiting.pop()
        if node.rule.card.id == parent:
            return [each.rule.card.id for each in node.children]
        waiting += node.children
    raise AssertionError(parent)


def test_siblings_are_sorted_by_level_zero_first() -> None:
    levels = {101: 5, 102: 7, 103: 7, 104: 0, 105: 0, 106: 16}
    rules = "".join(child(number, "", f'level="{level}"') for number, level in levels.items())
    rules += child(107, "", 'level="12" accuracy="0"') + child(108, "", 'level="3"')
    rules += child(109, "", 'level="4" accuracy="00001"')
    assert tried(Lab(rules), 100) == [104, 105, 106, 102, 103, 101, 108, 107, 109]


def test_an_inaccurate_rule_comes_last_and_keeps_its_level() -> None:
    lab = Lab(child(101, "", 'level="12" accuracy="0"') + child(102, "<match>b</match>", 'level="3"'))
    assert lab.ids("b", "a") == [102, 101]
    assert lab.judge("a").level == 12
    assert Lab(child(101, "", 'level="0" accuracy="0"')).judge("a").level == 99


def test_the_worked_example() -> None:
    """Spec/analysis-2-rules.md 4: level 0 silences its siblings."""
    rules = (
        child(101, "<match>zzz</match>", 'level="9"')
        + child(102, "<match>u=</match>", 'level="0"')
        + child(103, "", 'level="5"')
    )
    lab = Lab(rules)
    assert lab.ids("u=bob", "other", "zzz") == [102, 103, 101]
    assert not lab.judge("u=bob").is_alert


def test_silent_rules_pass_on_to_their_siblings() -> None:
    rules = (
        child(101, "", 'level="9" noalert="1"')
        + child(102, "", 'level="3"')
        + child(103, "<match>x</match>", parent="101")
    )
    assert Lab(rules).ids("a", "x") == [102, 103]
    base = BASE.replace('id="100" level="5"', 'id="100" level="5" noalert="1"')
    assert Lab("", base=base).ids("a") == [None]
    root = BASE.replace(' noalert="1"', "")
    assert Lab("", base=root).ids("a", program="unknown") == [1]


def test_parents_by_id() -> None:
    lab = Lab(child(101, "<match>a</match>", parent="999, 100"))
    assert lab.ids("a") == [101]
    assert [str(line) for line in lab.program.warnings] == [
        "my.xml:1: warning: rule 101: its parent 999 is not loaded; a rule that is loaded before: its file sorts first, "
        "or it stands above"
    ]


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ("<if_sid>999, 998</if_sid>", ["its parents 999, 998 are not loaded: the rule is left out"]),
        ("<if_sid>999</if_sid>", ["its parent 999 is not loaded: the rule is left out"]),
        ("<if_matched_sid>999</if_matched_sid>", ["its parent 999 is not loaded: the rule is left out"]),
        ("<if_group>zz</if_group>", ["no rule before it has a group like 'zz': the rule is left out"]),
        ("<if_group>!zz</if_group>", ["no rule before it has a group like '!zz'"]),
        ("<if_group>g,$</if_group>", ["no rule before it has a group like 'g,$'"]),
        ("<if_level>16</if_level><if_level></if_level>", ["<if_level> is ''"]),
        ("<if_level>0</if_level>", ["no rule of that level or more"]),
        ("<category>squid</category>", ["there is no root (a rule below 10) of category squid"]),
        (
            "<if_matched_sid>100</if_matched_sid><if_matched_group>zz</if_matched_group>",
            ["no rule before it has a group"],
        ),
    ],
)
def test_rules_without_a_place_are_left_out(inside: str, said: list[str]) -> None:
    lines = told(rule(101, inside))
    assert len(lines) == len(said)
    assert all(f"warning: rule 101: {word}" in line for word, line in zip(said, lines, strict=True)), lines
    assert Lab(rule(101, inside)).ids("a") == [100]


def test_what_hangs_below_a_rule_that_is_left_out_is_left_out_without_ado() -> None:
    rules = rule(101, "<if_sid>999</if_sid>") + child(102, "", parent="101") + child(103, "", parent="102")
    assert len(told(rules)) == 1


def test_groups_of_parents() -> None:
    rules = child(101, "<match>x</match><group>Auth,</group>") + rule(
        102, "<if_group>^zz|aut</if_group><match>y</match>"
    )
    assert Lab(rules).ids("xy", "x", "y") == [102, 101, 100]
    assert places(Lab(child(101, "<if_group>zz</if_group>")), 101) == [[1, 100]]  # the id comes first
    later = rule(101, "<if_group>late</if_group>") + child(102, "<group>late,</group>")
    assert places(Lab(later), 101) == []


def test_levels_of_parents() -> None:
    lab = Lab(rule(101, "<if_level>5</if_level>"))
    assert sorted(places(lab, 101)) == [[1], [1, 100], [1, 200]]  # level 0 counts as 99
    inaccurate = child(102, "", 'level="9" accuracy="0"') + rule(101, "<if_level>6</if_level>")
    assert places(Lab(inaccurate), 101) == [[1]]


def test_the_history_may_be_of_another_rule_than_the_place() -> None:
    both = rule(
        101,
        "<if_matched_sid>100</if_matched_sid><if_matched_group>g,</if_matched_group>",
        'level="9" frequency="3"',
    )
    lab = Lab(both)
    assert sorted(places(lab, 101)) == [[1], [1, 100], [1, 200]]
    assert lab.ids("a", "a", "a") == [100, 100, 101]


def test_a_child_hangs_below_all_places_that_a_search_meets() -> None:
    two = child(101, "", parent="100,200") + child(102, "", parent="101")
    assert sorted(places(Lab(two), 102)) == [[1, 100, 101], [1, 200, 101]]
    twice = child(101, "", parent="100, 100") + child(102, "", parent="101")
    assert (len(places(Lab(twice), 101)), len(places(Lab(twice), 102))) == (2, 1)


def test_the_search_leaves_siblings_at_the_first_that_it_meets() -> None:
    """101 is a sibling of 103 and also hangs below it: the place below comes after, and is not met."""
    rules = (
        child(103, "<match>c</match>", 'level="3"')
        + rule(101, "<if_sid>100, 103</if_sid>", 'level="7"')
        + child(102, "", parent="101")
    )
    lab = Lab(rules)
    assert sorted(places(lab, 101)) == [[1, 100], [1, 100, 103]]
    assert places(lab, 102) == [[1, 100, 101]]
    before = rules.replace('id="101" level="7"', 'id="101" level="2"')
    assert sorted(places(Lab(before), 102)) == [[1, 100, 101], [1, 100, 103, 101]]


def test_duplicates() -> None:
    rules = child(101, "<match>a</match>") + child(101, "<match>b</match>")
    assert Lab(rules).ids("a", "b") == [101, 100]
    assert told(rules) == [
        "my.xml:1: warning: rule 101: defined twice, this one is left out; it is defined at my.xml:1, which stays; or "
        'overwrite="yes"'
    ]
    assert "rule 1: defined twice" in told(rule(1, ""))[0]


def test_overwriting_nothing_is_a_new_rule() -> None:
    rules = child(101, "<match>a</match>", 'level="5" overwrite="yes"')
    assert Lab(rules).ids("a") == [101]
    assert "overwrites nothing" in told(rules)[0]
    assert told(child(101, "", 'level="5" overwrite="no"')) == []


def over(number: int, inside: str, attributes: str = 'level="5"') -> str:
    return rule(number, inside, attributes + ' overwrite="yes"')


def test_overwriting_keeps_the_place_and_nothing_else() -> None:
    rules = (
        child(101, "", 'level="3"')
        + child(102, "<match>b</match>", 'level="7"')
        + over(101, "", 'level="12"')
    )
    assert Lab(rules).ids("a", "b") == [101, 102]
    assert Lab(rules).judge("a").level == 12
    tests = child(101, "<match>a</match>") + over(101, "<regex>^b</regex>")
    assert Lab(tests).ids("a", "b") == [100, 101]
    below = child(101, "") + child(102, "<match>b</match>", parent="101") + over(101, "")
    assert Lab(below).ids("b") == [102]
    moved = child(101, "") + over(101, "<if_sid>200</if_sid>")
    assert Lab(moved).ids("a") == [101]
    assert (
        "if_sid cannot be overwritten: the rule keeps its place; it is written at my.xml:1" in told(moved)[0]
    )


def test_an_overwritten_level_counts_for_siblings_that_come_later() -> None:
    rules = child(101, "", 'level="3"') + over(101, "", 'level="12"') + child(102, "", 'level="7"')
    assert tried(Lab(rules), 100) == [101, 102]
    lower = child(101, "", 'level="9"') + over(101, "", 'level="3"') + child(102, "", 'level="7"')
    assert tried(Lab(lower), 100) == [102, 101]


def test_overwriting_composites() -> None:
    sid = "<if_matched_sid>100</if_matched_sid>"
    simple = child(101, "<match>x</match>") + over(101, sid, 'level="9" frequency="5"')
    lab = Lab(simple)
    assert lab.ids("a", "a") == [101, 101]  # no search came with the new text
    assert lab.judge("a").rule.frequency is None  # type: ignore[union-attr]
    plain = rule(101, sid, 'level="9" frequency="3"') + over(101, "", 'level="9"')
    lab = Lab(plain)
    assert lab.ids("a", "a") == [101, 101]
    assert lab.judge("a").rule.frequency == 2  # type: ignore[union-attr]
    other = rule(101, sid, 'level="9" frequency="3"') + over(101, sid, 'level="9" frequency="2"')
    assert Lab(other).ids("a", "a", "a") == [100, 101, 101]
    again = plain + over(101, sid, 'level="9" frequency="3"')
    assert Lab(again).ids("a", "a", "a") == [100, 100, 101]
    sids = rule(101, sid, 'level="9" frequency="2"') + over(101, "<if_matched_sid>200</if_matched_sid>")
    assert Lab(sids).ids("a", "a") == [100, 101]
    assert "if_matched_sid cannot be overwritten" in told(sids)[0]


def test_a_changed_group_is_counted_as_before() -> None:
    by_group = rule(102, "<if_matched_group>au</if_matched_group>", 'level="9" frequency="3"')
    rules = child(101, "<group>au,</group>") + by_group + over(101, "<group>zz,</group>")
    assert Lab(rules, root="x,").ids("a", "a", "a") == [101, 101, 102]


def test_overwriting_a_root_adds_another() -> None:
    root = '<rule id="5" level="3"><match>u=</match><description>five</description></rule>'
    rules = root + over(5, "<match>never</match>", 'level="3"')
    base = BASE.replace(
        '<rule id="1" level="0" noalert="1">', '<rule id="1" level="0" noalert="1"><match>zzz</match>'
    )
    lab = Lab(rules, base=base)
    assert [node.rule.card.id for node in lab.program.roots] == [1, 5, 5]
    assert lab.ids("u=") == [5]


def test_roots_take_no_parents() -> None:
    lab = Lab(rule(7, "<if_sid>100</if_sid>", 'level="12"'))
    assert [node.rule.card.id for node in lab.program.roots] == [1, 7]
    assert lab.ids("a") == [100]
