"""The pure session as a conversation: bytes and answers in, effects out (spec/agent-channel.md 3.7, 4.1, 9.1)."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.channel.effects import (
    Alive,
    Answered,
    Bind,
    Close,
    Deliver,
    Ended,
    Greet,
    Log,
    Look,
    More,
    RefusedVersion,
    Released,
    Send,
    SendClear,
)
from garrison.channel.roster import Roster
from garrison.channel.session import STEP_BYTES, STEP_MESSAGES, Rules, Session
from garrison.registry.model import Agent
from garrison.wire import agent_message, control
from garrison.wire.agent_frame import encode_frame
from garrison.wire.agent_message import Method
from garrison.wire.client_keys import decode_key_line
from garrison.wire.counters import Counters
from tests.support.reference import vectors

WEB = Agent(id="001", name="web01", ip="any", key="a" * 64)
RULES = Rules(our_version="v4.14.7")
STARTUP = b'#!-agent startup {"version":"v4.14.7"}'
KEEPALIVE = b"#!-Linux |h |1 |#1 |x86_64 [Debian GNU/Linux|debian: 12] - Wazuh v4.14.7\nx merged.mg\n"


class Wire:
    """Seals as an agent would."""

    def __init__(self, agent: Agent = WEB, method: Method = Method.AES, *, prefix: bool = True) -> None:
        self.agent, self.method, self.prefix = agent, method, prefix
        self.local = 0

    def __call__(self, message: bytes, local: int | None = None) -> bytes:
        self.local = local if local is not None else self.local + 1
        key = agent_message.derive(self.agent.entry)
        prefix = self.agent.id if self.prefix else None
        return encode_frame(
            agent_message.seal(message, key, self.method, Counters(0, self.local), 1, prefix=prefix)
        )


def live(rules: Rules = RULES) -> tuple[Session, Wire]:
    session, wire = Session(rules, "10.0.0.9"), Wire()
    assert session.receive(wire(STARTUP), 0, 0) == [Look(identity="001")]
    assert session.known(WEB, 0, 0) == [Bind(WEB)]
    assert session.bound(True, 0, 0) == [Greet(WEB, "v4.14.7")]
    assert session.greeted(True, 0, 0) == [Send(control.ACK)]
    return session, wire


def texts(effects: list[Any]) -> list[str]:
    return [effect.text for effect in effects if isinstance(effect, Log)]


def test_the_first_frame_after_a_startup_is_the_ack_and_events_keep_their_order() -> None:
    session, wire = Session(RULES, "10.0.0.9"), Wire()
    burst = wire(STARTUP) + wire(b"1:a:one") + wire(b"1:a:two") + wire(KEEPALIVE) + wire(b"1:b|:c:three")
    assert session.receive(burst, 0, 5) == [Look(identity="001")]
    assert session.known(WEB, 0, 5) == [Bind(WEB)]
    assert session.bound(True, 0, 5) == [Greet(WEB, "v4.14.7")]
    ack, first, alive, second = session.greeted(True, 0, 5)
    assert ack == Send(control.ACK)
    assert isinstance(first, Deliver) and [event.text for event in first.events] == [b"one", b"two"]
    assert isinstance(alive, Alive) and alive.keepalive.merged_sum == "x"
    assert isinstance(second, Deliver)
    assert [(event.location, event.text, event.received_at) for event in second.events] == [
        (b"b:c", b"three", 5)
    ]


def test_a_ping_is_answered_in_clear_and_keeps_the_connection() -> None:
    session = Session(RULES, "10.0.0.9")
    assert session.receive(encode_frame(b"#ping and more"), 0, 0) == [SendClear(b"#pong")]
    assert not session.closed


def test_both_ciphers_are_understood_message_by_message() -> None:
    session, wire = live()
    wire.method = Method.BLOWFISH
    session.receive(wire(b"1:a:x"), 0, 0)
    assert session.method is Method.BLOWFISH
    wire.method = Method.AES
    session.receive(wire(b"1:a:x"), 0, 0)
    assert session.method is Method.AES


def test_an_agent_of_a_single_address_is_found_by_its_source() -> None:
    agent = Agent(id="002", name="db", ip="10.0.0.9", key="b" * 64)
    session, wire = Session(RULES, "10.0.0.9"), Wire(agent, prefix=False)
    assert session.receive(wire(STARTUP), 0, 0) == [Look(address="10.0.0.9")]
    assert session.known(agent, 0, 0) == [Bind(agent)]
    unknown = Session(RULES, "10.0.0.8")
    unknown.receive(wire(STARTUP), 0, 0)
    effects = unknown.known(None, 0, 0)
    assert (
        texts(effects)[0].startswith("(1213): Message from '10.0.0.8' not allowed.")
        and effects[-1] == Close()
    )


REFUSALS = [
    ("id not closed", b"!001", None, "(1403): Incorrectly formatted message from agent '(unknown)'"),
    ("letters as id", b"!abc!#AES:", None, "(1403): Incorrectly formatted message from agent '(unknown)'"),
    (
        "unknown id",
        b"!777!#AES:xxxx",
        None,
        "(1408): Invalid ID 777 for the source ip: '10.0.0.9' (name 'unknown').",
    ),
    ("empty", b"!001!", WEB, "Received message is empty"),
    ("no tag", b"!001!xyz", WEB, "(1403): Incorrectly formatted message from agent '001' (host '10.0.0.9')."),
    (
        "not whole blocks",
        b"!001!#AES:xyz",
        WEB,
        "(1404): Authentication error. Wrong key or corrupt payload.",
    ),
    ("zero length", b"", None, "(1213): Message from '10.0.0.9' not allowed."),
]


@pytest.mark.parametrize(
    ("envelope", "agent", "text"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS]
)
def test_refusals_say_what_operators_know_and_close(envelope: bytes, agent: Agent | None, text: str) -> None:
    session = Session(RULES, "10.0.0.9")
    effects = session.receive(encode_frame(envelope), 0, 0)
    if effects and isinstance(effects[0], Look):
        effects = session.known(agent, 0, 0)
    assert texts(effects)[0].startswith(text)
    assert effects[-1] == Close() and session.closed
    assert session.receive(encode_frame(b"#ping"), 0, 0) == []


def test_an_address_outside_the_entry_is_refused_with_the_name() -> None:
    agent = Agent(id="003", name="net", ip="10.1.0.0/16", key="c" * 64)
    session, wire = Session(RULES, "10.0.0.9"), Wire(agent)
    session.receive(wire(STARTUP), 0, 0)
    effects = session.known(agent, 0, 0)
    assert texts(effects) == ["(1408): Invalid ID 003 for the source ip: '10.0.0.9' (name 'net')."]


def test_a_frame_that_is_too_big_ends_the_connection_as_soon_as_its_header_is_there() -> None:
    session = Session(RULES, "10.0.0.9")
    effects = session.receive((65537).to_bytes(4, "little"), 0, 0)
    assert texts(effects) == ["Too big message size from socket [0]."] and effects[-1] == Close()


def test_a_key_in_use_is_refused_by_the_roster_and_by_the_cluster() -> None:
    for answers in ((False,), (True, False)):
        session, wire = Session(RULES, "10.0.0.9"), Wire()
        session.receive(wire(STARTUP), 0, 0)
        session.known(WEB, 0, 0)
        effects = session.bound(answers[0], 0, 0)
        if len(answers) == 2:
            assert effects == [Greet(WEB, "v4.14.7")]
            effects = session.greeted(answers[1], 0, 0)
        assert texts(effects) == ["Agent key already in use: agent ID '001'"] and effects[-1] == Close()


def test_counters_are_checked_when_asked_for() -> None:
    session, wire = live(Rules(our_version="v4.14.7", verify_counters=True))
    session.receive(wire(b"1:a:x", 7), 0, 0)
    effects = session.receive(wire(b"1:a:x", 7), 0, 0)
    assert texts(effects)[:2] == [
        "Duplicate error:  global: 0, local: 7, saved global: 0, saved local:7",
        "(1407): Duplicated counter for 'web01'.",
    ]
    assert effects[-1] == Close()
    session, wire = live()
    assert [type(e) for e in session.receive(wire(b"1:a:x", 1) + wire(b"1:a:x", 1), 0, 0)] == [Deliver]


def test_control_messages_of_the_vectors() -> None:
    for case in vectors("agent-channel/manager-control.json")["cases"]:
        rules = Rules(our_version="v4.14.7", allow_higher_versions=case.get("allow_higher_versions", False))
        session, wire = live(rules)
        effects = session.receive(wire(case["message"].encode()), 0, 0)
        kinds = [type(effect) for effect in effects]
        if "kind" in case:
            assert kinds == [Deliver]
        elif case["rejected"]:
            assert kinds == [Log], case["name"]
        elif case["is_shutdown"]:
            assert effects == [Ended(WEB)]
        elif "request_answer" in case:
            assert effects == [Answered(WEB, "12", b"ok abc")]
        elif case["is_startup"] and case["immediate_reply"]:
            assert kinds == [Greet] and session.greeted(True, 0, 0) == [
                Send(case["immediate_reply"].encode())
            ]
        elif case["is_startup"]:
            assert kinds == [RefusedVersion, Send] and effects[1] == Send(case["later_reply"].encode())
            assert not session.closed
        else:
            assert kinds == [Alive]


def test_messages_that_are_no_events_are_dropped_and_the_connection_stays() -> None:
    session, wire = live()
    for message in (b"12345", b"1:", b"1:no end of location", b"1:keepalive:x"):
        assert session.receive(wire(message), 0, 0) == []
    assert not session.closed


def test_what_waits_for_an_answer_is_bounded() -> None:
    session, wire = Session(RULES, "10.0.0.9"), Wire()
    session.receive(wire(STARTUP), 0, 0)
    effects: list[Any] = []
    for _ in range(20):
        effects += session.receive(encode_frame(b"x" * 60000), 0, 0)
        if session.closed:
            break
    assert session.closed and texts(effects) == ["Peer 10.0.0.9 sends too much before it is known."]


def test_hostile_control_text_is_escaped() -> None:
    session, wire = live()
    (line,) = session.receive(wire(b"#!-\x1b[31mred\x00\xff"), 0, 0)
    assert isinstance(line, Log) and line.level == logging.WARNING
    assert line.text == "Invalid message from agent: 'web01' (001): \\x1b[31mred\\x00\\xff"


@given(st.lists(st.binary(max_size=300), max_size=8), st.booleans())
def test_any_bytes_in_any_split_only_ever_end_the_connection(parts: list[bytes], framed: bool) -> None:
    session = Session(RULES, "10.0.0.9")
    for part in parts:
        effects = session.receive(encode_frame(part) if framed else part, 0, 0)
        while effects and isinstance(effects[-1], Look):
            effects = session.known(WEB, 0, 0)


@given(st.lists(st.integers(1, 120), max_size=30))
def test_any_split_of_a_conversation_gives_the_same_effects(cuts: list[int]) -> None:
    session, wire = live()
    stream = wire(b"1:a:one") + wire(KEEPALIVE) + wire(b"1:a:two") + wire(control.SHUTDOWN)
    effects: list[Any] = []
    for cut in [*cuts, len(stream)]:
        effects += session.receive(stream[:cut], 0, 0)
        stream = stream[cut:]
    assert [type(effect) for effect in effects] == [Deliver, Alive, Deliver, Ended]


class Holder:
    def __init__(self, last_valid_at: float, is_udp: bool = False) -> None:
        self.last_valid_at, self.is_udp = last_valid_at, is_udp


def test_a_newcomer_takes_over_only_after_silence() -> None:
    roster: Roster[Holder] = Roster(60)
    old, new = Holder(100), Holder(130)
    assert roster.enter("001", old, 100) == (True, None)
    assert roster.enter("001", new, 160) == (False, None)
    assert roster.enter("001", new, 160.1) == (True, old)
    assert not roster.leave("001", old) and roster.holder("001") is new
    never: Roster[Holder] = Roster(0)
    never.enter("001", old, 0)
    assert never.enter("001", new, 1e9) == (False, None)


def test_a_long_read_is_worked_off_in_steps_and_in_order() -> None:
    session, wire = live()
    lines = [f"line {number}".encode() for number in range(STEP_MESSAGES * 2 + 7)]
    effects = session.receive(b"".join(wire(b"1:a:" + line) for line in lines), 0, 0)
    seen: list[bytes] = []
    steps = 1
    while True:
        seen += [event.text for effect in effects if isinstance(effect, Deliver) for event in effect.events]
        if effects[-1] != More():
            break
        assert session.has_backlog
        effects, steps = session.go_on(0, 0), steps + 1
    assert seen == lines and steps == 3 and not session.has_backlog and session.held_bytes == 0


def test_messages_that_inflate_end_a_step_early() -> None:
    session, wire = live()
    big = b"1:a:" + b"x" * 65_000
    effects = session.receive(b"".join(wire(big) for _ in range(20)), 0, 0)
    assert isinstance(effects[0], Deliver) and effects[-1] == More()
    assert sum(len(event.text) for event in effects[0].events) <= STEP_BYTES + 65_408
    nothing = b"".join(wire(b"1:" + b"x" * 65_000) for _ in range(20))
    session, wire = live()
    assert session.receive(nothing, 0, 0) == [More()], "messages that are no events cost the same"


def test_what_came_before_a_lying_header_still_counts() -> None:
    session, wire = live()
    lines = [wire(b"1:a:x") for _ in range(STEP_MESSAGES + 1)]
    first = session.receive(b"".join(lines) + b"\xff" * 4, 0, 0)
    assert first[-1] == More() and not session.closed
    assert session.receive(wire(b"1:a:behind"), 0, 0) == []
    last = session.go_on(0, 0)
    assert isinstance(last[0], Deliver) and len(last[0].events) == 1
    assert texts(last) == ["Too big message size from socket [0]."] and last[-1] == Close()


def test_a_keepalive_in_place_of_a_hello_is_asked_about_first() -> None:
    session, wire = Session(Rules(our_version="v4.14.7", is_udp=True), "10.0.0.9"), Wire()
    session.receive_datagram(wire(KEEPALIVE)[4:], 0, 0)
    session.known(WEB, 0, 0)
    assert session.bound(True, 0, 0) == [Greet(WEB, None, is_hello=False)]
    (alive,) = session.greeted(True, 0, 0)
    assert isinstance(alive, Alive) and session.is_greeted
    assert [type(effect) for effect in session.receive_datagram(wire(KEEPALIVE)[4:], 0, 0)] == [Alive]


def test_over_udp_a_refusal_lets_go_and_the_next_message_asks_again() -> None:
    session, wire = Session(Rules(our_version="v4.14.7", is_udp=True), "10.0.0.9"), Wire()
    session.receive_datagram(wire(STARTUP)[4:], 0, 0)
    session.known(WEB, 0, 0)
    session.bound(True, 0, 0)
    effects = session.greeted(False, 0, 0)
    assert texts(effects) == ["Agent key already in use: agent ID '001'"] and effects[-1] == Released(WEB)
    assert not session.closed and session.receive_datagram(wire(STARTUP)[4:], 0, 0) == [Bind(WEB)]


def test_over_udp_an_agent_that_ended_holds_nothing() -> None:
    session, wire = Session(Rules(our_version="v4.14.7", is_udp=True), "10.0.0.9"), Wire()
    session.receive_datagram(wire(STARTUP)[4:], 0, 0)
    session.known(WEB, 0, 0)
    session.bound(True, 0, 0)
    session.greeted(True, 0, 0)
    assert session.receive_datagram(wire(control.SHUTDOWN)[4:], 0, 0) == [Ended(WEB)]
    assert not session.is_bound


def test_counters_of_an_earlier_connection_count_where_they_are_checked() -> None:
    rules = Rules(our_version="v4.14.7", verify_counters=True)
    session, wire = Session(rules, "10.0.0.9"), Wire()
    replayed = wire(STARTUP, 5)
    session.receive(replayed, 0, 0)
    effects = session.known(WEB, 0, 0, Counters(0, 5))
    assert texts(effects)[1] == "(1407): Duplicated counter for 'web01'." and effects[-1] == Close()
    session = Session(rules, "10.0.0.9")
    session.receive(replayed, 0, 0)
    assert texts(session.known(WEB, 0, 0, Counters(1, 2)))[0].startswith("(1404)")
    session = Session(rules, "10.0.0.9")
    session.receive(replayed, 0, 0)
    assert session.known(WEB, 0, 0, Counters(0, 4)) == [Bind(WEB)]


def test_envelopes_of_the_vectors_are_taken_or_refused_with_their_numbers() -> None:
    for case in vectors("agent-channel/secure-messages-reject.json")["cases"]:
        entry = decode_key_line(case["client_keys_line"])
        assert entry is not None
        agent = Agent(id=entry.id, name=entry.name, ip=entry.ip, key=entry.key)
        session = Session(RULES, "10.0.0.9")
        sealed = bytes.fromhex(case["envelope_without_id_prefix_hex"])
        session.receive(encode_frame(b"!001!" + sealed), 0, 0)
        effects = session.known(agent, 0, 0)
        if case["expect"] == "ACCEPT":
            assert effects == [Bind(agent)], case["name"]
            continue
        numbers = re.findall(r"\((\d{4})\)", texts(effects)[0])
        assert numbers == case["log_ids"] and effects[-1] == Close(), case["name"]


@given(
    st.lists(
        st.one_of(st.binary(max_size=80), st.sampled_from([STARTUP, KEEPALIVE, b"1:a:x", b"#!-req 1 ack"]))
    )
)
def test_any_message_behind_the_right_key_raises_nothing(messages: list[bytes]) -> None:
    session, wire = live()
    for message in messages:
        if not message or session.closed:
            continue
        effects = session.receive(wire(message), 0, 0)
        while effects and isinstance(effects[-1], Greet):
            effects = session.greeted(True, 0, 0)
    assert not session.closed


def test_datagrams_make_way_at_once() -> None:
    roster: Roster[Holder] = Roster(60)
    old, new, tcp = Holder(100, is_udp=True), Holder(101, is_udp=True), Holder(102)
    assert roster.enter("001", old, 100) == (True, None)
    assert roster.is_stale("001", 100) and roster.enter("001", new, 101) == (True, old)
    assert roster.enter("001", tcp, 102) == (True, new)
    assert roster.enter("001", old, 103) == (False, None)
