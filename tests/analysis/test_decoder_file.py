"""What decoder files may hold, and what is wrong with them: spec/analysis-1-decoding.md 4.1 to 4.6, each row as seen."""

from __future__ import annotations

import pytest

from garrison.analysis.compile import compile_program
from garrison.analysis.program import Program
from garrison.analysis.source import Source, SourceFile
from garrison.ground.errors import RuleError
from tests.analysis.test_decode import decode, fields, kid, names, root

BOTH = root("n", "<prematch>^n</prematch>") + root("p", "<program_name>^p</program_name>")


def program(*files: str) -> Program:
    texts = tuple(SourceFile(path=f"{n}.xml", text=text.encode("latin-1")) for n, text in enumerate(files))
    return compile_program(Source(decoders=texts))


def told(decoders: str) -> tuple[list[str], list[str]]:
    """(errors, warnings)."""
    try:
        faults = program(decoders).warnings
    except RuleError as error:
        faults = tuple(error.faults)
    return [f.found for f in faults if not f.is_warning], [f.found for f in faults if f.is_warning]


R = root("r", "<prematch>^r</prematch>")
FIELD = r"<regex>(\w)</regex><order>a</order>"


def offset(word: str) -> str:
    return FIELD.replace("<regex", f'<regex offset="{word}"')


GOOD = [
    R.replace('name="r"', 'name="r" status="x"'),
    R.replace('name="r"', "NAME = 'r'".replace(" = ", "=")),
    R.replace("decoder", "DECODER"),
    root("r", "<PreMatch>^r</PreMatch>"),
    root("r", "<prematch></prematch>"),
    root("r", "<prematch />"),
    root("r", "<prematch>^r</prematch><regex>no group</regex><order>a</order>"),
    root("r", r'<prematch>^r</prematch><regex offset="after_prematch">(\w)</regex><order>a</order>'),
    root("r", r'<program_name>^r</program_name><regex offset="after_prematch">(\w)</regex><order>a</order>'),
    root("r", '<prematch>^r</prematch><plugin_decoder offset="after_prematch">JSON_Decoder</plugin_decoder>'),
    R + kid("c", '<plugin_decoder offset="after_regex">JSON_Decoder</plugin_decoder>'),
    R + kid("c", '<prematch offset="AFTER_PARENT">x</prematch>' + FIELD),
    R + kid("c", FIELD) + kid("c", r'<regex offset="after_regex">(\w)</regex><order>b</order>'),
    R + kid("c", FIELD) + kid("c", "<plugin_decoder>PF_Decoder</plugin_decoder>"),
    R + R + kid("c", FIELD),
    root("r", "<prematch>^r</prematch>" + "".join(f"<type>{t}</type>" for t in "firewall ids web-log syslog squid windows host-information ossec".split())),
    root("r", "<prematch>^r</prematch><json_null_field>DISCARD</json_null_field><json_array_structure>Array</json_array_structure>"),
    root("r", f"<prematch>^r</prematch>{FIELD}<fts>name, user, srcip, data, extra_data, system_name, A</fts>"),
    root("r", f"<prematch>^r</prematch><fts>unknown, user</fts>{FIELD}"),
    root("r", "<prematch>^r</prematch><ftscomment>x</ftscomment><accumulate>no</accumulate><use_own_name>false</use_own_name>"),
    "text outside &lt; of elements " + R + "<!-- <decoder> -->" + "<var name='X'>v</var>",
    root("r", '<prematch type="PCRE2">^r</prematch>'),
    root("r", '<program_name type="osregex">^r</program_name>'),
    root("r", '<prematch offset="after_parent">x</prematch><parent>q</parent>').replace("<parent>q</parent>", "<parent>n</parent>"),
]  # fmt: skip

