"""Compact JSON, also of texts that are no UTF-8."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.alerts.json_text import encode_foreign, encode_json

SAMPLES: list[tuple[Any, bytes]] = [
    ({"a": "x/y", "b": 1}, b'{"a":"x/y","b":1}'),
    (
        {"a": {"b": {}}, "c": [], "d": [1, "a", None, True, {"z": 1}]},
        b'{"a":{"b":{}},"c":[],"d":[1,"a",null,true,{"z":1}]}',
    ),
    ('\x00\x1b\b\f\n\r\t"\\\x7f', b'"\\u0000\\u001b\\b\\f\\n\\r\\t\\"\\\\\x7f"'),
    ("é€", '"é€"'.encode()),
    ({"a": "\udcff\udcfe!"}, b'{"a":"\xff\xfe!"}'),
    ({"\udcff": 1.5}, b'{"\xff":1.5}'),
    (["\udcff", 2**80, -3, False], b'["\xff",1208925819614629174706176,-3,false]'),
    (b"\xff\n", b'"\xff\\n"'),
]


@pytest.mark.parametrize(("value", "expected"), SAMPLES)
def test_samples(value: Any, expected: bytes) -> None:
    assert encode_json(value) == expected
    assert encode_foreign(value) == expected


def test_half_a_pair_does_not_stop_the_output() -> None:
    assert encode_json({"a": "\ud800"}) == b'{"a":"\xed\xa0\x80"}'


def test_deep_nesting() -> None:
    value: Any = "\udcff"
    for _ in range(3000):
        value = [value]
    assert encode_json(value) == b"[" * 3000 + b'"\xff"' + b"]" * 3000


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(JSON)
def test_the_slow_encoder_equals_the_fast_one(value: Any) -> None:
    assert encode_foreign(value) == orjson.dumps(value)


@given(st.binary(max_size=80))
def test_bytes_come_back(raw: bytes) -> None:
    line = encode_json({"full_log": raw.decode("utf-8", "surrogateescape")})
    assert b"\n" not in line
    assert (
        json.loads(line.decode("utf-8", "surrogateescape"))["full_log"].encode("utf-8", "surrogateescape")
        == raw
    )
