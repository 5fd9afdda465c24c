"""What stands inside a rule: pieces that join, patterns and negation, fields, lists, likenesses, options, ATT&CK marks."""

from __future__ import annotations

import pytest

from garrison.analysis.event import MitreMark
from garrison.analysis.source import Thresholds
from tests.analysis.lab import Lab, child, rule, told

IS = [101]
NOT = [100]


@pytest.mark.parametrize(
    ("inside", "log", "expected"),
    [
        ("<match>u=</match><match>bob</match>", "u=bob", IS),
        ("<match>a|</match><match>b</match>", "xbx", IS),
        ('<match negate="yes">u=</match><match>bob</match>', "u=bob", IS),
        ('<match>u=</match><match negate="yes">bob</match>', "u=bob", NOT),
        ("<match>!u=</match>", "u=bob", NOT),
        ('<match negate="yes">!u=</match>', "u=bob", IS),
        ("<match>U=BOB</match>", "u=bob", IS),
        ('<match type="pcre2">U=BOB</match>', "u=bob", NOT),
        ('<match type="PCRE2">^u=.*b$</match>', "u=bob", IS),
        ('<match type="osregex">^u=\\w+$</match>', "u=bob", IS),
        ("<regex>^u=\\w+$</regex>", "u=bob", IS),
        ('<regex type="osmatch">^u=</regex>', "u=bob", IS),
        ('<regex negate="YES">^u=</regex>', "u=bob", NOT),
        ("<MATCH>u=</MATCH>", "u=bob", IS),
        ("<match>&amp;</match>", "a & b", NOT),
        ("<match>&amp;</match>", "a &amp; b", IS),
        ("<regex>a\\<b</regex>", "a<b", IS),
        ("<match>a <!-- gone -->b</match>", "a b", IS),
        ("<program_name>^tst$</program_name>", "x", IS),
        ("<hostname>^host$</hostname>", "x", IS),
        ("<location>^x$</location>", "x", IS),
        ('<location negate="yes">^x$</location>', "x", NOT),
    ],
)
def test_patterns(inside: str, log: str, expected: list[int]) -> None:
    assert Lab(child(101, inside)).ids(log) == expected