BAD = [
    ("<group name='x'></group>", "<group> in a decoder file"),
    ('<decoder status="x" name="r"><prematch>a</prematch></decoder>', "a <decoder> without a name"),
    ('<decoder name="r" id="1"><prematch>a</prematch></decoder>', "attribute id of <decoder>"),
    ('<decoder name="r" status="1" x="1"><prematch>a</prematch></decoder>', "attribute"),
    ('<decoder name="r">text</decoder>', "a <decoder> without content"),
    (root("r", "<regex>(a)</regex><order>a</order>"), "a decoder that nothing selects"),
    (root("r", "<prematch>a</prematch><regex>(a)</regex>"), "<regex> and <order> go together"),
    (root("r", "<prematch>a</prematch><order>a</order>"), "<regex> and <order> go together"),
    (root("r", "<prematch>a</prematch><fts>user</fts>"), "<fts> without <regex>"),
    (root("r", '<prematch offset="after_parent">a</prematch>'), "offset after_parent without <parent>"),
    (root("r", '<prematch>a</prematch>' + offset("after_parent")), "offset after_parent without <parent>"),
    (root("r", '<prematch>a</prematch><plugin_decoder offset="after_parent">JSON_Decoder</plugin_decoder>'), "offset after_parent without <parent>"),
    (R + kid("c", r'<regex offset="after_prematch">(a)</regex><order>a</order>'), "offset after_prematch without <prematch>"),
    (root("r", r'<prematch>a</prematch><regex offset="after_regex">(a)</regex><order>a</order>'), "offset after_regex without <parent>"),
    (R + kid("d", FIELD) + kid("c", r'<regex offset="after_regex">(a)</regex><order>a</order>'), "offset after_regex without an earlier decoder"),
    (R + kid("c", f'<prematch offset="after_prematch">x</prematch>{FIELD}'), "offset after_prematch of <prematch>"),
    (root("r", '<program_name>a</program_name><plugin_decoder offset="after_prematch">JSON_Decoder</plugin_decoder>'), "plugin offset after_prematch without <prematch>"),
    (root("r", '<prematch>a</prematch><plugin_decoder offset="behind">JSON_Decoder</plugin_decoder>'), "unknown offset 'behind'"),
    (root("r", "<prematch>a</prematch><plugin_decoder>json_decoder</plugin_decoder>"), "unknown plugin"),
    (root("r", f"<prematch>a</prematch><plugin_decoder>JSON_Decoder</plugin_decoder>{FIELD}"), "<plugin_decoder> beside"),
    (root("r", "<prematch>(a</prematch>"), "<prematch> does not compile"),
    (root("r", '<prematch type="pcre2">^(*UTF).$</prematch>'), "<prematch> does not compile"),
    (R + kid("c", FIELD) + kid("g", FIELD, "c"), "parent 'c' of decoder 'g' is unknown"),
    (kid("c", FIELD) + R, "parent 'r' of decoder 'c' is unknown"),
    (R + kid("c", FIELD) + kid("c", "<prematch>x</prematch>" + FIELD), "continues an earlier one"),
    (R + kid("c", FIELD) + kid("c", FIELD + "<fts>user</fts>"), "continues an earlier one"),
    (R + kid("c", "<prematch>x</prematch>") + kid("c", FIELD), "without <regex>"),
    (R + kid("c", FIELD) + kid("c", "<accumulate/>"), "without <regex>"),
    (root("r", r"<prematch>a</prematch><regex>(\w)</regex><order>x,,y</order>"), "an empty word in <order>"),
    (root("r", r"<prematch>a</prematch><regex>(\w)</regex><order></order>"), "an empty word in <order>"),
    (root("r", rf"<prematch>a</prematch><regex>(\w)</regex><order>{','.join(['a'] * 257)}</order>"), "too many words in <order>"),
    (root("r", f"<prematch>a</prematch>{FIELD}<fts>x,,y</fts>"), "an empty word in <fts>"),
    (root("r", f"<prematch>a</prematch>{FIELD}<fts>srcport</fts>"), "'srcport' in <fts>"),
    (root("r", "<prematch>a</prematch><Type>ids</Type>"), "unknown element <Type>"),
    (root("r", "<prematch>a</prematch><type>IDS</type>"), "type 'IDS'"),
    (root("r", "<prematch>a</prematch><nonsense>x</nonsense>"), "unknown element <nonsense>"),
    (root("r", f"<prematch>{'a' * 1024}</prematch>"), "<prematch> is too long"),
    (root("r", "<prematch>" + "a" * 600 + "</prematch><prematch>" + "a" * 600 + "</prematch>"), "<prematch> is too long"),
    (root("r", f"<prematch>a</prematch><ftscomment>{'a' * 1024}</ftscomment>"), "<ftscomment> is too long"),
    (root("r", f"<parent>{'a' * 1024}</parent>" + FIELD), "<parent> is too long"),
    (R + kid("c", r'<regex>(a)</regex><regex offset="after_parent">b</regex><order>a</order>'), "offset on a later <regex>"),
]  # fmt: skip

