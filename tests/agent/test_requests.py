"""Answers to the manager, against those that a stock agent was recorded to give."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.agent.assembly import internal_view
from garrison.agent.requests import (
    MAX_OPEN,
    After,
    AgentState,
    Collected,
    FileCount,
    OpenAnswers,
    RetryRule,
    View,
    answer,
    state_file,
)
from garrison.config.model import (
    AgentConfig,
    ClientConfig,
    EnrollmentConfig,
    LabelConfig,
    LocalfileConfig,
    ServerConfig,
)
from tests.support.reference import vectors

CONFIG = AgentConfig(
    client=ClientConfig(
        servers=(ServerConfig(address="127.0.0.1"),),
        config_profile="debian, debian12",
        notify_time_s=5,
        auto_restart=False,
        enrollment=EnrollmentConfig(enabled=False),
    ),
    labels=(
        LabelConfig(key="site", value="demo site"),
        LabelConfig(key="secret.token", value="hidden value", hidden=True),
    ),
    localfiles=(LocalfileConfig(log_format="syslog", location="/var/log/app.log"),),
)
STATE = AgentState(
    status="connected",
    last_keepalive="2026-11-25 04:30:52",
    last_ack="2026-11-25 04:30:53",
    msg_count=2,
    msg_sent=13,
    msg_buffer=0,
    buffer_enabled=True,
)
VIEW = View(config=CONFIG, internal=internal_view(CONFIG.internal), state=STATE)


def said(question: str, view: View = VIEW) -> str:
    target, _, payload = question.partition(" ")
    return answer(target, payload, view).body.decode()


SAME = [
    "agent getconfig buffer", "agent getconfig labels", "agent getconfig anti_tampering", "agent getconfig nosuch",
    "agent getstate", "agent nosuch", "agent getconfig", "com getconfig active-response", "com getconfig logging",
    "com getconfig internal", "com getconfig cluster", "com getconfig nosuch", "com lock_restart 5", "com nosuch",
    "logcollector getconfig localfile", "logcollector getconfig socket", "logcollector getstate", "nosuch hello",
]  # fmt: skip


@pytest.mark.parametrize("question", SAME)
def test_the_recorded_answer(question: str) -> None:
    recorded = dict(vectors("captures/orders-tcp.json")["requests_and_answers_at_the_local_socket"])
    assert said(question) == recorded[question]


def test_the_client_section() -> None:
    recorded = dict(vectors("captures/orders-tcp.json")["requests_and_answers_at_the_local_socket"])
    ours, theirs = (json.loads(text.split(" ", 1)[1])["client"] for text in (
        said("agent getconfig client"), recorded["agent getconfig client"]
    ))  # fmt: skip
    path = ours["enrollment"].pop("authorization_pass_path")
    assert (
        path == "etc/authd.pass"
    )  # the default that is in force is told, where the recorded agent leaves it out
    assert ours == theirs
    assert list(ours) == list(theirs)


def test_internal_options_tell_no_more_than_is_so() -> None:
    recorded = dict(vectors("captures/orders-tcp.json")["requests_and_answers_at_the_local_socket"])
    theirs = json.loads(recorded["agent getconfig internal"].split(" ", 1)[1])["internal"]
    ours = json.loads(said("agent getconfig internal").split(" ", 1)[1])["internal"]
    assert ours["agent"] == theirs["agent"]
    assert ours["remoted"].items() <= theirs["remoted"].items()


@pytest.mark.parametrize(
    ("question", "after"),
    [
        ("com restart", After.RESTART),
        ("com restart-wazuh", After.RESTART),
        ("com reload", After.RELOAD),
        ("com getconfig logging", After.NOTHING),
    ],
)
def test_orders_among_the_questions(question: str, after: After) -> None:
    target, payload = question.split(" ", 1)
    reply = answer(target, payload, VIEW)
    assert reply.after is after
    assert reply.body.startswith(b"ok ")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5", 5), ("-1", 3600), ("99999999", 3600), ("", None), ("x", None), ("1" * 40, None)],
)
def test_locking_restarts(text: str, seconds: int | None) -> None:
    reply = answer("com", f"lock_restart {text}", VIEW)
    assert reply.lock_s == seconds
    assert reply.body.startswith(b"ok" if seconds is not None else b"err")


def test_statistics_of_the_collector() -> None:
    span = Collected(
        start="2026-11-25 04:00:00",
        end="2026-11-25 04:30:00",
        files=[FileCount(location="/var/log/app.log", events=9, bytes=812)],
    )
    view = View(config=CONFIG, state=STATE, collected=(span, span))
    value: Any = json.loads(said("logcollector getstate", view))
    assert value["error"] == 0
    assert value["data"]["global"]["files"] == [
        {
            "location": "/var/log/app.log",
            "events": 9,
            "bytes": 812,
            "targets": [{"name": "agent", "drops": 0}],
        }
    ]


def test_commands_among_the_local_files() -> None:
    command = LocalfileConfig(log_format="command", command="df -P", alias="disks", frequency_s=360)
    view = View(config=AgentConfig(localfiles=(command,)), state=STATE)
    assert json.loads(said("logcollector getconfig localfile", view).split(" ", 1)[1]) == {
        "localfile": [
            {
                "logformat": "command",
                "command": "df -P",
                "alias": "disks",
                "frequency": 360,
                "ignore_binaries": "no",
                "target": ["agent"],
            }
        ]
    }


def test_the_state_file() -> None:
    lines = [line for line in state_file(STATE).decode().splitlines() if line and not line.startswith("#")]
    assert lines == [
        "status='connected'",
        "last_keepalive='2026-11-25 04:30:52'",
        "last_ack='2026-11-25 04:30:53'",
        "msg_count='2'",
        "msg_sent='13'",
        "msg_buffer='0'",
    ]


@given(st.text(max_size=20), st.text(max_size=60))
def test_any_question_has_an_answer(target: str, payload: str) -> None:
    reply = answer(target, payload, VIEW)
    assert reply.body
    assert reply.after is After.NOTHING or payload.split()[0] in ("restart", "restart-wazuh", "reload")


def test_over_udp_an_answer_is_repeated_until_its_ack() -> None:
    one = OpenAnswers(RetryRule(interval_s=1, max_attempts=4))
    assert one.open("1f")
    assert one.knows("1f")
    one.acknowledge("1f")
    assert one.knows("1f"), "an ack of nothing changes nothing"
    assert one.finish("1f", b"body", 0.0, True)
    sent = []
    for second in (1.0, 2.0, 3.0):
        sent += one.expire(second)[0]
    assert sent == [("1f", b"body")] * 3
    assert one.expire(4.0) == ([], 1)
    assert not one.knows("1f")


def test_an_ack_ends_the_repeating() -> None:
    one = OpenAnswers(RetryRule())
    one.open("1f")
    one.finish("1f", b"body", 0.0, True)
    one.acknowledge("1f")
    assert one.next_deadline() is None
    assert one.expire(9.0) == ([], 0)


def test_over_tcp_an_answer_is_sent_once() -> None:
    one = OpenAnswers(RetryRule())
    one.open("1f")
    assert one.finish("1f", b"body", 0.0, False)
    assert not one.knows("1f")
    assert not one.finish("1f", b"body", 0.0, False)


def test_open_questions_are_bounded() -> None:
    one = OpenAnswers(RetryRule())
    assert all(one.open(str(number)) for number in range(MAX_OPEN))
    assert not one.open("more")
