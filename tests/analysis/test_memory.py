"""First-seen lines, kept logs and added-up fields: what they remember, what they forget, and that they say so."""

from __future__ import annotations

from garrison.analysis.memory import Differences, FirstSeenLines
from tests.analysis.lab import Lab, child

SEEN = """<group name="g,">
  <rule id="1" level="0" noalert="1"> <description>root</description> </rule>
  <rule id="100" level="5"> <program_name>^seen</program_name> <description>seen</description> </rule>
  <rule id="101" level="5"> <if_sid>100</if_sid> <if_fts /> <description>new</description> </rule>
</group>"""


def seen(lab: Lab, *texts: str) -> list[bool]:
    return [lab.id(text, program="seen") == 101 for text in texts]


def test_first_seen() -> None:
    """Vector of spec/analysis-2-rules.md 5.8: another address is nothing new, another user is."""
    lab = Lab("", base=SEEN)
    logs = ("user bob from 1.1.1.1", "user bob from 1.1.1.1", "user n from 1.1.1.1", "user n from 2.2.2.2")
    assert seen(lab, *logs, "user bob from 2.2.2.2", "user BOB from 2.2.2.2") == [
        True,
        False,
        True,
        False,
        False,
        True,
    ]
    assert seen(lab, "nobody") == [False]


def test_first_seen_is_used_up_by_a_rule_that_fails_later() -> None:
    rules = """<group name="g,">
      <rule id="101" level="7"> <if_sid>100</if_sid> <if_fts /> <list field="x">l</list> <description>a</description> </rule>
      <rule id="102" level="6"> <if_sid>100</if_sid> <if_fts /> <description>b</description> </rule>
    </group>"""
    base = SEEN[: SEEN.index('<rule id="101"')] + "</group>"
    assert Lab(rules, base=base, lists={"l": b""}).ids("user bob from 1.1.1.1", program="seen") == [100]
    sooner = rules.replace('<list field="x">l</list>', "<match>never</match>")
    assert Lab(sooner, base=base).ids("user bob from 1.1.1.1", program="seen") == [102]


def ids_decoder() -> str:
    return """
    <decoder name="f"> <program_name>^seen</program_name> <type>ids</type> </decoder>
    <decoder name="f-f">
      <parent>f</parent> <type>ids</type> <prematch>^user</prematch> <regex>^user (\\S+) from (\\S+)</regex>
      <order>dstuser, srcip</order> <fts>name, dstuser</fts>
    </decoder>"""


def test_intrusion_alerts_that_begin_alike_are_one() -> None:
    """Vectors of spec/analysis-1-decoding.md 6: the line is `f  USER      `, three bytes before the user."""
    base = SEEN.replace('noalert="1">', 'noalert="1"> <category>ids</category>')
    base = base.replace(
        "<program_name>^seen</program_name>", "<category>ids</category> <program_name>^seen</program_name>"
    )

    def asked(*users: str) -> list[bool]:
        lab = Lab("", base=base, decoders=ids_decoder())
        return seen(lab, *(f"user {user} from 1.1.1.1" for user in users))

    many = [f"{'a' * 18}{n}" for n in range(6)]
    more = ["bbb", "ccc", "ccc", "a" * 18 + "0", "a" * 11 + "Z"]
    assert asked(*many, *more) == [True] * 4 + [False] * 2 + [True, True, False, False, True]
    assert asked(*(f"{'a' * 11}{letter}" for letter in "bcdefg")) == [True] * 6
    assert asked(*(f"{'a' * 12}{letter}" for letter in "bcdef")) == [True] * 4 + [False]


def test_first_seen_lines_are_bounded_and_told() -> None:
    lines = FirstSeenLines([b"a", b"b"], most=3)
    assert lines.take_news() == []
    for line in (b"c", b"d"):
        lines._add(line)
    assert (lines.all_lines(), lines.take_news(), lines.forgotten) == ([b"b", b"c", b"d"], [b"c", b"d"], 1)
    assert lines.take_news() == []


def test_a_first_seen_line_has_no_newline_and_stays_distinct() -> None:
    lab = Lab(
        "",
        base=SEEN,
        decoders=ids_decoder().replace("(\\S+) from", "(\\.+) from").replace("<type>ids</type>", ""),
    )
    assert seen(lab, "user a\nb from 1.1.1.1", "user a b from 1.1.1.1", "user a\nb from 1.1.1.1") == [
        True,
        True,
        False,
    ]
    assert all(b"\n" not in line for line in lab.analyzer.state.first_seen.take_news())


def test_check_diff() -> None:
    """Vector of spec/analysis-2-rules.md 5.7."""
    lab = Lab(child(101, "<check_diff />", 'level="7" frequency="9"'))
    assert lab.ids("same", "same", "changed", "changed") == [100, 100, 101, 100]
    assert lab.ids("x" * 65_536) == [100]
    verdict = lab.judge("again")
    assert verdict.rule is not None and verdict.rule.frequency is None
    assert (verdict.previous, verdict.previous_log) == ((b"Previous output:", b"changed"), b"changed")


def test_check_diff_is_kept_for_each_host() -> None:
    lab = Lab(child(101, "<check_diff />"))
    assert [lab.id(text, agent=agent) for text, agent in (("a", "001"), ("b", "002"), ("b", "001"))] == [
        100,
        100,
        101,
    ]


def test_check_diff_takes_the_place_of_the_search() -> None:
    lab = Lab(child(101, "<check_diff /><if_matched_sid>100</if_matched_sid>", 'level="7" frequency="9"'))
    assert lab.ids("a", "b", "b", "c") == [100, 101, 100, 101]


def test_kept_logs_are_bounded_and_told() -> None:
    kept = Differences({(b"h", 1): b"aaaa"}, most_bytes=10)
    assert kept.take_news() == {}
    kept._keep((b"h", 2), b"bbbb")
    kept._keep((b"i", 1), b"cccc")
    assert kept.take_news() == {(b"h", 1): None, (b"h", 2): b"bbbb", (b"i", 1): b"cccc"}
    assert kept.forgotten == 1
