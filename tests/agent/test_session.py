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


def kinds(commands: list[c.Command]) -> list[str]:
    return [type(command).__name__ for command in commands if not isinstance(command, c.Log)]


def pass_time(session: Session, until: float) -> list[tuple[float, c.Command]]:
    """Everything that is due up to `until`, with its time; connections stay unanswered."""
    done: list[tuple[float, c.Command]] = []
    while (deadline := session.next_deadline()) is not None and deadline <= until:
        done += [(deadline, command) for command in session.expire(deadline)]
    return done


def test_a_manager_that_ends_each_connection_at_once_does_not_make_the_agent_spin() -> None:
    session, now, connects = make(), 0.0, 0
    session.start(now)
    while now < 10:
        session.connected("10.0.0.9", now)
        session.received(control.ACK, now)
        commands = session.received(control.FORCE_RECONNECT, now) or session.lost(now)
        while not any(isinstance(command, c.Connect) for command in commands):
            now = session.next_deadline() or now
            commands = session.expire(now)
        connects += 1
    assert connects <= 11


def test_a_long_connection_is_followed_by_the_next_at_once() -> None:
    session = make()
    connected(session)
    assert kinds(session.lost(30.0)) == ["CloseConnection", "Connect"]


def test_events_wait_while_a_keepalive_is_unanswered() -> None:
    session = make()
    connected(session, 0.0)
    session.received(control.ACK, 0.0)
    session.expire(10.0)
    assert session.may_send_events(14.9)
    assert not session.may_send_events(15.0)
    session.expire(20.0)
    assert not session.may_send_events(20.0), "a second keepalive is no answer to the first"
    session.received(control.ACK, 21.0)
    assert session.may_send_events(21.0)


def test_time_reconnect_that_is_too_short() -> None:
    assert SessionSettings(servers=(), version="v", notify_time_s=20, time_reconnect_s=20).silence_s == 60
    assert SessionSettings(servers=(), version="v", notify_time_s=20, time_reconnect_s=21).silence_s == 21


def test_force_reconnect_interval() -> None:
    session = make(force_reconnect_interval_s=15)
    connected(session)
    session.received(control.ACK, 10.0)
    session.expire(10.0)
    session.received(control.ACK, 10.0)
    due = [(at, command) for at, command in pass_time(session, 16.0) if isinstance(command, c.Connect)]
    assert [at for at, _ in due] == [15.0]


def test_enrollment_rounds_and_their_pauses() -> None:
    servers = (ServerConfig(address="s1"), ServerConfig(address="s2"))
    session = Session(SessionSettings(servers=servers, version="v4.14.7"), FACTS, None)
    asked: list[tuple[float, str]] = []
    now, commands = 0.0, session.start(0.0)
    while len(asked) < 8:
        for command in commands:
            assert isinstance(command, c.Enroll)
            asked.append((now, command.address))
            commands = session.enrolled(None, now)
        while not commands:
            now = session.next_deadline() or now
            commands = session.expire(now)
    assert asked == [
        (0, "s1"), (0, "s2"), (5, "s1"), (5, "s2"), (15, "s1"), (15, "s2"), (30, "s1"), (30, "s2"),
    ]  # fmt: skip


def test_one_address_for_enrollment() -> None:
    settings_ = SessionSettings(servers=(ServerConfig(address="s1"),), version="v", enrollment_address="e1")
    assert Session(settings_, FACTS, None).start(0) == [c.Enroll("e1")]


def test_from_no_key_to_connecting() -> None:
    servers = (ServerConfig(address="s1"),)
    session = Session(SessionSettings(servers=servers, version="v4.14.7"), FACTS, None)
    session.start(0.0)
    assert texts(session.enrolled(ENTRY, 1.0)) == ["Waiting 20 seconds before server connection"]
    assert session.next_deadline() == 21.0
    assert session.expire(20.0) == []
    assert session.expire(21.0) == [c.LoadKey()]
    assert kinds(session.key_loaded(ENTRY, 21.0)) == ["CloseConnection", "Connect"]
    assert session.status is c.Status.PENDING


def test_a_key_that_vanished_meanwhile() -> None:
    session = Session(SessionSettings(servers=(ServerConfig(address="s1"),), version="v"), FACTS, None)
    session.start(0.0)
    session.enrolled(ENTRY, 0.0)
    session.expire(20.0)
    assert session.key_loaded(None, 20.0) == [c.Enroll("s1")]


