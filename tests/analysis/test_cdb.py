"""The lines of lists and the keys under which addresses are looked up."""

from __future__ import annotations

import pytest

from garrison.analysis.cdb import address_keys, read_list


@pytest.mark.parametrize(
    ("line", "pair"),
    [
        (b"key:value", (b"key", b"value")),
        (b"key:", (b"key", b"")),
        (b"key:a:b", (b"key", b"a:b")),
        (b" key : value ", (b" key ", b" value ")),
        (b"#key:x", (b"#key", b"x")),
        (b"no colon", None),
        (b"", None),
        (b":value", (b"", b"value")),
        (b'"a:b":"v:1"', (b"a:b", b"v:1")),
        (b'"a:b":v', (b"a:b", b"v")),
        (b'"a:b" junk :v', (b"a:b", b"v")),
        (b'x"a":v', (b"a", b"v")),
        (b'"a:b', None),
        (b'"a:b"', None),
        (b'key:"v:1"', (b"key", b"v:1")),
        (b'key:x"v"y', (b"key", b"v")),
        (b'key:"v', None),
        (b"key:value\r", (b"key", b"value")),
        (b"ke\ry:value", None),
    ],
)
def test_lines(line: bytes, pair: tuple[bytes, bytes] | None) -> None:
    assert list(read_list(line).items()) == ([pair] if pair else [])


def test_the_first_of_equal_keys_counts() -> None:
    assert read_list(b"a:1\nb:2\na:3") == {b"a": b"1", b"b": b"2"}


def test_keys_of_addresses() -> None:
    assert address_keys(b"10.1.2.3") == [b"10.1.2.3", b"10.1.2.", b"10.1.", b"10."]
    assert address_keys(b"::1") == [b"::1"]
    assert address_keys(b"a.") == [b"a.", b"a."]
