"""Rule files as a whole: their shape, variables, attributes of rules, and how faults are told."""

from __future__ import annotations

import pytest

from tests.analysis.lab import BASE, DECODERS, Lab, child, faults, rule, told

GOOD = "<description>x</description>"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("\n<!-- only this -->", "my.xml:1: error: a file without a <group>; expected"),
        ("  \n", "my.xml:1: error: a file without a <group>"),
        ('<var name="X">1</var>', "my.xml:1: error: a file without a <group>"),
        ("<rules />", "my.xml:1: error: unknown root element <rules>; expected"),
        ('<group name="g," >\n</group>', "my.xml:1: error: a group without rules; expected"),
        (
            '<group name="g,"><rules/></group>',
            "my.xml:1: error: unknown element <rules> in a group; expected <rule>",
        ),
        (
            f'<group><rule id="101" level="3">{GOOD}</rule></group>',
            "my.xml:1: error: <group> without its name",
        ),
        (
            f'<group name="g," id="1"><rule id="101" level="3">{GOOD}</rule></group>',
            "my.xml:1: error: <group> without its name, or with more than that",
        ),
        ('<?xml version="1.0"?>', "my.xml:1: error: <?xml ...?>; no such line: leave it out"),
        (
            "<group><![CDATA[ x ]]></group>",
            "my.xml:1: error: a CDATA section; plain text, with \\< for",
        ),
        (
            '<group name="g,">\n<rule id="101" level="3">x < y</rule></group>',
            "my.xml:2: error: '<' that begins no",
        ),
        (
            '<group name="g,">\n<rule id="101" level="3"></Rule></group>',
            "my.xml:2: error: </Rule> where <rule> is open",
        ),
        (
            '<group name="g,">\n<rule id="1" id="2" level="3"></rule></group>',
            "my.xml:2: error: attribute id twice",
        ),
        ('<group name="g,">\n<!-- never closed', "my.xml:2: error: a comment is never closed"),
    ],
)
def test_shapes_that_are_refused(text: str, fault: str) -> None:
    from garrison.analysis.reading import Reading
    from garrison.analysis.rule_file import read_rule_file

    reading = Reading("my.xml")
    assert read_rule_file(text.encode(), reading) == []
    assert [str(each)[: len(fault)] for each in reading.faults] == [fault]


def test_shapes_that_are_taken() -> None:
    assert told("") == []
    text = f"""\xef\xbb\xbf stray <!-- a --> text
    <var name="TEN">10</var>
    <GROUP NAME='a,'> stray <Rule Id='101' LEVEL='5'
       > stray <if_sid>$TEN|100</if_sid> {GOOD}</Rule></GROUP>
    <group name="b,"><var name="YY">zz</var><rule id="102" level="5"><if_sid>100</if_sid><match>$YY</match>{GOOD}</rule>
    </group>"""
    assert [line.partition(":")[2] for line in told(text)] == [
        "4: warning: rule 101: <if_sid> is '10|100': the rule is left out; ids with commas or blanks between"
    ]
    assert Lab(text).ids("zz", "a") == [102, 100]


@pytest.mark.parametrize(
    ("variables", "text", "log", "matches"),
    [
        ('<var name="A">u=</var>', "$A", "$A", True),  # two bytes are never filled in
        ('<var name="AB">u=</var>', "$ab|zz", "u=", True),
        ('<var name="AB">u=</var>', "zz|$AB", "u=", True),
        ('<var name="AB">u=</var>', "$AB,x", "u=,x", True),
        ('<var name="AB">u=</var>', "a$ b", "a$ b", True),
        ('<var name="AB">$CD</var><var name="CD">q</var>', "$AB", "$CD", True),
        ("", "$AB", "$AB", True),
    ],
)
def test_variables(variables: str, text: str, log: str, matches: bool) -> None:
    lab = Lab(f'{variables}<group name="g,">{child(101, f"<match>{text}</match>")}</group>')
    assert lab.ids(log) == [101 if matches else 100]


def test_unknown_variables_are_told_all_at_once() -> None:
    rules = (
        child(101, "<match>$NO</match>")
        + "\n"
        + child(102, "<match>$NOR</match>")
        + child(103, "", parent="101")
    )
    assert told(f'<var name="YES">y</var>\n<group name="g,">{rules}</group>') == [
        "my.xml:2: error: unknown variable $NO; defined before it are $yes",
        "my.xml:3: error: unknown variable $NOR; defined before it are $yes",
    ]