@pytest.mark.parametrize(
    ("inside", "log", "expected"),
    [
        ("<action>accept</action>", '{"action":"accept"}', IS),
        ("<action>acc</action>", '{"action":"accept"}', NOT),
        ("<action>ACCEPT</action>", '{"action":"accept"}', NOT),
        ("<action>a|accept</action>", '{"action":"accept"}', NOT),
        ('<action type="osmatch">a|b</action>', '{"action":"accept"}', IS),
        ('<action negate="yes">drop</action>', '{"action":"accept"}', IS),
        ('<action negate="yes">drop</action>', '{"x":"1"}', NOT),
        ("<user>^b</user>", '{"dstuser":"bob","srcuser":"eve"}', IS),
        ("<user>^e</user>", '{"dstuser":"bob","srcuser":"eve"}', NOT),
        ("<user>^e</user>", '{"srcuser":"eve"}', IS),
        ('<user negate="yes">^e</user>', '{"x":"1"}', NOT),
        ("<id>^4$</id>", '{"id":"4"}', IS),
        ("<url>/a</url><status>^2</status>", '{"url":"/a","status":"200"}', IS),
        ("<url>/a</url><status>^3</status>", '{"url":"/a","status":"200"}', NOT),
        ("<srcport>^22$</srcport>", '{"srcport":"22"}', IS),
        ("<protocol>tcp</protocol>", '{"protocol":"TCP"}', IS),
        ("<system_name>s</system_name>", '{"systemname":"s"}', IS),
        ("<data>d</data><extra_data>e</extra_data>", '{"data":"d","extra_data":"e"}', IS),
        ('<field name="x">^a</field>', '{"x":"ab"}', IS),
        ('<field name="X">^a</field>', '{"x":"ab"}', IS),
        ('<field name="x">^a</field><field name="x">b$</field>', '{"x":"ab"}', IS),
        ('<field name="x">^a</field><field name="x">c$</field>', '{"x":"ab"}', NOT),
        ('<field name="a.b" negate="yes">^c</field>', '{"a":{"b":"d"}}', IS),
        ('<field name="nope" negate="yes">^c</field>', '{"x":"d"}', NOT),
        ('<field name="x" type="osmatch">a|b</field>', '{"x":"cbc"}', IS),
        ("<srcip>10.0.0.0/8</srcip>", '{"srcip":"10.1.2.3"}', IS),
        ("<srcip>10.0.0.0/8</srcip><srcip>11.0.0.1</srcip>", '{"srcip":"11.0.0.1"}', IS),
        ('<srcip negate="yes">10.0.0.0/8</srcip><srcip>11.0.0.1</srcip>', '{"srcip":"10.0.0.1"}', IS),
        ('<srcip>10.0.0.0/8</srcip><srcip negate="yes">11.0.0.1</srcip>', '{"srcip":"10.0.0.1"}', NOT),
        ('<srcip negate="yes">10.0.0.0/8</srcip>', '{"srcip":"notip"}', IS),
        ("<srcip>!1.1.1.1</srcip>", '{"srcip":"1.1.1.1"}', IS),
        ("<dstip>any</dstip>", '{"dstip":"1.1.1.1"}', IS),
        ("<dstip>any</dstip>", '{"srcip":"1.1.1.1"}', NOT),
        ("<compiled_rule>check_id_size</compiled_rule>", '{"id":"0123456789"}', IS),
        ("<compiled_rule>check_id_size</compiled_rule>", '{"id":"012345678"}', NOT),
        ("<compiled_rule>is_simple_http_request</compiled_rule>", '{"url":"/a?b"}', NOT),
        ("<compiled_rule>is_simple_http_request</compiled_rule>", '{"url":"/a"}', IS),
        ("<compiled_rule>comp_srcuser_dstuser</compiled_rule>", '{"srcuser":"a","dstuser":"b"}', NOT),
        ("<compiled_rule>comp_srcuser_dstuser</compiled_rule>", '{"srcuser":"a"}', IS),
        (
            "<compiled_rule>is_simple_http_request</compiled_rule><compiled_rule>check_id_size</compiled_rule>",
            '{"url":"/a?","id":"0123456789"}',
            IS,
        ),
    ],
)
def test_fields(inside: str, log: str, expected: list[int]) -> None:
    assert Lab(child(101, inside)).ids(log) == expected


@pytest.mark.parametrize(
    ("inside", "log", "expected"),
    [
        ("<decoded_as>tst</decoded_as>", '{"x":"1"}', IS),
        ("<decoded_as>oth</decoded_as>", '{"x":"1"}', NOT),
        ("<decoded_as>oth</decoded_as><decoded_as>tst</decoded_as>", '{"x":"1"}', IS),
    ],
)
def test_decoders(inside: str, log: str, expected: list[int]) -> None:
    assert Lab(child(101, inside)).ids(log) == expected


def test_size() -> None:
    lab = Lab(child(101, "", 'level="5" maxsize="4"') + child(102, "", 'level="3" maxsize="12345"'))
    assert lab.ids("abc", "abcd") == [100, 101]
    assert lab.id("a" * 1234) == 101  # of 12345 four digits count


@pytest.mark.parametrize("kind", ["ids", "level", "group", "matched regex"])
def test_pieces_of_parents_join(kind: str) -> None:
    inside = {
        "ids": "<if_sid>10</if_sid><if_sid>0</if_sid>",
        "level": "<if_level>0</if_level><if_level>5</if_level><program_name>tst</program_name>",
        "group": "<if_group>zz|</if_group><if_group>g,</if_group><program_name>tst</program_name>",
        "matched regex": "<if_sid>100</if_sid><if_matched_regex>a</if_matched_regex>"
        "<if_matched_regex>b</if_matched_regex>",
    }[kind]
    lab = Lab(rule(101, inside))
    assert lab.ids("ab", "ab") == ([100, 101] if kind == "matched regex" else [101, 101])


