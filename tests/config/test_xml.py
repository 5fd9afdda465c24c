"""The one reader of configuration files: lines, bounds, what it refuses, and how long it takes."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from garrison.config.xml import MOST_BYTES, Element, decode_xml
from garrison.ground.errors import ConfigError, Fault


def fault_of(text: str) -> Fault:
    with pytest.raises(ConfigError) as error:
        decode_xml(text, "x.conf")
    (fault,) = error.value.faults
    return fault


def test_roots_lines_attributes_and_texts() -> None:
    document = decode_xml('\ufeff<?xml version="1.0"?>\n<a x="1">\n <b> t </b>\n</a>\n\n<c/>', "x")
    first, second = document.children
    assert (first.name, first.line, first.attributes) == ("a", 2, {"x": "1"})
    assert first.children == [Element("b", 3, raw=" t ", text="t")]
    assert (second.name, second.line, second.text) == ("c", 6, "")
    assert [leaf.name for leaf in document.leaves()] == ["b"]


def test_comments_vanish_and_lines_stay() -> None:
    document = decode_xml("<!-- a -- b\n--- --><a>x<!-- <b>\n-->y</a>\n<c/>", "x")
    assert [(root.name, root.line) for root in document.children] == [("a", 2), ("c", 4)]
    assert document.children[0].raw == "x\ny"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("a && b", "a && b"), ("a & b", "a & b"), ("a&b=1", "a&b=1"), ("&amp;&lt;&gt;&quot;&apos;&#65;", "&<>\"'A"),
        ("http://x/?a=1&b=2;c", "http://x/?a=1&b=2;c"),
    ],
)  # fmt: skip
def test_ampersands_as_people_write_them(written: str, read: str) -> None:
    (root,) = decode_xml(f"<a>{written}</a>", "x").children
    assert root.text == read


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<a>\n<b>\n</a>", "x.conf:3: error: not well-formed XML: mismatched tag; </b> of line 2 comes first"),
        ("<a>", "x.conf:1: error: not well-formed XML: mismatched tag; </a> of line 1 comes first"),
        ("</a>", "x.conf:1: error: not well-formed XML: mismatched tag; nothing is open here"),
        ("<a>\n&bad;</a>", "x.conf:2: error: not well-formed XML: undefined entity; only &lt; &gt; &amp; &quot; &apos; are known"),
        ("<a>\n1 < 2</a>", "x.conf:2: error: not well-formed XML: not well-formed (invalid token); &lt; for a < that begins no element; names of letters; values in quotes"),
        ("\n<!DOCTYPE a>\n<a/>", "x.conf:2: error: a document type declaration; configuration files have none, and no entities"),
        ('<a/>\n<!entity x "y">', "x.conf:2: error: an entity declaration; write the value itself"),
        ("<a>\n<![CDATA[yes]]></a>", "x.conf:2: error: a CDATA section; plain text, with &lt; for <"),
        ("<!- x ->", "x.conf:1: error: a declaration; comments are <!-- so -->"),
        ("<a/>\n<!-- x", "x.conf:2: error: a comment that does not end; --> behind it"),
        ("<a>\n<?php x?></a>", "x.conf:2: error: a processing instruction; configuration files have none"),
        ("<a>" * 32, "x.conf:1: error: elements are nested too deeply; at most 31 levels"),
        ("<a/>" * 20000, "x.conf:1: error: too many elements; at most 19999"),
        ("<a " + " ".join(f'a{n}="1"' for n in range(49)) + "/>", "x.conf:1: error: too many attributes; at most 48 an element"),
        ('<a b="1" b="2"/>', "x.conf:1: error: not well-formed XML: duplicate attribute"),
        ("x" * (MOST_BYTES + 1), f"x.conf: error: the file is too large; at most {MOST_BYTES} bytes"),
        ("<a>\0</a>", "x.conf:1: error: not well-formed XML: not well-formed (invalid token); &lt; for a < that begins no element; names of letters; values in quotes"),
        ("<a>\ud800</a>", "x.conf:1: error: not well-formed XML: not well-formed (invalid token); &lt; for a < that begins no element; names of letters; values in quotes"),
        ("</configuration-of-garrison>", "x.conf:1: error: not well-formed XML: not well-formed (invalid token); &lt; for a < that begins no element; names of letters; values in quotes"),
        ("</configuration-of-garrison><configuration-of-garrison>", "x.conf:1: error: not well-formed XML: junk after document element"),
    ],
)  # fmt: skip
def test_what_is_refused_and_where(text: str, told: str) -> None:
    assert str(fault_of(text)) == told


@pytest.mark.parametrize(
    "text",
    [
        "x<a/>" * 200_000, "<a>" * 300_000, "<a " + 'b="" ' * 150_000 + "/>", "<!--" * 200_000, "<!-- -->" * 100_000,
        "&" * 900_000, "&a" * 450_000, "&amp;" * 200_000, "<" * 900_000, "<?xml " + " " * 900_000, " " * 1_000_000 + "<?xml",
        "<a>" + "x\n" * 450_000 + "</a>", "&" + "a" * 900_000,
    ],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_bombs_are_over_soon(text: str) -> None:
    begin = time.perf_counter()
    try:
        decode_xml(text, "x")
    except ConfigError:
        pass
    assert time.perf_counter() - begin < 1  # some 50 ms on an idle machine; quadratic ones take minutes


PIECES = st.sampled_from(
    ["<", ">", "</", "/>", "<!--", "-->", "<![CDATA[", "]]>", "<!DOCTYPE", "<?x", "?>", "&", ";", "&amp;", "a", "b", " ", "\n",
     "=", '"', "'", "\0", "é", "\ufeff", "\ud800", "<a>", "</a>", 'x="1"', "configuration-of-garrison"]
)  # fmt: skip


@settings(max_examples=400, deadline=1000)
@given(st.lists(PIECES, max_size=40).map("".join))
def test_any_text_is_elements_or_one_fault_with_a_line_of_it(text: str) -> None:
    try:
        document = decode_xml(text, "x")
    except ConfigError as error:
        (fault,) = error.faults
        assert 1 <= fault.line <= text.count("\n") + 1
    else:
        assert all(1 <= leaf.line <= text.count("\n") + 1 for leaf in document.leaves())
