"""What an agent says to the enrollment service and what it makes of the reply. Pure.

    OSSEC PASS: secret OSSEC A:'web01' V:'v4.14.7' G:'web' IP:'10.0.0.5' K:'…'\\n
    OSSEC K:'001 web01 any KEY'            or            ERROR: TEXT   (one part or several)
Source: spec/agent-channel.md 2.2, 2.3, 2.10; captures enroll-*.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from garrison.ground.errors import PeerError
from garrison.ground.log import printable
from garrison.wire.address import parse_registered
from garrison.wire.client_keys import KeyEntry
from garrison.wire.enroll_line import SOURCE, decode_reply
from garrison.wire.names import clean_host_name, is_valid_name

DEFAULT_CIPHERS = "HIGH:!ADH:!EXP:!MD5:!RC4:!3DES:!CAMELLIA:@STRENGTH"
DEFAULT_PORT = 1515
MAX_REPLY_BYTES = 16384
ERROR = b"ERROR: "
KEY = b"OSSEC K:'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Everything one enrollment needs."""

    address: str
    port: int = DEFAULT_PORT
    name: str
    version: str
    groups: tuple[str, ...] = ()
    ip: str | None = None
    """What the IP field says: an address, a network, `any`, or `src` for the source address."""
    key_hash: str | None = None
    password: str | None = None
    ciphers: str = DEFAULT_CIPHERS
    ca_path: str | None = None
    certificate_path: str | None = None
    key_path: str | None = None
    auto_method: bool = False
    """True also allows TLS below 1.2."""
    interface_index: int | None = None
    timeout_s: float = 60


@dataclass(frozen=True, slots=True)
class Told:
    """A line for the operator: level name and text."""

    level: str
    text: str


def agent_name(configured: str | None, host_name: str, *, allows_localhost: bool) -> str:
    """The name to enroll under. Raises `PeerError`, whose reason is the line operators know, for a bad one."""
    name = configured or clean_host_name(host_name)
    if not is_valid_name(name) or (name == "localhost" and not allows_localhost):
        raise PeerError(f'Invalid agent name "{printable(name)}". Please pick a valid name.')
    return name


def ip_field(address: str | None, *, use_source_ip: bool) -> str | None:
    """What the IP field says: None for no field. Raises `PeerError` for an address that is none."""
    if use_source_ip:
        return SOURCE
    if address is None:
        return None
    try:
        return parse_registered(address)
    except PeerError as error:
        raise PeerError(f"Invalid IP address: '{printable(address)}'.") from error


def password_in(text: str) -> str | None:
    """The password of an authd.pass file: its first line, None when that is empty."""
    line = text.split("\n", 1)[0].rstrip("\r")
    return line or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of the reply: a key entry, or the lines that say why not."""

    entry: KeyEntry | None
    told: tuple[Told, ...]


def is_whole(reply: bytes) -> bool:
    """True when nothing more has to be read: the key is there with its closing quote."""
    start = reply.find(KEY)
    return start >= 0 and reply.find(b"'", start + len(KEY)) >= 0


def read_reply(reply: bytes) -> Outcome:
    """The outcome of all that the service wrote before it closed."""
    if reply.startswith(KEY):
        return _read_key(reply)
    refusals = [part for part in reply.split(ERROR)[1:] if part] if reply.startswith(ERROR) else []
    if refusals:
        lines = [Told("ERROR", f"{printable(part.rstrip())} (from manager)") for part in refusals]
        return Outcome(entry=None, told=tuple(lines))
    return Outcome(
        entry=None,
        told=(
            Told("ERROR", "SSL read (unable to receive message)"),
            Told(
                "ERROR",
                "If Agent verification is enabled, agent key and certificates may be incorrect!",
            ),
        ),
    )


def _read_key(reply: bytes) -> Outcome:
    try:
        entry = decode_reply(reply) if is_whole(reply) else None
    except PeerError as error:
        return Outcome(entry=None, told=(Told("ERROR", error.reason),))
    if not isinstance(entry, KeyEntry):
        return Outcome(entry=None, told=(Told("ERROR", "Invalid keys format received."),))
    return Outcome(entry=entry, told=(Told("INFO", "Valid key received"),))


def names_match(names: Sequence[str], host: str) -> bool:
    """True when one of a certificate's `names` (dNSName, iPAddress, then CN) stands for `host`.

    Without regard to case, label by label; `*` may only be the whole first label.
    """
    return any(_name_matches(name.lower(), host.lower()) for name in names)


def _name_matches(name: str, host: str) -> bool:
    if name == host:
        return True
    wanted, given = host.split("."), name.split(".")
    if len(wanted) != len(given) or len(given) < 2 or given[0] != "*":
        return False
    return all(_is_label(label) for label in wanted) and wanted[1:] == given[1:] and not host[0].isdigit()


def _is_label(label: str) -> bool:
    return (
        0 < len(label) <= 63
        and label.isascii()
        and all(char.isalnum() or char == "-" for char in label)
        and label[-1].isalnum()
    )