def test_levels_join_as_digits() -> None:
    rules = child(101, "<match>a</match>", 'level="12"') + rule(
        102, "<if_level>1</if_level><if_level>2</if_level>"
    )
    assert Lab(rules).ids("a", "b") == [102, 100]


LIST = {"etc/lists/l": b'alice:a\nalice:b\n10.1.:net\n"a:b":"v:1"\n bob:x\n#c:\nno colon\nk"ey:1\n'}


@pytest.mark.parametrize(
    ("attributes", "log", "expected"),
    [
        ('field="x"', '{"x":"alice"}', IS),
        ('field="X" lookup="MATCH_KEY"', '{"x":"alice"}', IS),
        ('field=" x y"', '{"x":"alice"}', IS),
        ('field="x"', '{"x":"Alice"}', NOT),
        ('field="x"', '{"x":"bob"}', NOT),
        ('field="x"', '{"x":" bob"}', IS),
        ('field="x"', '{"x":"a:b"}', IS),
        ('field="x"', '{"x":"#c"}', IS),
        ('field="x" lookup="not_match_key"', '{"x":"carol"}', IS),
        ('field="x" lookup="not_match_key"', '{"y":"carol"}', NOT),
        ('field="x" lookup="match_key_value" check_value="^a"', '{"x":"alice"}', IS),
        ('field="x" lookup="match_key_value" check_value="^b"', '{"x":"alice"}', NOT),
        ('field="x" lookup="match_key_value"', '{"x":"alice"}', NOT),
        ('field="x" lookup="match_key_value" check_value=""', '{"x":"alice"}', IS),
        ('field="x" lookup="match_key_value" check_value="v:1"', '{"x":"a:b"}', IS),
        ('field="srcip" lookup="address_match_key"', '{"srcip":"10.1.2.3"}', IS),
        ('field="srcip" lookup="address_match_key"', '{"srcip":"10.2.2.3"}', NOT),
        ('field="srcip" lookup="not_address_match_key"', '{"srcip":"10.2.2.3"}', IS),
        ('field="srcip" lookup="address_match_key_value" check_value="^net"', '{"srcip":"10.1.2.3"}', NOT),
        ('field="srcip" lookup="address_match_key_value" check_value="^other"', '{"srcip":"10.1.2.3"}', IS),
        ('field="srcip" lookup="address_match_key_value" check_value="^net"', '{"srcip":"12.1.2.3"}', IS),
        ('field="user"', '{"srcuser":"alice","dstuser":"eve"}', IS),
        ('field="USER"', '{"srcuser":"eve","dstuser":"alice"}', NOT),
        ('field="hostname" lookup="not_match_key"', "x", IS),
        ('field="location" lookup="not_match_key"', "x", NOT),
    ],
)
def test_lists(attributes: str, log: str, expected: list[int]) -> None:
    rules = child(101, f"<list {attributes}>etc/lists/l</list>")
    assert Lab(rules, lists=LIST).ids(log) == expected


def test_only_the_last_two_lists_count() -> None:
    lists = {"a": b"1:", "b": b"2:", "c": b"3:"}
    inside = "".join(f'<list field="{name}">{name}</list>' for name in lists)
    lab = Lab(child(101, inside), lists=lists)
    assert lab.ids('{"a":"0","b":"2","c":"3"}', '{"a":"1","b":"0","c":"3"}') == [101, 100]
    assert told(child(101, inside), lists=lists) == [
        "my.xml:1: warning: rule 101: <list> 'a' has no effect; only the last 2 <list> of a rule count"
    ]


