"""The first line of a keepalive, for hosts that describe themselves well, badly and not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.agent.identity import MAX_UNAME_BYTES, Distribution, System, decode_os_release, uname_text
from garrison.wire.keepalive import decode_keepalive

DEBIAN = """PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
# a comment=not a value
"""
SYSTEM = System(
    sysname="Linux",
    nodename="demo-host",
    release="6.1.0-28-amd64",
    version="#1 SMP PREEMPT_DYNAMIC Debian 6.1.119-1 (2024-11-22)",
    machine="x86_64",
)


def test_as_the_stock_agent_says_it() -> None:
    assert uname_text(SYSTEM, decode_os_release(DEBIAN), "v4.14.7") == (
        "Linux |demo-host |6.1.0-28-amd64 |#1 SMP PREEMPT_DYNAMIC Debian 6.1.119-1 (2024-11-22) |x86_64 "
        "[Debian GNU/Linux|debian: 12 (bookworm)] - Wazuh v4.14.7"
    )


def test_an_unknown_distribution() -> None:
    assert uname_text(SYSTEM, None, "v4.14.7") == (
        "Linux demo-host 6.1.0-28-amd64 #1 SMP PREEMPT_DYNAMIC Debian 6.1.119-1 (2024-11-22) x86_64 - Wazuh v4.14.7"
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("NAME='Alpine Linux'\nID=alpine\nVERSION_ID=3.19.0\n", ("Alpine Linux", "alpine", "3.19.0")),
        ('NAME=Fedora\nID=fedora\nVERSION_ID=39\nVERSION_CODENAME=""\n', ("Fedora", "fedora", "39")),
        ("NAME=X\nID=x\nVERSION_ID=1\nVERSION_CODENAME=y\n", ("X", "x", "1 (y)")),
        ('NAME="un[cl]o|sed\nID=x\n', ("unclosed", "x", "")),
    ],
)
def test_other_distributions(text: str, wanted: tuple[str, str, str]) -> None:
    name, platform, version = wanted
    assert decode_os_release(text) == Distribution(name=name, platform=platform, version=version)


@pytest.mark.parametrize("text", ["", "NAME=x", "ID=x", "garbage\n=\n"])
def test_no_distribution(text: str) -> None:
    assert decode_os_release(text) is None


def test_the_limit_keeps_the_version() -> None:
    text = uname_text(replace(SYSTEM, version="ü" * 600), decode_os_release(DEBIAN), "v4.14.7")
    assert len(text.encode()) <= MAX_UNAME_BYTES
    assert text.endswith("[Debian GNU/Linux|debian: 12 (bookworm)] - Wazuh v4.14.7")


@given(st.text(max_size=80), st.text(max_size=80))
def test_no_host_name_breaks_the_keepalive(host: str, version: str) -> None:
    text = uname_text(replace(SYSTEM, nodename=host, version=version), decode_os_release(DEBIAN), "v4.14.7")
    decoded = decode_keepalive(f"{text}\nx merged.mg\n\n")
    assert decoded is not None
    assert (decoded.version, decoded.os_name, decoded.merged_sum) == (
        "Wazuh v4.14.7",
        "Debian GNU/Linux",
        "x",
    )
