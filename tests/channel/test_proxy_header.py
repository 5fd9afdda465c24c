"""The header of a balancer: both versions, in any split, and nothing but `PeerError` for anything else."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.channel.proxy_header import MOST_V2_BYTES, HeaderReader, is_trusted
from garrison.ground.errors import PeerError

V2 = b"\r\n\r\n\x00\r\nQUIT\n"
V2_FOUR = V2 + b"\x21\x11\x00\x0c" + bytes([10, 9, 8, 7, 10, 0, 0, 1]) + b"\x9c\x40\x05\xea"
V2_SIX = V2 + b"\x21\x21\x00\x24" + ipaddress.ip_address("2001:db8::5").packed * 2 + b"\x9c\x40\x05\xea"
V2_MORE = V2 + b"\x21\x11\x00\x13" + V2_FOUR[16:] + b"\x04\x00\x04abcd"

HEADERS = [
    ("v1 four", b"PROXY TCP4 10.9.8.7 10.0.0.1 40000 1514\r\n", "10.9.8.7"),
    ("v1 six", b"PROXY TCP6 2001:db8::5 2001:db8::1 1 2\r\n", "2001:0DB8:0000:0000:0000:0000:0000:0005"),
    ("v1 unknown", b"PROXY UNKNOWN\r\n", "10.0.0.1"),
    ("v2 four", V2_FOUR, "10.9.8.7"),
    ("v2 six", V2_SIX, "2001:0DB8:0000:0000:0000:0000:0000:0005"),
    ("v2 with more fields", V2_MORE, "10.9.8.7"),
    ("v2 health check", V2 + b"\x20\x00\x00\x00", "10.0.0.1"),
]
TAIL = b"\x05\x00\x00\x00#ping"


@pytest.mark.parametrize(("header", "source"), [row[1:] for row in HEADERS], ids=[row[0] for row in HEADERS])
def test_headers_whole_byte_by_byte_and_with_bytes_behind(header: bytes, source: str) -> None:
    assert HeaderReader().feed(header + TAIL, "10.0.0.1") == (source, TAIL)
    reader = HeaderReader()
    assert [reader.feed(bytes([byte]), "10.0.0.1") for byte in header[:-1]] == [None] * (len(header) - 1)
    assert reader.feed(header[-1:], "10.0.0.1") == (source, b"")


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x05\x00\x00\x00#ping",
        b"PROXY " + b"x" * 200,
        b"PROXY TCP4 a b c d\r\n",
        b"PROXY TCP4 10.0.0.1\r\n",
        V2 + b"\x21\x11\xff\xff",
        V2 + b"\x21\x11\x00\x02ab",
        V2 + b"\x91\x11\x00\x00",
    ],
)
def test_what_is_no_header_ends_the_connection(data: bytes) -> None:
    with pytest.raises(PeerError):
        HeaderReader().feed(data, "10.0.0.1")


@given(
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=80).map(lambda tail: b"PROXY " + tail + b"\r\n"),
        st.binary(max_size=60).map(
            lambda tail: V2 + b"\x21" + tail[:1] + len(tail[1:]).to_bytes(2, "big") + tail[1:]
        ),
    )
)
def test_any_bytes_are_a_header_or_a_fault_or_wait_within_the_bound(data: bytes) -> None:
    reader = HeaderReader()
    try:
        found = reader.feed(data, "10.0.0.1")
    except PeerError:
        return
    if found is None:
        assert len(data) < MOST_V2_BYTES
    else:
        source, rest = found
        ipaddress.ip_address(source)
        assert data.endswith(rest)


def test_whom_to_believe() -> None:
    trusted = ("10.0.0.0/24", "2001:db8::1")
    assert is_trusted("10.0.0.9", trusted) and is_trusted("2001:0DB8:0000:0000:0000:0000:0000:0001", trusted)
    assert not is_trusted("10.0.1.9", trusted) and not is_trusted("unknown", trusted)