def test_a_list_is_named_as_it_is_configured() -> None:
    assert Lab(child(101, '<list field="x">l.cdb</list>'), lists={"l": b"1:"}).ids('{"x":"1"}') == [101]
    assert Lab(child(101, '<list field="x"> l</list>'), lists={"l": b"1:"}).ids('{"x":"1"}') == [100]


@pytest.mark.parametrize(
    "name",
    "same_source_ip same_srcip SAME_SRCIP same_id same_dstip same_src_port same_srcport same_dst_port same_dstport "
    "same_srcuser same_user same_protocol same_action same_location same_url same_data same_extra_data same_status "
    "same_system_name same_srcgeoip same_dstgeoip different_srcip not_same_source_ip different_id not_same_id "
    "different_dstip different_src_port different_srcport different_dst_port different_dstport different_srcuser "
    "different_user not_same_user Not_Same_User different_location different_url different_protocol different_action "
    "different_data different_extra_data different_status different_system_name different_srcgeoip "
    "different_dstgeoip same_field different_field not_same_field global_frequency same_agent not_same_agent".split(),
)
def test_spellings_of_likeness(name: str) -> None:
    found = [
        line for line in told(rule(101, f"<if_matched_sid>100</if_matched_sid><{name} />")) if "error" in line
    ]
    assert found == []


@pytest.mark.parametrize(
    "name",
    "SAME_ID Same_url DIFFERENT_SRCIP Not_same_id NOT_SAME_SOURCE_IP different_source_ip not_same_srcip "
    "not_same_dstip same_hostname same_program_name different_URL same_ same_dstuser".split(),
)
def test_spellings_that_are_none(name: str) -> None:
    lines = told(rule(101, f"<if_matched_sid>100</if_matched_sid><{name} />"))
    assert any(f"error: rule 101: unknown element <{name}>" in line for line in lines)


@pytest.mark.parametrize(
    ("inside", "fault"),
    [
        ("<mach>a</mach>", "error: rule 101: unknown element <mach>; expected <match>?"),
        ("<SAME_ID />", "error: rule 101: unknown element <SAME_ID>; expected <same_id>, written exactly so"),
        (
            "<whatever_this>a</whatever_this>",
            "error: rule 101: unknown element <whatever_this>; see the list",
        ),
        (
            "<regex>(a|b)</regex>",
            "error: rule 101: <regex> does not compile as osregex: '|' inside a parenthesis",
        ),
        ('<match type="pcre2">(</match>', "error: rule 101: <match> does not compile as pcre2"),
        ('<match type="string">a</match>', "warning: rule 101: type 'string' of <match>; osmatch is used"),
        ('<match negate="maybe">a</match>', 'warning: rule 101: negate="maybe"; yes or no; taken as no'),
        (
            '<field name="srcip">a</field>',
            'error: rule 101: <field name="srcip"> is a static field; use <srcip>',
        ),
        (
            '<field name="DSTUSER">a</field>',
            'error: rule 101: <field name="DSTUSER"> is a static field; use <user>',
        ),
        ("<field>a</field>", "error: rule 101: <field> without a name"),
        ("<srcip>1.1.1.</srcip>", "error: rule 101: <srcip> is '1.1.1.'; an address, a network"),
        (
            "<srcip>!1.1.1.1</srcip>",
            'warning: rule 101: the ! of <srcip> has no effect; negate="yes" inverts',
        ),
        ("<time>25:00-3:00</time>", "error: rule 101: <time> is '25:00-3:00'; hours from 0 to 23"),
        ("<time>3:00</time>", "error: rule 101: <time> is '3:00'; hh:mm-hh:mm"),
        ("<weekday>!monday</weekday>", "error: rule 101: <weekday> is '!monday'; names of days"),
        ("<category>web</category>", "error: rule 101: <category> is 'web'; known are firewall"),
        ("<compiled_rule>x</compiled_rule>", "error: rule 101: <compiled_rule> is 'x'; known are"),
        (
            "<decoded_as>TST</decoded_as>",
            "error: rule 101: decoder 'TST' is unknown; the exact name of a decoder",
        ),
        (
            "<options>no_log,no_ar</options>",
            "error: rule 101: <options> is 'no_log,no_ar'; one of alert_by_email",
        ),
        ("<options>NO_LOG</options>", "error: rule 101: <options> is 'NO_LOG'"),
        (
            '<list field="x" lookup="key">l</list>',
            'error: rule 101: lookup="key" of <list>; known are match_key',
        ),
        ("<list>l</list>", "error: rule 101: <list> without a field"),
        (
            '<list field="x" value="y">l</list>',
            "error: rule 101: unknown attribute value of <list>; known are field",
        ),
        ('<list field="x">l2</list>', "warning: rule 101: list 'l2' is not configured: the rule is left out"),
        ("<ignore>user,,id</ignore>", "error: rule 101: <ignore> is 'user,,id'; words with commas between"),
        ("<check_if_ignored>user</check_if_ignored>", "warning: rule 101: <check_if_ignored> never held"),
        ("<same_agent />", "warning: rule 101: <same_agent> has no effect"),
        (
            '<info type="url">x</info>',
            'warning: rule 101: type="url" of <info>; type, one of text, link, cve, osvdb',
        ),
        ("<match>" + "a" * 2048 + "</match>", "error: rule 101: <match> is too long; at most 2047 bytes"),
        ("<same_user />", "error: rule 101: frequency, same_* or different_* without earlier events"),
        ("<global_frequency />", "error: rule 101: frequency, same_* or different_* without earlier events"),
    ],
)
def test_faults(inside: str, fault: str) -> None:
    lines = told(child(101, inside), lists={"l": b""})
    assert len(lines) == 1 and lines[0].startswith(f"my.xml:1: {fault}"), lines


