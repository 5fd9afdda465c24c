"""Which program an order means: plain names in one folder, allowed by the table, told as JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.agent.responses import (
    Entry,
    Order,
    candidates,
    decode_keys,
    decode_order,
    decode_table,
    is_plain_executable,
    program_input,
)
from tests.support.reference import vectors

TABLE = """restart-ossec0 - restart-ossec.sh - 0
restart-wazuh0 - restart-wazuh - 0
firewall-drop600 - firewall-drop - 600
firewall-drop600 - firewall-drop.exe - 600
evil5 - ../../bin/sh - 5
odd - x - y
cut -
huge1 - huge - 999999999
"""


def order(command: str, **parameters: object) -> Order:
    value = {
        "version": 1,
        "origin": {"name": "n", "module": "m"},
        "command": command,
        "parameters": parameters,
    }
    decoded = decode_order(json.dumps(value).encode())
    assert decoded is not None
    return decoded


def test_the_table() -> None:
    table = decode_table(TABLE)
    assert [entry.name for entry in table] == [
        "restart-ossec0",
        "restart-wazuh0",
        "firewall-drop600",
        "firewall-drop600",
        "huge1",
    ]
    assert table[2] == Entry(name="firewall-drop600", executable="firewall-drop", timeout_s=600)
    assert table[-1].timeout_s == 7 * 24 * 3600


def test_what_an_order_may_mean() -> None:
    table = decode_table(TABLE)
    found = [entry.executable for entry in candidates(order("firewall-drop600"), table)]
    assert found == ["firewall-drop", "firewall-drop.exe"]
    assert candidates(order("firewall-drop"), table) == []
    assert candidates(order("evil5"), table) == []
    assert [entry.executable for entry in candidates(order("!script.sh"), table)] == ["script.sh"]
    assert candidates(order("!../script.sh"), table) == []
    assert candidates(order("!/bin/sh"), table) == []


@pytest.mark.parametrize("command", ["restart-wazuh0", "restart-ossec0", "restart-wazuh"])
def test_the_agent_itself(command: str) -> None:
    assert order(command).is_restart


def test_text_behind_the_object_is_ignored() -> None:
    payload = b'{"version":1,"origin":{},"command":"restart-wazuh0","parameters":{}} - null (from_the_server)'
    decoded = decode_order(payload)
    assert decoded is not None
    assert decoded.is_restart


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"restart-ossec0 - null (from_the_server) (no_rule_id)",
        b"[]",
        b"{}",
        b'{"version":2,"command":"x","parameters":{}}',
        b'{"version":1,"command":5,"parameters":{}}',
        b'{"version":1,"command":"x","parameters":[]}',
        b'{"version":1,"command":"x","parameters":{},"origin":[]}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_order(payload: bytes) -> None:
    assert decode_order(payload) is None


def test_what_the_program_is_told_is_what_the_stock_agent_tells() -> None:
    recorded = vectors("captures/orders-tcp.json")["active_response_program_stdin"]
    asked = order("demo-block15", extra_args=[], alert={"data": {"srcip": "203.0.113.7"}})
    asked = Order(value={**asked.value, "origin": {"name": "", "module": ""}}, command=asked.command)
    for command, line in zip(("add", "continue"), recorded[:2], strict=True):
        told = program_input(asked, command, "active-response/bin/demo-block")
        assert told == line.encode() + b"\n"


def test_keys() -> None:
    line = b'{"version":1,"origin":{"name":"x","module":"ar"},"command":"check_keys","parameters":{"keys":["a","b"]}}'
    assert decode_keys(line) == ("a", "b")
    for other in (
        b"",
        b"[]",
        b'{"command":"check_keys"}',
        line.replace(b'"b"', b"1"),
        line.replace(b"check", b"x"),
    ):
        assert decode_keys(other) is None


@given(st.text(max_size=40))
def test_an_executable_is_a_plain_name(name: str) -> None:
    if is_plain_executable(name):
        assert "/" not in name
        assert not name.startswith((".", "-"))
        assert name.isascii()


@given(st.binary(max_size=200))
def test_any_payload_is_an_order_or_none(payload: bytes) -> None:
    decode_order(payload)
    decode_keys(payload)
    decode_table(payload.decode("latin-1"))
