"""The agent's state machine as a conversation, on the vectors of what stock agents do and on the recorded retry times."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from garrison.agent import commands as c
from garrison.agent.bundle import unpack
from garrison.agent.session import Facts, Phase, Session, SessionSettings
from garrison.config.model import ServerConfig
from garrison.ground.errors import PeerError
from garrison.wire import control
from garrison.wire.client_keys import KeyEntry
from tests.support.reference import ROOT

ENTRY = KeyEntry(id="001", name="web01", ip="any", key="a" * 64)
FACTS = Facts(uname="Linux |h |6 |#1 |x86_64 [Debian|debian: 12] - Wazuh v4.14.7")


def make(*servers: ServerConfig, **more: Any) -> Session:
    listed = servers or (ServerConfig(address="10.0.0.1"),)
    base: dict[str, Any] = {
        "servers": listed, "version": "v4.14.7", "notify_time_s": 10, "time_reconnect_s": 60, "enrollment_enabled": False,
    }  # fmt: skip
    return Session(SessionSettings(**{**base, **more}), FACTS, ENTRY)


def connected(session: Session, now: float = 0.0) -> list[c.Command]:
    session.start(now)
    session.connected("10.0.0.9", now)
    return session.received(control.ACK, now)


def texts(commands: list[c.Command]) -> list[str]:
    return [command.text for command in commands if isinstance(command, c.Log)]


def sent(commands: list[c.Command]) -> list[bytes]:
    return [command.message for command in commands if isinstance(command, c.Send)]


def test_hello_ack_started_and_the_keepalives() -> None:
    session = make()
    first = session.start(0)
    assert isinstance(first[-1], c.Connect)
    assert "Trying to connect to server ([10.0.0.1]:1514/tcp)." in texts(first)
    assert sent(session.connected("10.0.0.9", 0)) == [control.encode_startup("v4.14.7")]
    assert not session.may_send_events(0)
    after = session.received(control.ACK, 0)
    assert "(4102): Connected to the server ([10.0.0.1]:1514/tcp)." in texts(after)
    assert sent(after)[0] == b"1:wazuh-agent:ossec: Agent started: 'web01->any'."
    assert session.may_send_events(0)
    lived = sent(after) + sent(session.expire(10)) + sent(session.expire(20))
    keepalives = [m for m in lived if control.is_control(m) and b"merged.mg" in m]
    assert keepalives and keepalives[0].endswith(b'x merged.mg\n#"_agent_ip":10.0.0.9\n')


def test_the_started_event_is_sent_once_in_a_process() -> None:
    session = make()
    connected(session)
    session.lost(5)
    session.connected("10.0.0.9", 5)
    assert not any(b"Agent started" in message for message in sent(session.received(control.ACK, 5)))


def attempts(session: Session, until: float) -> list[tuple[float, str]]:
    """When the session connects, and where, while nobody answers."""
    found, now = [], 0.0
    commands = session.start(now)
    while now < until:
        for command in commands:
            if isinstance(command, c.Connect):
                found.append((now, command.server.address))
        if any(isinstance(command, c.Connect) for command in commands):
            commands = session.connect_failed("Connection refused", now)
            continue
        deadline = session.next_deadline()
        assert deadline is not None and deadline >= now
        now = deadline
        commands = session.expire(now)
    return [row for row in found if row[0] < until]


def test_retries_come_at_the_recorded_times() -> None:
    one = ServerConfig(address="s1", max_retries=3, retry_interval_s=4)
    two = ServerConfig(address="s2", max_retries=2, retry_interval_s=3)
    assert attempts(make(one, two), 27) == [
        (0, "s1"), (4, "s1"), (8, "s1"), (12, "s2"), (15, "s2"), (18, "s1"), (22, "s1"), (26, "s1"),
    ]  # fmt: skip


def test_a_silent_manager_is_left_after_time_reconnect() -> None:
    session = make()
    connected(session)
    commands: list[c.Command] = []
    for second in range(1, 80):
        commands += session.expire(float(second))
        if any(isinstance(command, c.CloseConnection) for command in commands):
            break
    assert "Server unavailable. Setting lock." in texts(commands) and 60 <= second <= 80


def test_a_refused_version_is_told() -> None:
    session = make()
    session.start(0)
    session.connected(None, 0)
    told = texts(session.received(control.encode_err("Agent version must be lower"), 0))
    assert "Couldn't connect to server '10.0.0.1': 'Agent version must be lower'" in told


def vector_cases() -> list[Any]:
    path = ROOT / "spec/vectors/agent-channel/agent-receive.json"
    if not path.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason="reference data not present"))]
    return [pytest.param(case, id=case["name"]) for case in json.loads(path.read_text("utf-8"))["cases"]]


@pytest.mark.parametrize("case", vector_cases())
def test_what_a_stock_agent_does_with_messages(case: dict[str, Any]) -> None:
    session = make()
    connected(session)
    files: dict[str, str] = {}
    commands: list[c.Command] = []
    for message in case["manager_messages"]:
        if isinstance(message, dict):
            oversize = message["raw_tcp_hex"] == "01000100"
            commands += session.oversize(1) if oversize else session.undecryptable(1)
            continue
        commands += session.received(message.encode(), 1)
    for command in commands:
        if isinstance(command, c.StoreFile):
            files[command.name] = command.content.decode()
        elif isinstance(command, c.RemoveFile):
            files.pop(command.name, None)
        elif isinstance(command, c.UnpackBundle):
            files = {"merged.mg": command.content.decode()}
            files |= {path: content.decode() for path, content in unpack(command.content).files.items()}
    assert files == case["files_in_etc_shared_after"]
    told = "\n".join(texts(commands))
    for action in case["agent_actions"]:
        if action.startswith("LOG WARNING: Unknown message"):
            assert action.removeprefix("LOG WARNING: ") in told
        elif action.startswith("request: "):
            assert any(isinstance(command, c.Ask) for command in commands)
        elif action == "setwait":
            assert any(isinstance(command, c.Connect) for command in commands)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(st.binary(max_size=80), st.binary(max_size=80).map(lambda tail: b"#!-" + tail)), max_size=6
    )
)
def test_nothing_a_manager_sends_stops_the_agent(messages: list[bytes]) -> None:
    session = make()
    connected(session)
    for message in messages:
        for command in session.received(message, 1):
            if isinstance(command, c.Log):
                assert command.text.isprintable()
            elif isinstance(command, c.StoreFile):
                assert "/" not in command.name and command.name not in ("", ".", "..")
            elif isinstance(command, c.UnpackBundle):
                try:
                    unpack(command.content)
                except PeerError:
                    pass
    assert session.phase in (Phase.CONNECTED, Phase.CONNECTING)
