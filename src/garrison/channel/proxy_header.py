"""The PROXY protocol header that a balancer puts in front of a connection. Pure.

Versions 1 and 2 are read by the library `proxy-protocol`; this module finds where the header ends, so that the agent's
own bytes behind it stay untouched, and bounds it.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence

from proxyprotocol import ProxyProtocolChecksumError, ProxyProtocolIncompleteError, ProxyProtocolSyntaxError
from proxyprotocol.detect import ProxyProtocolDetect

from garrison.ground.errors import PeerError
from garrison.wire.address import normalize_source

MOST_V1_BYTES = 107
MOST_V2_BYTES = 16 + 1024

_V1 = b"PROXY "
_V2 = b"\r\n\r\n\x00\r\nQUIT\n"
_READER = ProxyProtocolDetect()
_UNREADABLE = (
    ProxyProtocolSyntaxError,
    ProxyProtocolChecksumError,
    ProxyProtocolIncompleteError,
    ValueError,
    struct.error,  # version 2 with fewer bytes than its addresses take
)


class HeaderReader:
    """Takes bytes until the header is whole."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes, source: str) -> tuple[str, bytes] | None:
        """(address of the peer behind the balancer, bytes after the header); None while it is not whole.

        `source` is the balancer's address, which is the answer for a header that names none (a health check).
        """
        self._data += data
        end = header_end(self._data)
        if end is None:
            return None
        header, rest = self._data[:end], self._data[end:]
        try:
            found = _READER.unpack(header).source
        except _UNREADABLE as error:
            raise PeerError("damaged PROXY protocol header") from error
        if isinstance(found, tuple):
            return normalize_source(str(found[0])), rest
        return source, rest


def header_end(data: bytes) -> int | None:
    """Where the header ends; None while that cannot be said. `PeerError` for what is no header."""
    if data.startswith(_V1[: len(data)]):
        end = data.find(b"\r\n", 0, MOST_V1_BYTES)
        if end >= 0:
            return end + 2
        if len(data) >= MOST_V1_BYTES:
            raise PeerError("PROXY protocol header is too long")
        return None
    if data.startswith(_V2[: len(data)]) or data.startswith(_V2):
        if len(data) < 16:
            return None
        end = 16 + int.from_bytes(data[14:16], "big")
        if end > MOST_V2_BYTES:
            raise PeerError("PROXY protocol header is too long")
        return end if len(data) >= end else None
    raise PeerError("no PROXY protocol header")


def is_trusted(source: str, trusted: Sequence[str]) -> bool:
    """True when a header from `source` is believed."""
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return False
    networks = [ipaddress.ip_network(text, strict=False) for text in trusted]
    return any(address.version == network.version and address in network for network in networks)