WARNED = [
    (root("r", '<prematch type="osmatch">^r</prematch>'), "type 'osmatch' of <prematch>"),
    (root("r", '<prematch type="perl">^r</prematch>'), "type 'perl' of <prematch>"),
    (root("r", '<prematch>^r</prematch>' + offset("behind")), "unknown offset 'behind'"),
    (root("r", "<prematch>^r</prematch><json_null_field>empty</json_null_field>"), "json_null_field 'empty'"),
    (root("r", "<prematch>^r</prematch><json_array_structure>list</json_array_structure>"), "json_array_structure"),
]  # fmt: skip


@pytest.mark.parametrize("decoders", GOOD)
def test_what_may_be_written(decoders: str) -> None:
    assert told(BOTH + decoders) == ([], [])


@pytest.mark.parametrize(("decoders", "error"), BAD)
def test_what_is_wrong(decoders: str, error: str) -> None:
    errors, _ = told(BOTH + decoders)
    assert any(error in each for each in errors), errors


@pytest.mark.parametrize(("decoders", "warning"), WARNED)
def test_what_is_tolerated(decoders: str, warning: str) -> None:
    errors, warnings = told(BOTH + decoders)
    assert errors == [] and any(warning in each for each in warnings)


@pytest.mark.parametrize(
    ("decoders", "fit", "unfit"),
    [
        ("<prematch>^foo</prematch><prematch>bar|</prematch><prematch>^baz</prematch>", ["foobar", "baz"], ["foo"]),
        ('<prematch type="pcre2">^r[0-9]|</prematch><prematch>^q[0-9]</prematch>', [], ["r1", "q1"]),
        ('<prematch>^r[0-9]|</prematch><prematch type="pcre2">^q[0-9]</prematch>', ["r1", "q1"], []),
        ("<prematch>d<!-- c -->d</prematch>", ["dd"], ["d"]),
        ("<prematch>^d<!x!>d<!--a--b--></prematch>", ["dd"], ["d"]),
        (r"<prematch>^a\<b</prematch>", ["a<b"], ["a"]),
        ("<prematch>^a&lt;b</prematch>", ["a&lt;b"], ["a<b"]),
        ("<prematch> a </prematch>", ["x a y"], ["a"]),
        ('<prematch negate="yes">^r</prematch>', ["r1"], ["q1"]),
        ('<prematch type="osmatch">^r\\.</prematch>', ["rx"], ["r"]),
        ("<prematch>never</prematch><prematch>|</prematch>", ["x"], []),
        ("<prematch><![CDATA[x]]> !></prematch>", ["x"], []),
    ],
)  # fmt: skip
def test_pieces_of_a_pattern(decoders: str, fit: list[str], unfit: list[str]) -> None:
    decoders = root("d", decoders)
    assert [names(decoders, log)[0] for log in fit] == ["d"] * len(fit)
    assert [names(decoders, log)[0] for log in unfit] == [None] * len(unfit)


