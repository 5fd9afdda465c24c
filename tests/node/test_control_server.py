"""The control socket: declared commands, bounded questions, errors with their numbers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.ground.errors import EngineAway, FabricError, Refused, StoreError
from garrison.node import arguments
from garrison.node.control_server import answer


async def echo(given: Mapping[str, Any]) -> Any:
    return dict(given)


def failing(error: Exception) -> Any:
    async def command(given: Mapping[str, Any]) -> Any:
        raise error

    return command


def ask(question: bytes, **commands: Any) -> Any:
    return json.loads(asyncio.run(answer(question, {"echo": echo, **commands})))


def test_an_answer_is_one_line() -> None:
    assert ask(b'{"command":"echo","arguments":{"a":1}}\n') == {"data": {"a": 1}}
    assert ask(b'{"command":"echo"}') == {"data": {}}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused("no", 1701), 1701),
        (EngineAway("x"), 3023),
        (FabricError("x"), 3018),
        (StoreError("/x", "full"), 1000),
    ],
)
def test_errors_carry_their_number(error: Exception, code: int) -> None:
    assert ask(b'{"command":"fail"}', fail=failing(error))["error"]["code"] == code


@given(st.binary(max_size=200))
def test_any_question_gets_an_answer(question: bytes) -> None:
    found = ask(question)
    assert "data" in found or found["error"]["code"] == 1000


@pytest.mark.parametrize("name", ["__class__", "answer", "", "../x", "echo\x00"])
def test_only_declared_commands_exist(name: str) -> None:
    found = ask(json.dumps({"command": name}).encode())
    assert found["error"]["message"].startswith("unknown command")


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(VALUES)
def test_arguments_of_a_wrong_type_are_refused_by_name(value: Any) -> None:
    for read in (arguments.text, arguments.flag, arguments.names, lambda a, n: arguments.seconds(a, n, 0)):
        try:
            found = read({"x": value}, "x")
        except Refused as refusal:
            assert "'x'" in refusal.message
        else:
            assert isinstance(found, str | bool | list | int)
    try:
        assert arguments.agent_id({"id": value}).isdigit()
    except Refused:
        pass
