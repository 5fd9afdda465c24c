"""decode(encode(x)) = x; any bytes give a value or a PeerError; any split of a stream equals the whole."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from garrison.ground.errors import PeerError
from garrison.wire import (
    address,
    agent_frame,
    agent_message,
    client_keys,
    control,
    enroll_line,
    event_line,
    merged,
    names,
)
from garrison.wire.agent_message import Method
from garrison.wire.counters import Counters
from garrison.wire.keepalive import decode_keepalive, encode_keepalive

ENTRY = client_keys.KeyEntry(id="001", name="web01", ip="any", key="a" * 64)
KEY = agent_message.derive(ENTRY)
NAMES = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{1,40}", fullmatch=True)
METHODS = st.sampled_from(list(Method))


@given(st.lists(st.binary(max_size=40), max_size=6), st.lists(st.integers(1, 50), max_size=20))
def test_any_split_of_a_stream_equals_the_whole(envelopes: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(agent_frame.encode_frame(envelope) for envelope in envelopes)
    reader, frames = agent_frame.FrameReader(), []
    for cut in [*cuts, len(stream)]:
        frames += reader.feed(stream[:cut])
        stream = stream[cut:]
    assert frames == envelopes and reader.buffered_bytes == 0


@given(st.binary(min_size=1, max_size=3000), METHODS, st.integers(0, 65535), st.integers(0, 2**32 - 1))
def test_a_sealed_message_opens(message: bytes, method: Method, random: int, global_: int) -> None:
    pair = Counters(global_, 9997)
    envelope = agent_message.seal(message, KEY, method, pair, random, prefix="001")
    found = agent_message.classify(envelope)
    assert isinstance(found, agent_message.ById) and found.id == "001"
    assert agent_message.open_envelope(found.rest, KEY) == agent_message.Opened(message, method, pair, random)


@settings(max_examples=300)
@given(st.one_of(st.binary(max_size=400), st.binary(max_size=400).map(lambda tail: b"#AES:" + tail)))
def test_any_envelope_opens_or_fails_as_a_peer_error(envelope: bytes) -> None:
    try:
        found = agent_message.classify(envelope)
        if not isinstance(found, agent_message.Ping):
            agent_message.open_envelope(found.rest, KEY)
    except PeerError:
        pass
    sealed = agent_message.seal(b"1:x:y", KEY, Method.AES, Counters(0, 1), 1)
    assert agent_message.open_envelope(sealed, KEY).message == b"1:x:y"


@given(st.binary(max_size=200))
def test_any_message_decodes_in_both_directions(text: bytes) -> None:
    for message in (text, control.PREFIX + text, control.PREFIX + b"agent startup " + text):
        control.decode_from_agent(message)
        control.decode_from_manager(message)
    for reader in (event_line.decode_event, merged.decode_bundle, enroll_line.decode_reply):
        try:
            reader(text)
        except PeerError:
            pass


@given(st.text(max_size=200), st.sampled_from([None, "secret"]))
def test_any_request_is_read_or_refused(text: str, password: str | None) -> None:
    for line in (text, f"OSSEC A:'{text}", f"OSSEC PASS: secret OSSEC A:'web' {text}"):
        try:
            enroll_line.decode_request(
                line.encode("utf-8", "replace"),
                password=password,
                our_version="v4.14.7",
                allow_higher_versions=True,
            )
        except names.EnrollRefusal:
            pass


@given(
    NAMES,
    st.sampled_from([None, "v4.14.7"]),
    st.sampled_from([(), ("default",), ("a", "b")]),
    st.sampled_from([None, "src", "any", "10.0.0.5", "10.1.0.0/16"]),
    st.sampled_from([None, "a" * 40]),
)
def test_requests_come_back(name, version, groups, ip, key_hash) -> None:
    request = enroll_line.EnrollRequest(name=name, version=version, groups=groups, ip=ip, key_hash=key_hash)
    line = enroll_line.encode_request(request)
    read = enroll_line.decode_request(line, password=None, our_version="v4.14.7", allow_higher_versions=False)
    assert read == request


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_events_come_back(location: bytes, text: bytes) -> None:
    event = event_line.Event("1", location, text)
    message = event_line.encode_event(event)
    if len(message) >= 4:
        assert event_line.decode_event(message) == event


@given(st.binary(min_size=1, max_size=60), st.integers(100, 1000))
def test_escaped_locations_keep_their_limit(piece: bytes, times: int) -> None:
    escaped = event_line.escape_location(piece * times)
    assert len(escaped) <= event_line.MOST_LOCATION_BYTES
    assert event_line.decode_event(b"1:" + escaped + b":text").text == b"text"


PATHS = st.from_regex(r"[A-Za-z0-9_]{1,8}(/[A-Za-z0-9_]{1,8}){0,2}", fullmatch=True)


@given(st.lists(st.tuples(PATHS, st.binary(max_size=3000).map(lambda data: data.replace(b"\0", b"#!-")))))
def test_bundles_come_back_in_chunks_that_are_no_control(files: list[tuple[str, bytes]]) -> None:
    data = merged.encode_bundle("web", files)
    assert merged.decode_bundle(data) == files
    chunks = merged.bundle_chunks(data)
    assert b"".join(chunks) == data
    assert all(0 < len(chunk) <= merged.CHUNK_BYTES and not control.is_control(chunk) for chunk in chunks)


@pytest.mark.parametrize("path", ["../x", "/x", "a//b", "a/../b", ".", "a\\b", "a/./b", "x" * 300, ""])
def test_bundles_with_a_path_that_leaves_are_refused(path: str) -> None:
    with pytest.raises(PeerError):
        merged.decode_bundle(f"#web\n!1 {path}\nx".encode())


@given(NAMES, st.lists(NAMES.map(lambda name: f'"{name}":value'), max_size=4))
def test_keepalives_come_back(host: str, labels: list[str]) -> None:
    uname = f"Linux |{host} |6.1 |#1 SMP |x86_64 [Debian GNU/Linux|debian: 12 (bookworm)] - Wazuh v4.14.7"
    text = encode_keepalive(uname, config_sum="c" * 32, labels=labels, merged_sum=None, agent_ip="10.0.0.1")
    found = decode_keepalive(text)
    assert found is not None
    assert (found.config_sum, found.merged_sum, found.agent_ip) == ("c" * 32, "x", "10.0.0.1")
    assert found.labels == ("\n".join(labels) or None) and found.os_codename == "bookworm"


def test_a_bomb_is_refused_before_it_is_inflated() -> None:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CBC

    bomb = zlib.compress(b"\0" * 40_000_000, 9)[:60000]
    bomb = b"!" + bomb
    pad = 16 - len(bomb) % 16
    encryptor = Cipher(AES(KEY.aes), CBC(b"FEDCBA0987654321")).encryptor()
    envelope = b"#AES:" + encryptor.update(bomb + bytes([pad]) * pad)
    with pytest.raises(agent_message.OpenFailure) as failure:
        agent_message.open_envelope(envelope, KEY)
    assert failure.value.number == 2202


@pytest.mark.parametrize(
    ("registered", "source", "covered"),
    [
        ("any", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("10.0.0.0/24", "10.0.0.77", True),
        ("10.0.0.5/24", "10.0.0.77", True),
        ("10.0.0.0/24", "10.0.1.1", False),
        ("10.0.0.0/24", "2001:0DB8:0000:0000:0000:0000:0000:0005", False),
        ("2001:db8::/32", "2001:0DB8:0000:0000:0000:0000:0000:0005", True),
        ("2001:0DB8:0000:0000:0000:0000:0000:0005", "2001:0DB8:0000:0000:0000:0000:0000:0005", True),
        ("nonsense", "10.0.0.1", False),
        ("10.0.0.0/99", "10.0.0.1", False),
    ],
)
def test_who_may_use_an_entry(registered: str, source: str, covered: bool) -> None:
    assert address.covers(registered, source) is covered


def test_sources_have_one_form() -> None:
    assert address.normalize_source("::ffff:10.0.0.1") == "10.0.0.1"
    assert address.normalize_source("2001:db8::5") == "2001:0DB8:0000:0000:0000:0000:0000:0005"
    assert address.parse_registered("10.1.2.3/255.255.0.0") == "10.1.2.3/16"
    assert [client_keys.next_id(number) for number in (0, 7, 999)] == ["001", "008", "1000"]


@given(st.text(max_size=300))
def test_any_key_file_is_read(text: str) -> None:
    found = client_keys.decode_key_file(text)
    again = client_keys.decode_key_file(client_keys.encode_key_file(found.entries, found.removed))
    assert again.entries == found.entries and again.removed == found.removed


@given(st.text(max_size=60))
def test_any_address_is_read_or_refused(text: str) -> None:
    try:
        normal = address.parse_registered(text)
    except PeerError:
        return
    assert address.parse_registered(normal) == normal