def test_a_leading_exclamation_mark_negates_a_program_name() -> None:
    decoders = root("d", "<program_name>!^r</program_name>")
    assert names(decoders, "Dec 10 01:02:02 h q: x")[0] == "d"
    assert names(decoders, "Dec 10 01:02:02 h r: x")[0] is None


def test_the_regex_of_pieces() -> None:
    decoders = root("d", r"<prematch>^</prematch><regex>(\w+)</regex><regex>=(\w+)</regex><order>a,b</order>")
    assert fields(decoders, "x=y") == {"~a": "x", "~b": "y"}


def test_the_last_order_plugin_and_type_count() -> None:
    decoders = root(
        "d",
        r"<prematch>^</prematch><regex>(\w+)</regex><order>a</order><order>b</order><type>ids</type><type>squid</type>",
    )
    assert fields(decoders, "x") == {"~b": "x"}
    assert decode(decoders, "x").category == "squid"
    plugins = root(
        "d",
        "<prematch>^</prematch><plugin_decoder>PF_Decoder</plugin_decoder><plugin_decoder>JSON_Decoder</plugin_decoder>",
    )
    assert fields(plugins, '{"a":1}') == {"~a": "1"}


@pytest.mark.parametrize(
    ("text", "log"),
    [
        ("<prematch>^$V.</prematch>", "d."),
        ("<prematch>^$v|x</prematch>", "d"),
        ("<prematch>^a$</prematch>", "a"),
        ("<prematch>^$V $V</prematch>", "d d"),
        ("<prematch>^$V$V,</prematch>", "dd,"),
        (r"<prematch>^(\w)$|$(</prematch>".replace("$(", "x"), "d"),
    ],
)
def test_variables(text: str, log: str) -> None:
    assert names('<var name="V">d</var>' + root("d", text), log)[0] == "d"


def test_variables_end_with_their_file_and_unknown_ones_are_told() -> None:
    files = (
        '<var name="V">d</var>' + root("d", "<prematch>^$V</prematch>"),
        root("e", "<prematch>^a$V</prematch>"),
    )
    assert program(*files).decoders.unnamed[1].prematch is not None
    errors, _ = told('<var name="V">d</var>' + root("d", "<prematch>^$W</prematch>"))
    assert errors == ["unknown variable $W"]


def test_variables_do_not_multiply_without_end() -> None:
    errors, _ = told(
        f'<var name="V">{"x" * 20_000}</var>' + root("d", f"<prematch>{'$V' * 9_000}</prematch>")
    )
    assert "variables make this text too long" in errors


@pytest.mark.parametrize(
    "text",
    [
        "<?xml version='1.0'?>" + R,
        "<decoder name='r'><prematch>a</Prematch></decoder>",
        "<decoder name='r'><prematch>a</decoder>",
        "<decoder name='r'>",
        "</decoder>",
        "<decoder name = 'r'><prematch>a</prematch></decoder>",
        "<decoder name><prematch>a</prematch></decoder>",
        "<decoder name='a' name='b'><prematch>a</prematch></decoder>",
        "<decoder name='a>b'><prematch>a</prematch></decoder>",
        "<decoder name='a><prematch>a</prematch></decoder>",
        "<!-- open",
        "<a>" * 1025 + "</a>" * 1025,
        f"<decoder name='r'><prematch>{'a' * 20481}</prematch></decoder>",
    ],
)
def test_files_that_are_not_of_the_dialect(text: str) -> None:
    errors, _ = told(BOTH + text)
    assert len(errors) == 1


def test_a_huge_or_deep_file_ends() -> None:
    assert told("<" * 100_000)[0]
    assert told(root("r", "<prematch>" + "\\" * 20_000 + "</prematch>"))[0]
    assert told("<x>" * 100_000)[0]
    many = "".join(root(f"d{n}", f"<prematch>^d{n}</prematch>") for n in range(5_000))
    assert told(BOTH + many) == ([], [])
