"""Recorded sessions of stock agents: the same messages of the manager make ours say the same, in the same order.

The recording's clock drives the session; what its manager sent is fed in, and what its agent sent is what ours has
to say. Events of collectors and other modules are not the session's and are left out; a run of equal keepalives
counts as one.
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any

import pytest

from garrison.agent import commands as c
from garrison.agent.assembly import internal_view
from garrison.agent.bundle import unpack
from garrison.agent.requests import AgentState, View, answer
from garrison.agent.session import Facts, Phase, Session, SessionSettings
from garrison.config.model import AgentConfig, ServerConfig
from garrison.wire import control
from garrison.wire.client_keys import decode_key_line
from tests.support.reference import vectors

HOME = "127.0.0.1"
STATE = AgentState(
    status="connected",
    last_keepalive="",
    last_ack="",
    msg_count=0,
    msg_sent=0,
    msg_buffer=0,
    buffer_enabled=True,
)
VIEW = View(config=AgentConfig(), internal=internal_view(AgentConfig().internal), state=STATE)


class Replay:
    """Plays one recording against our session."""

    def __init__(self, name: str, *servers: ServerConfig, notify_time_s: int = 5) -> None:
        self.capture: dict[str, Any] = vectors(f"captures/{name}.json")
        self.events = [event for event in self.capture["events"] if event["t_ms"] is not None]
        self.is_udp = self.capture["transport"] == "udp"
        protocol: Any = self.capture["transport"]
        version = re.search(r'"version":"(v[\d.]+)"', self.theirs_whole()[0])
        assert version is not None
        self.settings = SessionSettings(
            servers=tuple(replace(one, protocol=protocol) for one in servers),
            version=version[1],
            notify_time_s=notify_time_s,
            keepalive_on_connect=False,
            enrollment_enabled=False,
        )
        self.said: list[str] = []
        self.connects: list[tuple[float, str]] = []
        self.told: list[str] = []
        self.outcomes = deque(self._outcomes())
        self.connection: int | None = None
        self.session = self._new_session()

    def _new_session(self) -> Session:
        entry = decode_key_line(self.capture["client_keys_line"])
        keepalives = [one for one in self.theirs_whole() if " merged.mg\n" in one]
        first = keepalives[0] if keepalives else "#!-unknown - Wazuh\n"
        uname = first.removeprefix("#!-").split("\n")[0].split(" / ")[0]
        labels = tuple(line for line in first.split("\n") if line[:1] in ("!", '"'))
        return Session(self.settings, Facts(uname=uname, labels=labels), entry)

    def _outcomes(self) -> Iterator[tuple[int, bool]]:
        refused = {event["conn"] for event in self.events if event.get("event") == "refused"}
        for event in self.events:
            if event.get("event") == "connect":
                yield event["conn"], event["conn"] in refused

    def theirs_whole(self) -> list[str]:
        return [
            event["plaintext"]
            for event in self.events
            if event["dir"] == "agent->manager" and "plaintext" in event
        ]

    def run(self, *, until_note: str | None = None) -> None:
        began = self._at(self.events[0])
        self._do(self.session.start(began), began)
        for event in self.events:
            now = self._at(event)
            self._pass_time(now)
            if event["dir"] == "note":
                if until_note and until_note in event["note"]:
                    return
                self._note(event["note"], now)
            elif event.get("plaintext") == control.SHUTDOWN.decode():
                self._end(now)  # some recordings do not note the signal
            elif event["dir"] == "manager->agent" and (self.is_udp or event["conn"] == self.connection):
                if "plaintext" in event:
                    self._do(self.session.received(event["plaintext"].encode(), now), now)
                elif event.get("event") in ("close", "reset"):
                    self._do(self.session.lost(now), now)

    def _at(self, event: dict[str, Any]) -> float:
        return float(event["t_ms"]) / 1000

    def _pass_time(self, now: float) -> None:
        while (deadline := self.session.next_deadline()) is not None and deadline <= now:
            self._do(self.session.expire(deadline), deadline)

    def _note(self, note: str, now: float) -> None:
        if note.startswith("agent: SIGTERM"):
            self._end(now)
        elif "started again (counters" in note:
            facts = self.session.facts
            self.session = self._new_session()
            self.session.facts = facts
            self._do(self.session.start(now), now)

    def _end(self, now: float) -> None:
        if self.session.phase is not Phase.ENDED:
            self._do(self.session.stop(), now)

    def _do(self, commands: list[c.Command], now: float) -> None:
        for command in commands:
            match command:
                case c.Send(message=message):
                    self.said.append(message.decode())
                case c.Log(text=text):
                    self.told.append(text)
                case c.Connect(server=server):
                    self._connect(server, now)
                case c.Ask(counter=counter, target=target, payload=payload):
                    body = answer(target, payload, VIEW).body
                    self._do(self.session.answered(counter, body, now), now)
                case c.UnpackBundle(content=content):
                    self._unpack(content)

    def _connect(self, server: ServerConfig, now: float) -> None:
        self.connects.append((now, server.address))
        if self.is_udp:
            self._do(self.session.connected(HOME, now), now)
        elif self.outcomes:
            self.connection, refused = self.outcomes.popleft()
            if refused:
                self._do(self.session.connect_failed("Connection refused", now), now)
            else:
                self._do(self.session.connected(HOME, now), now)

    def _unpack(self, content: bytes) -> None:
        """The timer of the recorded agent runs on, so the new sums wait for its next keepalive here too."""
        conf = unpack(content).agent_conf
        self.session.facts = replace(
            self.session.facts,
            config_sum=hashlib.md5(conf).hexdigest() if conf is not None else None,
            merged_sum=hashlib.md5(content).hexdigest(),
        )


def collapsed(messages: list[str]) -> list[str]:
    """What the session says, each run of equal keepalives once."""
    own = [one for one in messages if one.startswith(("#!-", "1:wazuh-agent:ossec:"))]
    return [one for one, _ in groupby(own)]


ONE = ServerConfig(address=HOME)
TWICE = ServerConfig(address=HOME, max_retries=2, retry_interval_s=2)
SESSIONS = {
    "session-tcp-start": ((ONE,), 20),
    "session-udp-start": ((ONE,), 20),
    "session-tcp-blowfish": ((ONE,), 5),
    "session-tcp-single-ip": ((ONE,), 5),
    "session-udp-big-bundle": ((ONE,), 5),
    "reconnect-silent-manager": ((ONE,), 5),
    "reconnect-after-kill": (
        (
            ServerConfig(address=HOME, max_retries=3, retry_interval_s=4),
            ServerConfig(address="127.0.0.2", max_retries=2, retry_interval_s=3),
        ),
        5,
    ),
    "error-wrong-key": ((TWICE,), 5),
    "error-unknown-id": ((TWICE,), 5),
    "error-no-prefix-unknown-address": ((TWICE,), 5),
    "error-version-too-high": ((TWICE,), 5),
    "event-kinds": ((ONE,), 10),
}


@pytest.mark.parametrize("name", SESSIONS)
def test_the_same_messages_in_the_same_order(name: str) -> None:
    servers, notify_time_s = SESSIONS[name]
    replay = Replay(name, *servers, notify_time_s=notify_time_s)
    replay.run()
    ours, theirs = collapsed(replay.said), collapsed(replay.theirs_whole())
    if name.startswith("error-") and not theirs[-1].startswith("#!-agent shutdown"):
        ours = ours[: len(theirs)]
    assert ours == theirs


@pytest.mark.parametrize("name", ["reconnect-after-kill", "error-wrong-key", "error-version-too-high"])
def test_connects_come_at_the_recorded_times(name: str) -> None:
    servers, notify_time_s = SESSIONS[name]
    replay = Replay(name, *servers, notify_time_s=notify_time_s)
    replay.run()
    recorded = [event for event in replay.events if event.get("event") == "connect"]
    ours = replay.connects[: len(recorded)]
    assert len(ours) == len(recorded)
    for (at, address), event in zip(ours, recorded, strict=True):
        assert address == event.get("server", HOME)
        assert at == pytest.approx(event["t_ms"] / 1000, abs=0.1)


def test_the_log_of_a_failover_reads_as_recorded() -> None:
    servers, _ = SESSIONS["reconnect-after-kill"]
    replay = Replay("reconnect-after-kill", *servers)
    replay.run()
    lines = [line.split(": ", 2)[2] for line in replay.capture["agent_log"]]
    lines = [
        re.sub(r": 'Transport endpoint is not connected'", ": 'Connection refused'", line) for line in lines
    ]
    skipped = ("(1410)", "Using", "Version", "Started", "Analyzing", "(1950)", "Shared", "(1225)", "(1218)")
    theirs = [line for line in lines if not line.startswith(skipped)]
    assert replay.told[: len(theirs)] == theirs


REFUSED = re.compile(r"#!-req ([0-9a-f]+) err No such file or directory")


@pytest.mark.parametrize(("name", "until_note"), [("orders-tcp", None), ("orders-udp", "SIGSTOP")])
def test_questions_are_answered_in_the_recorded_order(name: str, until_note: str | None) -> None:
    replay = Replay(name, ONE)
    replay.run(until_note=until_note)
    ours = [one.split(" ")[1] for one in replay.said if one.startswith("#!-req") and not one.endswith(" ack")]
    stop = next(
        (event["t_ms"] for event in replay.events if until_note and until_note in event.get("note", "")), 1e12
    )
    theirs = [
        event["plaintext"].split(" ")[1]
        for event in replay.events
        if event["dir"] == "agent->manager"
        and event["t_ms"] < stop
        and event.get("plaintext", "").startswith("#!-req")
        and not event["plaintext"].endswith(" ack")
    ]
    assert [key for key, _ in groupby(ours)] == [key for key, _ in groupby(theirs)]
    assert replay.said[0] == replay.theirs_whole()[0]
    if name == "orders-tcp":
        assert "Wazuh Agent will be reconnected because a reconnect message was received" in replay.told
        assert "Unknown message received from server." in replay.told
        assert replay.said[-1] == control.SHUTDOWN.decode()


def test_over_udp_what_is_known_is_acknowledged_first() -> None:
    replay = Replay("orders-udp", ONE)
    replay.run(until_note="SIGSTOP")
    acks = {one.split(" ")[1] for one in replay.said if one.startswith("#!-req") and one.endswith(" ack")}
    refused = {match[1] for one in replay.said if (match := REFUSED.fullmatch(one))}
    theirs = {
        one.split(" ")[1]
        for one in replay.theirs_whole()
        if one.startswith("#!-req") and one.endswith(" ack")
    }
    asked = {one.split(" ")[1] for one in replay.said if one.startswith("#!-req")}
    assert acks == theirs & asked
    assert acks.isdisjoint(refused)
