"""Addresses and names as sections check them."""

from __future__ import annotations

import pytest

from garrison.config.checks import is_address, is_agent_name, is_host, is_network


@pytest.mark.parametrize(
    ("text", "address", "host", "network"),
    [
        ("10.0.0.1", True, True, True), ("::1", True, True, True), ("fe80::1%eth0", True, True, False),
        ("fe80::1%;}\n", False, False, False), ("10.0.0.1%eth0", False, False, False), ("10.0.0.0/8", False, False, True),
        ("10.0.0.0/255.0.0.0", False, False, True), ("10.0.0.0/33", False, False, False), ("a.example.", False, True, False),
        ("a_b", False, True, False), ("-a", False, False, False), ("a..b", False, False, False), ("", False, False, False),
        ("a b", False, False, False), ("a\n", False, False, False), ("x" * 64, False, False, False), ("10.0.0.1 ", False, False, False),
    ],
)  # fmt: skip
def test_addresses(text: str, address: bool, host: bool, network: bool) -> None:
    assert (is_address(text), is_host(text), is_network(text)) == (address, host, network)


@pytest.mark.parametrize(
    ("name", "is_right"),
    [("web01", True), ("a.b_c-D", True), ("a", False), (".ab", False), ("a b", False), ("é1", False), ("x" * 128, True), ("x" * 129, False), ("ab\n", False)],
)  # fmt: skip
def test_agent_names(name: str, is_right: bool) -> None:
    assert is_agent_name(name) is is_right