def test_used_up_retries_enroll_once_then_go_on() -> None:
    servers = (
        ServerConfig(address="s1", max_retries=2, retry_interval_s=3),
        ServerConfig(address="s2", max_retries=1, retry_interval_s=1),
    )
    session = make(*servers, enrollment_enabled=True, delay_after_enrollment_s=0)
    session.start(0.0)
    assert session.connect_failed("x", 0.0)[1:] == []
    assert kinds(session.expire(3.0)) == ["CloseConnection", "Connect"]
    assert kinds(session.connect_failed("x", 3.0)) == ["Enroll"]
    session.enrolled(ENTRY, 3.0)
    assert session.expire(3.0) == [c.LoadKey()]
    assert kinds(session.key_loaded(ENTRY, 3.0)) == ["CloseConnection", "Connect"], "one more attempt"
    assert kinds(session.connect_failed("x", 3.0)) == []
    commands = session.expire(6.0)
    assert texts(commands)[:2] == [
        "(4101): Waiting for server reply (not started). Tried: 's1'. "
        "Ensure that the manager version is 'v4.14.7' or higher.",
        "Trying next server ip in the line: 's2'.",
    ]
    assert kinds(session.connect_failed("x", 6.0)) == ["Enroll"]
    assert session.enrolled(None, 6.0) == []
    assert "Unable to connect to any server." in texts(session.expire(7.0))
    assert session.server.address == "s1"


def test_only_the_exact_ack_ends_the_handshake() -> None:
    for message in (
        b"#!-agent ack",
        b"#!-execd {}",
        b"text",
        b"#!-up file 0 x\n",
        b"#!-force_reconnect",
        b"#!-",
    ):
        session = make()
        session.start(0.0)
        session.connected("10.0.0.9", 0.0)
        assert "Connect" not in kinds(session.received(message, 0.0))
        assert session.phase is Phase.RETRY_PAUSE


def test_a_handshake_without_an_answer_ends() -> None:
    session = make()
    session.start(0.0)
    session.connected("10.0.0.9", 0.0)
    assert session.next_deadline() == 60.0
    assert "CloseConnection" in kinds(session.expire(60.0))


def test_goodbyes() -> None:
    session = make()
    assert sent(session.stop()) == []
    session = make()
    session.start(0.0)
    session.connected("10.0.0.9", 0.0)
    assert sent(session.stop()) == [control.SHUTDOWN], "also on a connection that is not answered yet"


def test_other_settings() -> None:
    session = make(ServerConfig(address="s1"), ServerConfig(address="s2"))
    connected(session)
    kept = SessionSettings(servers=(ServerConfig(address="s2"), ServerConfig(address="s1")), version="v")
    assert session.reconfigure(kept, 5.0) == []
    assert session.server.address == "s1"
    moved = SessionSettings(servers=(ServerConfig(address="s3"),), version="v")
    assert kinds(session.reconfigure(moved, 6.0)) == ["CloseConnection", "Connect"]
    assert session.server.address == "s3"


def test_orders_for_modules_that_are_not_there_are_told_once() -> None:
    session = make()
    connected(session)
    orders = [
        b"#!-syscheck restart",
        b"#!-fim_file dbsync no_data {}",
        b"#!-sca-dump:cis:1",
        b"#!-syscheck restart",
    ]
    told = [text for order in orders for text in texts(session.received(order, 1.0))]
    assert len(told) == 2


def test_questions_of_one_counter_are_asked_once_over_udp() -> None:
    session = make(ServerConfig(address="s1", protocol="udp"))
    connected(session)
    question = control.encode_request("1f", "agent", b"getstate")
    assert kinds(session.received(question, 1.0)) == ["Send", "Ask"]
    assert sent(session.received(question, 1.0)) == [b"#!-req 1f ack"]
    assert sent(session.answered("1f", b"body", 1.1)) == [b"#!-req 1f body"]
    again = [command for _, command in pass_time(session, 9.9)]
    assert sent(again) == [b"#!-req 1f body"] * 3
    assert "Couldn't send response to manager: number of attempts exceeded." in texts(again)