@pytest.mark.parametrize("text", ["x", "100|200", "100\n,200", "", " , "])
def test_ids_that_are_none_leave_the_rule_out(text: str) -> None:
    lines = told(rule(101, f"<if_sid>{text}</if_sid>"))
    assert len(lines) == 1 and "warning: rule 101: <if_sid> is" in lines[0]
    assert Lab(rule(101, f"<if_sid>{text}</if_sid>")).ids("a") == [100]


@pytest.mark.parametrize("inside", ["<if_level>high</if_level>", "<if_matched_sid>100, 200</if_matched_sid>"])
def test_numbers_that_are_none_leave_the_rule_out(inside: str) -> None:
    lines = told(rule(101, inside))
    assert len(lines) == 1 and "the rule is left out" in lines[0]


def test_a_rule_that_is_left_out_is_checked_no_further() -> None:
    """And rules below it are left out with it; one word is enough for all of them."""
    rules = '<rule id="101" level="3"><if_sid>x</if_sid></rule>' + child(102, "", parent="101")
    assert [line.partition(";")[0] for line in told(rules)] == [
        "my.xml:1: warning: rule 101: <if_sid> is 'x': the rule is left out"
    ]


def test_long_texts_carry_on_in_pieces() -> None:
    pieces = "<match>" + "a" * 2047 + "</match><match>" + "b" * 2048 + "</match>"
    assert told(child(101, pieces)) == []
    assert any("too long" in line for line in told(child(101, pieces + "<match>c</match>")))


