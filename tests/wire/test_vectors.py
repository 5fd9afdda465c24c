"""Every vector of the agents' protocol, and every recorded conversation of stock peers."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from garrison.ground.errors import PeerError
from garrison.wire import (
    agent_frame,
    agent_message,
    client_keys,
    control,
    counters,
    enroll_line,
    event_line,
    merged,
    names,
)
from garrison.wire.agent_message import ById, Method, OpenFailure
from garrison.wire.counters import Counters, Verdict
from garrison.wire.keepalive import Keepalive, decode_keepalive
from tests.support.reference import ROOT, vectors

FOLDER = ROOT / "spec/vectors"


def cases(name: str, member: str = "cases") -> list[Any]:
    """The cases of a vector file as parameters; one skipped parameter where the data is absent."""
    path = FOLDER / f"agent-channel/{name}.json"
    if not path.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason="reference data not present"))]
    rows = json.loads(path.read_text("utf-8"))[member]
    return [pytest.param(row, id=str(row.get("name", index))) for index, row in enumerate(rows)]


def entry(line: str) -> client_keys.KeyEntry:
    found = client_keys.decode_key_line(line)
    assert found is not None
    return found


@pytest.mark.parametrize("case", cases("key-derivation"))
def test_key_derivation(case: dict[str, Any]) -> None:
    line = entry(case["client_keys_line"])
    key = agent_message.derive(line)
    assert key.aes == case["aes_key"].encode() and key.blowfish == case["blowfish_key"].encode()
    assert line.hash() == case["key_hash_sha1"] and line.line() == case["client_keys_line"]


def methods(case: dict[str, Any]) -> Method:
    return Method.AES if case["method"] == "aes" else Method.BLOWFISH


@pytest.mark.parametrize("case", cases("secure-messages"))
def test_messages_open_and_seal(case: dict[str, Any]) -> None:
    key = agent_message.derive(entry(case["client_keys_line"]))
    pair = Counters(case["global_counter"], case["local_counter"])
    message = bytes.fromhex(case["message_hex"])
    envelope = bytes.fromhex(case["envelope_hex"])
    found = agent_message.classify(envelope)
    rest = found.rest if isinstance(found, ById | agent_message.ByAddress) else b""
    prefix = found.id if isinstance(found, ById) else None
    opened = agent_message.open_envelope(rest, key)
    assert (opened.message, opened.method, opened.counters) == (message, methods(case), pair)
    assert opened.random == case["random"]
    if "block" in case:
        assert agent_message.encode_block(message, pair, case["random"]) == case["block"].encode("utf-8")
    ours = agent_message.seal(message, key, methods(case), pair, case["random"], prefix=prefix)
    again = agent_message.open_envelope(ours.removeprefix(f"!{prefix}!".encode() if prefix else b""), key)
    assert again == opened
    assert agent_frame.FrameReader().feed(bytes.fromhex(case["tcp_frame_hex"])) == [envelope]
    assert agent_frame.encode_frame(envelope).hex() == case["tcp_frame_hex"]


@pytest.mark.parametrize("case", cases("secure-messages-reject"))
def test_rejects(case: dict[str, Any]) -> None:
    key = agent_message.derive(entry(case["client_keys_line"]))
    envelope = bytes.fromhex(case["envelope_without_id_prefix_hex"])
    good = agent_message.seal(b"1:x:y", key, Method.AES, Counters(1, 1), 1)
    if case["expect"] == "ACCEPT":
        agent_message.open_envelope(envelope, key)
    else:
        with pytest.raises(OpenFailure) as failure:
            agent_message.open_envelope(envelope, key)
        number = int(case["log_ids"][0]) if case["log_ids"] else 0
        assert failure.value.number == number
        assert failure.value.wrong_key == (case["expect"] == "REJECT_KEY")
    assert agent_message.open_envelope(good, key).message == b"1:x:y", (
        "a failure must not spoil the next message"
    )


@pytest.mark.parametrize("case", cases("counters", "sender"))
def test_sent_counters(case: dict[str, Any]) -> None:
    pair = counters.decode_counters(case["file_before"] or "")
    emitted = []
    for _ in range(3):
        pair = pair.next()
        emitted.append(list(pair))
    assert emitted == case["emitted"]
    written = counters.encode_counters(pair)
    before = case["file_before"] or ""
    longest = before
    for numbers in emitted:
        text = counters.encode_counters(Counters(*numbers))
        longest = text + longest[len(text) :]
    assert longest == case["file_after"] and case["file_after"].startswith(written)
    assert counters.decode_counters(case["file_after"]) == pair


@pytest.mark.parametrize("case", cases("counters", "receiver"))
def test_received_counters(case: dict[str, Any]) -> None:
    stored = Counters(*case["stored_before"]) if case["stored_before"] else None
    words = {
        "ACCEPT": Verdict.ACCEPT,
        "REJECT_DUPLICATE_COUNTER": Verdict.DUPLICATE,
        "REJECT_KEY": Verdict.OLDER,
    }
    for numbers, result in zip(case["counters"], case["results"], strict=True):
        pair = Counters(*numbers)
        if case["verify_msg_id"]:
            verdict = counters.judge(stored, pair)
            assert verdict is words[result]
        if words[result] is Verdict.ACCEPT:
            stored = pair


@pytest.mark.parametrize("case", cases("tcp-frames"))
def test_frames(case: dict[str, Any]) -> None:
    writes = [bytes.fromhex(text) for text in case["tcp_writes_hex"] or []]
    if case["name"] == "length-65536-ok":
        writes = [(65536).to_bytes(4, "little") + b"A" * 65536]
    for split in (writes, [b"".join(writes)], [bytes([byte]) for byte in b"".join(writes)[:400]]):
        if len(b"".join(split)) != len(b"".join(writes)):
            continue
        reader, frames, outcome = agent_frame.FrameReader(), [], "open"
        for data in split:
            try:
                frames += reader.feed(data)
            except agent_frame.FrameTooBig as error:
                frames += error.frames
                outcome = "close-too-big"
                break
        assert [len(frame) for frame in frames] == case["message_lengths"]
        assert outcome == case["outcome"] and reader.buffered_bytes == case["bytes_left_buffered"]
        if case["messages_hex"] and case["name"] != "length-65536-ok":
            assert [frame.hex() for frame in frames] == case["messages_hex"]


@pytest.mark.parametrize("case", cases("client-keys"))
def test_key_files(case: dict[str, Any]) -> None:
    found = client_keys.decode_key_file(case["file"])
    assert [dataclasses.asdict(row) for row in found.entries] == case["live_entries"]
    assert found.highest_id == case["highest_id_seen"]
    if case["delete_id"] is None:
        assert client_keys.encode_key_file(found.entries, found.removed) == case["file_after_rewrite"]


@pytest.mark.parametrize("case", cases("names-groups-versions", "names"))
def test_names(case: dict[str, Any]) -> None:
    assert names.is_valid_name(case["name"]) == case["valid"]
    assert names.clean_host_name(case["name"]) == case["hostname_after_cleaning"]


@pytest.mark.parametrize("case", cases("names-groups-versions", "groups"))
def test_group_lists(case: dict[str, Any]) -> None:
    try:
        kept = ",".join(names.check_group_syntax(case["groups"]))
    except names.EnrollRefusal as refusal:
        assert not case["syntax_ok"] and f"ERROR: {refusal.text}" == case["reply_text"]
    else:
        assert case["syntax_ok"] and kept == case["after_removing_repeats"]


@pytest.mark.parametrize("case", cases("names-groups-versions", "versions"))
def test_versions(case: dict[str, Any]) -> None:
    assert (
        names.compare_versions(case["first"], case["second"], with_patch=case["compare_patch"])
        == case["result"]
    )


@pytest.mark.parametrize("case", cases("keepalive-parse"))
def test_keepalives(case: dict[str, Any]) -> None:
    found = decode_keepalive(case["control_payload"])
    if case["parsed"] is None:
        assert found is None
        return
    assert found is not None
    for name, value in case["parsed"].items():
        if name != "rc":
            assert getattr(found, name) == value, name


@pytest.mark.parametrize("case", cases("manager-control"))
def test_control_at_the_manager(case: dict[str, Any]) -> None:
    message = case["message"].encode()
    if not control.is_control(message):
        assert "event" in case["kind"]
        return
    found = control.decode_from_agent(message)
    assert isinstance(found, control.Unrecognized) == case["rejected"]
    assert isinstance(found, control.Startup) == case["is_startup"]
    assert isinstance(found, control.Shutdown) == case["is_shutdown"]
    if "request_answer" in case:
        assert found == control.Answer("12", b"ok abc")


ACTIONS = {
    "ack": control.Ack,
    "execd": control.Execd,
    "force-reconnect": control.ForceReconnect,
    "syscheck-restart": control.Syscheck,
    "fim-dbsync": control.Syscheck,
    "syscollector-dbsync": control.DbSync,
    "sca-dump": control.ScaDump,
    "request": control.Request,
    "ack-without-final-space": control.Unrecognized,
}


@pytest.mark.parametrize("case", cases("agent-receive"))
def test_control_at_the_agent(case: dict[str, Any]) -> None:
    for message in case["manager_messages"]:
        if isinstance(message, str) and message.startswith("#!-"):
            found = control.decode_from_manager(message.encode())
            if case["name"] in ACTIONS:
                assert type(found) is ACTIONS[case["name"]]
            elif message.startswith("#!-up file "):
                assert isinstance(found, control.FileBegin)
                assert control.encode_file_begin(found.md5, found.name) == message.encode()
            elif message == "#!-close file ":
                assert found == control.FileEnd()


@pytest.mark.parametrize("case", cases("location-escape", "locations"))
def test_locations(case: dict[str, Any]) -> None:
    location = case["location"].encode()
    assert event_line.escape_location(location) == case["escaped"].encode()
    assert event_line.unescape_location(case["escaped"].encode()) == location


@pytest.mark.parametrize("case", cases("location-escape", "queue"))
def test_the_form_inside_the_manager(case: dict[str, Any]) -> None:
    agent = case["agent"]
    event = event_line.decode_event(case["message_from_agent"].encode())
    place = event_line.internal_location(agent["id"], agent["name"], agent["registered_ip"], event.location)
    datagram = event_line.encode_internal(event.queue, place, event.text)
    assert datagram == case["queue_datagram"].encode()
    assert event_line.decode_event(datagram) == event_line.Event(event.queue, place, case["rest"].encode())


@pytest.mark.parametrize("case", cases("merged-mg"))
def test_bundles(case: dict[str, Any]) -> None:
    files = [(file["name"], file["content"].encode()) for file in case["files"]]
    data = merged.encode_bundle(case["first_line_tag"], files)
    assert data == case["merged_text"].encode()
    assert merged.decode_bundle(data) == files
    assert b"".join(merged.bundle_chunks(data)) == data


@pytest.mark.parametrize("case", cases("multigroup", "bundles"))
def test_bundles_of_lists(case: dict[str, Any]) -> None:
    folders = [
        (group, {path: text.encode() for path, text in files.items()})
        for group, files in case["input_files"].items()
    ]
    files = sorted(merged.merge_groups(folders).items(), key=lambda pair: pair[0].encode())
    tag = merged.group_hash(case["groups"])
    assert tag == case["hash8"]
    bundle = merged.encode_bundle(tag, [("ar.conf", case["ar_conf"].encode()), *files])
    assert bundle == case["merged_mg"].encode()


@pytest.mark.parametrize("case", cases("multigroup"))
def test_hashes_of_lists(case: dict[str, Any]) -> None:
    assert f"var/multigroups/{merged.group_hash(case['groups'])}" == case["directory"]


STATEFUL = ("Invalid group: ", "Maximum multigroup", "Duplicate IP", "Duplicate agent name")


@pytest.mark.parametrize("case", cases("enrollment"))
def test_enrollment_lines(case: dict[str, Any]) -> None:
    if "manager_4_13_plus" not in case:
        pytest.skip("a case of the 4.1.5 manager only")
    outcome = case["manager_4_13_plus"]
    if not case["request"].endswith("\n"):
        assert outcome["writes"] == [], "nothing happens before the line ends; the server waits for it"
        return
    try:
        request = enroll_line.decode_request(
            case["request"].encode(),
            password=case["config"].get("password"),
            our_version="v4.14.7",
            allow_higher_versions=bool(case["config"].get("allow_higher_versions")),
        )
    except names.EnrollRefusal as refusal:
        assert not outcome["ok"]
        assert enroll_line.encode_refusal(refusal.text).decode() == "".join(outcome["writes"])
        return
    if outcome["ok"]:
        assert request.name == outcome["name"]
        reply = outcome["reply_format"].replace("<64 lower-case hex>", "a" * 64)
        key = enroll_line.decode_reply(reply.encode())
        assert isinstance(key, client_keys.KeyEntry)
        assert enroll_line.encode_success(key) == reply.encode()
    else:
        text = outcome["writes"][0].removeprefix("ERROR: ")
        assert text.startswith(STATEFUL) or request.name == case.get("manager_host_name", "manager01")


# -- recorded conversations ---------------------------------------------------------------------------------------


def recordings() -> list[Any]:
    folder = FOLDER / "captures"
    if not folder.is_dir():
        return [pytest.param(None, marks=pytest.mark.skip(reason="reference data not present"))]
    return [pytest.param(path, id=path.stem) for path in sorted(folder.glob("*.json"))]


@pytest.mark.parametrize("path", recordings())
def test_recordings_of_stock_peers(path: Path) -> None:
    recording = json.loads(path.read_text("utf-8"))
    line = recording.get("manager_client_keys_line") or recording.get("client_keys_line")
    key = agent_message.derive(entry(line)) if line else None
    opened_messages = 0
    for event in recording["events"]:
        if "hex" not in event or event["dir"] == "note":
            continue
        raw = bytes.fromhex(event["hex"])
        if path.stem.startswith("enroll-") and raw.startswith((b"OSSEC", b"ERROR")):
            read_enrollment(event["dir"], raw, recording)
        elif "global" in event and key is not None:
            opened_messages += read_message(event, raw, key, recording)
    sealed = [event for event in recording["events"] if "global" in event]
    assert opened_messages == len(sealed) or "wrong" in path.stem or not sealed


def read_enrollment(direction: str, raw: bytes, recording: dict[str, Any]) -> None:
    if direction == "manager->agent":
        assert enroll_line.decode_reply(raw) is not None
        return
    start = raw.find(b"OSSEC A:'")
    password = raw[len(b"OSSEC PASS: ") : start - 1].decode() if raw.startswith(b"OSSEC PASS: ") else None
    try:
        request = enroll_line.decode_request(
            raw, password=password, our_version="v4.99.0", allow_higher_versions=True
        )
    except names.EnrollRefusal as refusal:
        assert "group" in recording["name"], refusal.text
        return
    assert enroll_line.encode_request(request) == raw


def read_message(
    event: dict[str, Any], raw: bytes, key: agent_message.ChannelKey, recording: dict[str, Any]
) -> int:
    if recording["transport"] == "tcp":
        (raw,) = agent_frame.FrameReader().feed(raw)
    found = agent_message.classify(raw)
    assert not isinstance(found, agent_message.Ping)
    try:
        opened = agent_message.open_envelope(found.rest, key)
    except PeerError:
        assert "wrong" in recording["name"] or "unknown" in recording["name"]
        return 0
    assert opened.counters == Counters(int(event["global"]), int(event["local"]))
    assert opened.random == int(event["random"])
    if "plaintext" in event:
        assert opened.message == event["plaintext"].encode()
    elif "plaintext_hex" in event:
        assert opened.message.hex() == event["plaintext_hex"]
    if control.is_control(opened.message):
        decode = (
            control.decode_from_agent if event["dir"] == "agent->manager" else control.decode_from_manager
        )
        assert decode(opened.message) is not None
    elif event["dir"] == "agent->manager" and opened.message[1:2] == b":":
        read = event_line.decode_event(opened.message)
        assert event_line.encode_event(read) == opened.message
    return 1


def test_every_vector_file_is_read_here() -> None:
    read = {
        "key-derivation", "secure-messages", "secure-messages-reject", "counters", "tcp-frames", "client-keys",
        "names-groups-versions", "keepalive-parse", "manager-control", "agent-receive", "location-escape",
        "merged-mg", "multigroup", "enrollment",
    }  # fmt: skip
    vectors("agent-channel/counters.json")
    assert {path.stem for path in (FOLDER / "agent-channel").glob("*.json")} == read
    assert Keepalive() == Keepalive()
