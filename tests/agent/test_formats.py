"""Log formats against what the stock agent was recorded to send (captures/event-kinds.json)."""

from __future__ import annotations

import json

import pytest

from garrison.agent.formats import Place, apply_out_format, command_texts, make_format
from garrison.agent.tail import Splitter


def texts(log_format: str, content: bytes, labels: dict[str, str] | None = None) -> list[bytes]:
    collect = make_format(log_format, labels or {})
    assert collect is not None
    return [text.text for line in Splitter(0).feed(content) for text in collect.feed(line)]


def test_plain_lines_go_as_they_are() -> None:
    assert texts("syslog", b"a\r\n\n#!-agent shutdown \n") == [b"a\r", b"", b"#!-agent shutdown "]


def test_json_is_printed_compactly_with_its_labels() -> None:
    content = (
        b'{ "user" : "demo", "n": 1.5, "deep": {"a": [1, 2, 3]} }\n"no object"\n{broken\n[1]\n{"x":NaN}\n'
    )
    assert texts("json", content, {"env": "demo"}) == [
        b'{"user":"demo","n":1.5,"deep":{"a":[1,2,3]},"env":"demo"}'
    ]


def test_json_bombs_are_dropped() -> None:
    assert texts("json", b"[" * 50_000 + b"\n" + b'{"a":' * 20_000 + b"\n") == []


def test_json_keeps_bytes_that_are_no_text() -> None:
    assert texts("json", b'{"a":"caf\xe9"}\n') == [b'{"a":"caf\xe9"}']


def test_several_lines_make_one_event() -> None:
    assert texts("multi-line:3", b"first\nsecond\nthird\nfourth\n") == [b"first second third"]


def test_an_event_ends_behind_its_last_line() -> None:
    collect = make_format("multi-line:2", {})
    assert collect is not None
    ends = [text.end for line in Splitter(0).feed(b"a\nb\nc\nd\n") for text in collect.feed(line)]
    assert ends == [4, 8]


@pytest.mark.parametrize(
    "name", ["eventlog", "multi-line:0", "multi-line:x", "multi-line:9999999", "nosuch", ""]
)
def test_other_formats_are_not_there(name: str) -> None:
    assert make_format(name, {}) is None


def test_output_of_commands() -> None:
    command = "printf 'alpha one\\n\\nbeta two\\n'"
    assert command_texts("command", command, b"alpha one\n\nbeta two\n") == [
        b"ossec: output: 'printf 'alpha one\\n\\nbeta two\\n'': alpha one",
        b"ossec: output: 'printf 'alpha one\\n\\nbeta two\\n'': ",
        b"ossec: output: 'printf 'alpha one\\n\\nbeta two\\n'': beta two",
    ]
    assert command_texts("full_command", "demo table", b"row 1\n\nrow 2\nrow 3\n") == [
        b"ossec: output: 'demo table':\nrow 1\nrow 2\nrow 3"
    ]
    assert command_texts("full_command", "quiet", b"\n\n") == []


def test_out_format() -> None:
    place = Place(location="/var/log/fmt.log", hostname="demo-host", timestamp="Nov 25 01:51:24")
    pattern = "tag=$(location) host=$(hostname) msg=$(log) $(nosuch)"
    assert apply_out_format(pattern, b"plain text", place) == (
        b"tag=/var/log/fmt.log host=demo-host msg=plain text $(nosuch)"
    )
    quoted = apply_out_format('{"m":"$(json_escaped_log)"}', b'say "x"\t', place)
    assert json.loads(quoted) == {"m": 'say "x"\t'}