@pytest.mark.parametrize(
    ("blocks", "mark", "warning"),
    [
        ("<mitre><id>T1</id><id>T2</id><id>T1</id></mitre>", MitreMark(ids=(b"T1", b"T2")), ""),
        ("<mitre><id>T1</id></mitre><mitre><id>T3</id></mitre>", MitreMark(ids=(b"T1", b"T3")), ""),
        (
            "<mitre><tacticID>A</tacticID><techniqueID>T1</techniqueID></mitre>" * 2,
            MitreMark(pairs=((b"A", b"T1"),)),
            "",
        ),
        (
            "<mitre><id>T1</id></mitre><mitre><tacticID>A</tacticID><techniqueID>T1</techniqueID></mitre>",
            MitreMark(pairs=((b"A", b"T1"),)),
            "in both forms",
        ),
        ("<mitre><id>T1</id><tacticID>A</tacticID></mitre>", None, "mixes ids"),
        ("<mitre><tacticID>A</tacticID></mitre>", None, "1 tacticID and 0 techniqueID"),
        (
            "<mitre><tacticID>A</tacticID><tacticID>B</tacticID><techniqueID>T</techniqueID></mitre>",
            None,
            "2 tacticID and 1 techniqueID",
        ),
        ("<mitre><id>T1</id><name>x</name></mitre>", None, "unknown element <name> in <mitre>"),
        ("<mitre><id></id></mitre>", None, "<id> in <mitre> is empty"),
        ("<mitre></mitre>", None, "<mitre> is empty"),
    ],
)
def test_marks(blocks: str, mark: MitreMark | None, warning: str) -> None:
    lab = Lab(child(101, blocks))
    verdict = lab.judge("a")
    assert verdict.rule is not None and verdict.rule.mitre == mark
    assert [warning in str(line) for line in lab.program.warnings] == ([True] if warning else [])


@pytest.mark.parametrize(
    ("level", "options", "expected"),
    [
        (2, "", (False, False, True)),
        (3, "", (True, False, True)),
        (12, "", (True, True, True)),
        (2, "log_alert", (True, False, True)),
        (7, "no_log", (False, False, True)),
        (7, "no_log log_alert", (True, False, True)),
        (7, "log_alert no_log", (False, False, True)),
        (3, "alert_by_email", (True, True, True)),
        (13, "no_email_alert", (True, False, True)),
        (13, "no_counter", (True, True, False)),
        (13, "no_counter no_email_alert", (True, False, True)),
        (13, "no_email_alert no_counter", (True, False, False)),
        (2, "no_counter no_log", (False, False, False)),
    ],
)
def test_options(level: int, options: str, expected: tuple[bool, bool, bool]) -> None:
    inside = "".join(f"<options>{word}</options>" for word in options.split())
    card = Lab(child(101, inside, f'level="{level}"')).judge("a").rule
    assert card is not None and (card.is_logged, card.is_mailed, card.shows_counter) == expected


def test_options_that_only_show() -> None:
    inside = "<options>no_full_log</options><options>no_ar</options><cve>C-</cve><cve>1</cve><info>a</info>"
    inside += '<info type="link">b</info>'
    card = Lab(child(101, inside)).judge("a").rule
    assert card is not None and not card.shows_full_log and not card.allows_response
    assert (card.cve, card.info) == (b"C-1", b"ab")


def test_thresholds_are_those_of_the_load() -> None:
    lab = Lab(
        child(101, "", 'level="7"'),
        is_log_test=False,
        thresholds=Thresholds(log_alert_level=8, email_alert_level=6),
    )
    verdict = lab.judge("a")
    assert (verdict.is_alert, verdict.is_mailed, verdict.is_recorded) == (False, True, True)


def test_groups_join_without_anything_between() -> None:
    lab = Lab(child(101, "<group>a,b</group><group>c,\n</group>"), root="x,\n")
    card = lab.judge("a").rule
    assert card is not None and card.groups == b"x,a,bc,"
    plain = Lab(child(101, ""), root="x,\n").judge("a").rule
    assert plain is not None and plain.groups == b"x,\n"


def test_descriptions_lose_one_newline_a_piece() -> None:
    text = "<description>line1\n line2\n line3</description><description>\nmore</description>"
    lab = Lab(f'<rule id="101" level="5"><if_sid>100</if_sid>{text}</rule>')
    assert lab.judge("a").description == b"line1  line2\n line3 more"
