"""What an agent asks and what it makes of replies, over real TLS."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.agent.enroll import (
    Order,
    Told,
    agent_name,
    ip_field,
    is_whole,
    names_match,
    password_in,
    read_reply,
)
from garrison.agent.enroll_client import request_key
from garrison.ground.errors import PeerError
from garrison.wire.client_keys import KeyEntry, decode_key_line
from tests.support.reference import vectors
from tests.support.scripted_manager import enrollment

KEY = "e7135797f9bd25d3967f91779b401935e1c2b2b0facc1f37217c75eaf6a0ccd1"
ENTRY = KeyEntry(id="001", name="web01", ip="any", key=KEY)
SUCCESS = f"OSSEC K:'{ENTRY.line()}'".encode()

CAPTURES = [
    "enroll-basic", "enroll-groups", "enroll-ip", "enroll-network", "enroll-source-ip", "enroll-ipv6",
    "enroll-password", "enroll-again-with-key", "enroll-duplicate-name", "enroll-bad-group", "enroll-bad-password",
    "enroll-version-high",
]  # fmt: skip


@pytest.mark.parametrize("name", CAPTURES)
def test_replies_are_read_as_the_stock_agent_reads_them(name: str) -> None:
    capture = vectors(f"captures/{name}.json")
    reply = "".join(
        event["plaintext"]
        for event in capture["events"]
        if event["dir"] == "manager->agent" and "plaintext" in event
    )
    outcome = read_reply(reply.encode())
    assert [f"{line.level}: {line.text}" for line in outcome.told] == [capture["agent_log"][-1]]
    if capture["exit_code"] == 0:
        assert outcome.entry == decode_key_line(capture["client_keys_line"])
    else:
        assert outcome.entry is None


@pytest.mark.parametrize(
    ("reply", "texts"),
    [
        (b"ERROR: Duplicate nameERROR: Unable to add agent", ["Duplicate name", "Unable to add agent"]),
        (b"ERROR: a\nfaked line", ["a\\x0afaked line"]),
        (b"OSSEC K:'001 web01 any", ["!Invalid keys format received."]),
        (b"OSSEC K:'001 web01 any'", ["!Invalid keys format received."]),
        (b"OSSEC K:'001 ../x any k'", ["!One of the received key parameters does not have a valid format"]),
        (
            b"OSSEC K:'123456789 web01 any kk'",
            ["!One of the received key parameters does not have a valid format"],
        ),
        (
            b"OSSEC K:'001 web01 nowhere kk'",
            ["!One of the received key parameters does not have a valid format"],
        ),
    ],
)
def test_refusals_and_broken_replies(reply: bytes, texts: list[str]) -> None:
    outcome = read_reply(reply)
    assert outcome.entry is None
    wanted = [text[1:] if text.startswith("!") else f"{text} (from manager)" for text in texts]
    assert [line.text for line in outcome.told] == wanted


@pytest.mark.parametrize("reply", [b"", b"junk", b"ERROR: "])
def test_nothing_usable(reply: bytes) -> None:
    assert [line.text for line in read_reply(reply).told] == [
        "SSL read (unable to receive message)",
        "If Agent verification is enabled, agent key and certificates may be incorrect!",
    ]


@given(st.binary(max_size=120), st.booleans())
def test_any_reply_is_read(reply: bytes, is_key: bool) -> None:
    outcome = read_reply((b"OSSEC K:'" if is_key else b"") + reply)
    assert all(line.text.isprintable() for line in outcome.told)
    assert outcome.told
    is_whole(reply)


def test_names_passwords_and_addresses() -> None:
    assert agent_name(None, "demo host.local", allows_localhost=False) == "demohost.local"
    assert agent_name("web01", "x", allows_localhost=False) == "web01"
    with pytest.raises(PeerError, match='Invalid agent name "localhost"'):
        agent_name(None, "localhost", allows_localhost=False)
    assert agent_name(None, "localhost", allows_localhost=True) == "localhost"
    assert password_in("demo secret\nmore") == "demo secret"
    assert password_in("secret\r\n") == "secret"
    assert password_in("\nsecret") is None
    assert ip_field("2001:db8::5", use_source_ip=False) == "2001:0DB8:0000:0000:0000:0000:0000:0005"
    assert ip_field(None, use_source_ip=True) == "src"
    assert ip_field(None, use_source_ip=False) is None
    with pytest.raises(PeerError):
        ip_field("nowhere", use_source_ip=False)


@pytest.mark.parametrize(
    ("names", "host", "matches"),
    [
        (["manager.example.org"], "Manager.Example.org", True),
        (["*.example.org"], "manager.example.org", True),
        (["*.example.org"], "a.b.example.org", False),
        (["*.example.org"], "example.org", False),
        (["m*.example.org"], "manager.example.org", False),
        (["*"], "manager", False),
        (["*.0.0.1"], "127.0.0.1", False),
        (["10.0.0.5", "Wazuh"], "10.0.0.5", True),
        (["10.0.0.5"], "10.0.0.50", False),
        ([], "x", False),
    ],
)
def test_names_of_certificates(names: list[str], host: str, matches: bool) -> None:
    assert names_match(names, host) is matches


def ask(tmp_path: Path, reply: bytes, **more: object) -> tuple[KeyEntry | None, list[str], list[bytes]]:
    async def play() -> tuple[KeyEntry | None, list[str], list[bytes]]:
        told: list[Told] = []
        names = more.pop("names", ("127.0.0.1",))
        async with enrollment(tmp_path / "tls", reply, names=names) as service:  # type: ignore[arg-type]
            order = Order(address="127.0.0.1", port=service.port, name="web01", version="v4.14.7", **more)  # type: ignore[arg-type]
            entry = await request_key(order, told.append)
            return entry, [f"{line.level}: {line.text}" for line in told], service.requests

    return asyncio.run(play())


def test_a_key_over_tls(tmp_path: Path) -> None:
    entry, told, requests = ask(
        tmp_path, SUCCESS, groups=("a", "b"), ip="src", key_hash="f" * 40, password="p w"
    )
    assert entry == ENTRY
    assert requests == [
        f"OSSEC PASS: p w OSSEC A:'web01' V:'v4.14.7' G:'a,b' IP:'src' K:'{'f' * 40}'\n".encode()
    ]
    assert told == [
        "INFO: Using agent name as: web01",
        "INFO: Waiting for server reply",
        "INFO: Valid key received",
    ]


def test_a_verified_manager(tmp_path: Path) -> None:
    entry, told, _ = ask(tmp_path, SUCCESS, ca_path=str(tmp_path / "tls/cert.pem"))
    assert entry == ENTRY
    assert told[:2] == [
        "INFO: Verifying manager's certificate",
        "INFO: Manager has been verified successfully",
    ]


def test_a_manager_of_another_name(tmp_path: Path) -> None:
    entry, told, requests = ask(
        tmp_path, SUCCESS, ca_path=str(tmp_path / "tls/cert.pem"), names=("manager.example.org",)
    )
    assert entry is None
    assert told[-1] == "ERROR: Unable to verify server certificate"
    assert requests in ([], [b""])


def test_a_manager_of_another_authority(tmp_path: Path) -> None:
    from tests.support.scripted_manager import make_certificate

    make_certificate(tmp_path / "other", ("127.0.0.1",))
    entry, told, _ = ask(tmp_path, SUCCESS, ca_path=str(tmp_path / "other/cert.pem"))
    assert entry is None
    assert told[-1] == "ERROR: Unable to verify server certificate"


def test_nobody_listens_or_speaks_another_language(tmp_path: Path) -> None:
    async def play() -> list[str]:
        told: list[Told] = []
        plain = await asyncio.start_server(lambda _, writer: writer.write(b"220 mail\r\n"), "127.0.0.1", 0)
        port = plain.sockets[0].getsockname()[1]
        order = Order(address="127.0.0.1", port=port, name="web01", version="v4.14.7")
        assert await request_key(order, told.append) is None
        plain.close()
        await plain.wait_closed()
        assert await request_key(order, told.append) is None
        nowhere = Order(address="127.0.0.1", port=port, name="web01", version="v4.14.7", ciphers="NOSUCH")
        assert await request_key(nowhere, told.append) is None
        return [line.text for line in told]

    first, second, third = asyncio.run(play())
    assert first.startswith("SSL error (")
    assert "Maybe the port specified is incorrect." in first
    assert second.startswith("(1208): Unable to connect to enrollment service at '[127.0.0.1]:")
    assert third.startswith("SSL error.")


def test_a_service_that_says_nothing(tmp_path: Path) -> None:
    entry, told, _ = ask(tmp_path, b"")
    assert entry is None
    assert told[-2:] == [
        "ERROR: SSL read (unable to receive message)",
        "ERROR: If Agent verification is enabled, agent key and certificates may be incorrect!",
    ]


def test_a_service_that_never_stops_talking(tmp_path: Path) -> None:
    entry, _, _ = ask(tmp_path, b"x" * 1_000_000)
    assert entry is None