@pytest.mark.parametrize(
    ("attributes", "fault"),
    [
        ('level="5"', "error: <rule> without id"),
        ('id="101"', "error: rule 101: <rule> without level"),
        ('id="1234567" level="5"', 'error: id="1234567" of a rule; a number of at most 6 digits'),
        ('id=" 101" level="5"', 'error: id=" 101" of a rule'),
        ('id="101" level="17"', 'error: rule 101: level="17"; a number from 0 to 16'),
        ('id="101" level="high"', 'error: rule 101: level="high"; a number from 0 to 16'),
        ('id="101" level="5" frequency="1"', 'error: rule 101: frequency="1"; a number from 2 to 9999'),
        ('id="101" level="5" frequency="10000"', 'error: rule 101: frequency="10000"'),
        ('id="101" level="5" timeframe="5m"', 'error: rule 101: timeframe="5m"; a number'),
        ('id="101" level="5" ignore="-1"', 'error: rule 101: ignore="-1"; a number'),
        ('id="101" level="5" maxsize=""', 'error: rule 101: maxsize=""; a number'),
        ('id="101" level="5" overwrite="YES"', 'error: rule 101: overwrite="YES"; yes or no'),
        (
            'id="101" level="5" severity="3"',
            "error: rule 101: unknown attribute severity of <rule>; known are id",
        ),
        ('id="101" level="5" noalert="yes"', 'warning: rule 101: noalert="yes" has no effect; 0 or 1'),
    ],
)
def test_attributes_that_are_wrong(attributes: str, fault: str) -> None:
    lines = told(f"<rule {attributes}><if_sid>100</if_sid>{GOOD}</rule>")
    assert len(lines) == 1 and lines[0].startswith(f"my.xml:1: {fault}"), lines


def test_numbers_are_cut_to_their_digits() -> None:
    lab = Lab(
        child(101, "", 'LEVEL="05" timeframe="1234567" ignore="12345678" maxsize="00012" frequency="0002"')
    )
    made = lab.program.rules[-1]
    assert (made.card.level, made.card.timeframe_s, made.ignore_s) == (5, 12345, 123456)
    assert lab.ids("a") == [101]  # of 00012 four digits are 0001


def test_a_rule_needs_a_description_and_anything_at_all() -> None:
    assert told('<rule id="101" level="5"><match>a</match></rule>') == [
        "my.xml:1: error: rule 101: a rule without a description; expected <description>"
    ]
    assert told('<rule id="101" level="5"></rule>') == [
        "my.xml:1: error: rule 101: a rule without any element; expected <description> at least"
    ]
    assert told('<rule id="101" level="5"><if_sid>100</if_sid><description></description></rule>') == []


def test_a_broken_file_is_told_once() -> None:
    """Rules and decoders that are missing because their file is broken need no word of their own."""
    broken = BASE.replace("<description>tst</description>", "<description>tst</descr>")
    lines = [str(fault) for fault in faults(child(101, "<decoded_as>tst</decoded_as>"), base=broken)]
    assert lines == ["base.xml:4: error: </descr> where <description> is open; expected </description>"]
    decoders = DECODERS.replace("</decoder>", "</decode>", 1)
    lines = told(child(101, "<decoded_as>tst</decoded_as>"), decoders=decoders)
    assert len(lines) == 1 and lines[0].startswith("decoders.xml:2: error: </decode>")


def test_faults_know_their_column() -> None:
    text = '<group name="g,">\n  <rule id="101" level="5">\n    <description>a</description> <nonsense />\n  </rule></group>'
    assert [(fault.line, fault.column) for fault in faults(text)] == [(3, 34)]


def test_definitions_are_equal_when_the_texts_say_the_same() -> None:
    def definition(text: str, root: str = "g,") -> bytes:
        return Lab(text, root=root).program.rules[-1].definition

    plain = child(101, "<match>a</match>")
    assert definition(plain) == definition("\n\n" + plain.replace("<match>", "<!-- new --><match>"))
    assert definition(plain) != definition(plain.replace(">a<", ">b<"))
    assert definition(plain) != definition(plain, root="h,")
    assert definition(plain) != definition(plain.replace("<match>", '<match negate="yes">'))
    assert definition(plain + rule(101, "", 'level="5" overwrite="yes"')) != definition(plain)
