"""One enrollment: a request line from the agent, a reply text from the manager. Pure.

    [OSSEC PASS: password ]OSSEC A:'name'[ V:'v4.14.7'][ G:'a,b'][ IP:'src'][ K:'sha1']\\n
    OSSEC K:'ID NAME IP KEY'        or        ERROR: TEXT. Unable to add agent

The order of the fields is fixed; a field out of place ends the reading silently.
Source: spec/agent-channel.md 2.3 (rows 1 to 10 of its table), 2.9; vectors enrollment.json.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from garrison.ground.errors import PeerError
from garrison.wire.address import parse_registered
from garrison.wire.client_keys import KeyEntry
from garrison.wire.names import EnrollRefusal, check_groups, compare_versions, is_valid_name

MOST_REQUEST_BYTES = 69632
SOURCE = "src"

_PASSWORD = "OSSEC PASS: "
_ASK = "OSSEC A:'"
_SUCCESS = "OSSEC K:'"
_ERROR = "ERROR: "
_TAIL = ". Unable to add agent"
_MOST_SHOWN_CHARS = 2048

HIGHER_VERSION = "Agent version must be lower or equal to manager version"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollRequest:
    """What an agent asks for. `ip` is None, `src` for its source address, or a registered form."""

    name: str
    version: str | None = None
    groups: tuple[str, ...] = ()
    ip: str | None = None
    key_hash: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A manager's refusal: the text behind `ERROR: `."""

    text: str


def decode_request(
    line: bytes, *, password: str | None, our_version: str, allow_higher_versions: bool
) -> EnrollRequest:
    """The request of a line (with or without its newline); `EnrollRefusal` for the first check that fails.

    `password` is the manager's, None where it asks for none.
    """
    text = line.decode("utf-8", "replace").split("\n", 1)[0]
    text = _after_password(text, password)
    if not text.startswith(_ASK):
        raise EnrollRefusal("Invalid request for new agent")
    name, closed, rest = text[len(_ASK) :].partition("'")
    if not closed:
        raise EnrollRefusal("Invalid request for new agent")
    if not is_valid_name(name):
        raise EnrollRefusal(f"Invalid agent name: {name[:_MOST_SHOWN_CHARS]}")
    version, rest = _take(rest, "V", "Unterminated version field")
    if version is not None and not allow_higher_versions and compare_versions(version, our_version) > 0:
        raise EnrollRefusal(HIGHER_VERSION)
    group_list, rest = _take(rest, "G", "Unterminated group field")
    groups = check_groups(group_list) if group_list is not None else ()
    ip_text, rest = _take(rest, "IP", "Unterminated IP field")
    ip = _checked_ip(ip_text)
    key_hash, rest = _take(rest, "K", "Unterminated key field")
    return EnrollRequest(
        name=name, version=version, groups=groups, ip=ip, key_hash=key_hash, password=password
    )


def _after_password(text: str, password: str | None) -> str:
    if password is None:
        return text
    wanted = f"{_PASSWORD}{password} "
    given = text[: len(wanted)]
    if not hmac.compare_digest(given.encode(), wanted.encode()):
        raise EnrollRefusal("Invalid password")
    return text[len(wanted) :]


def _take(rest: str, letter: str, unterminated: str) -> tuple[str | None, str]:
    """The value of ` LETTER:'value'` at the start of `rest`, and what follows; None where it does not stand there."""
    start = f" {letter}:'"
    if not rest.startswith(start):
        return None, rest
    value, closed, after = rest[len(start) :].partition("'")
    if not closed:
        raise EnrollRefusal(unterminated)
    return value, after


def _checked_ip(ip: str | None) -> str | None:
    if ip is None:
        return None
    if ip.startswith(SOURCE):
        return SOURCE
    try:
        return parse_registered(ip)
    except PeerError as error:
        raise EnrollRefusal(f"Invalid IP: {ip[:_MOST_SHOWN_CHARS]}") from error


def encode_request(request: EnrollRequest) -> bytes:
    """The line that an agent sends, newline included."""
    text = f"{_PASSWORD}{request.password} " if request.password is not None else ""
    text += f"{_ASK}{request.name}'"
    for letter, value in (
        ("V", request.version),
        ("G", ",".join(request.groups) or None),
        ("IP", request.ip),
        ("K", request.key_hash),
    ):
        if value is not None:
            text += f" {letter}:'{value}'"
    return text.encode() + b"\n"


def encode_success(entry: KeyEntry) -> bytes:
    """The reply that hands a key over; no terminator."""
    return f"{_SUCCESS}{entry.line()}'".encode()


def encode_refusal(text: str) -> bytes:
    """The reply that refuses, in the one-write form of 4.13 and newer."""
    return f"{_ERROR}{text}{_TAIL}".encode()


def decode_reply(part: bytes) -> KeyEntry | Refusal | None:
    """What one part of a reply says; None where it is neither form. `PeerError` for a key that cannot be right."""
    text = part.decode("utf-8", "replace")
    if text.startswith(_ERROR) and len(text) > len(_ERROR):
        return Refusal(text=text[len(_ERROR) :].rstrip("\n"))
    if not text.startswith(_SUCCESS):
        return None
    fields = text[len(_SUCCESS) :].partition("'")[0].split(" ")
    if len(fields) != 4:
        raise PeerError("Invalid keys format received.")
    identity, name, ip, key = fields
    if not (identity.isascii() and identity.isdigit() and len(identity) <= 8 and is_valid_name(name)):
        raise PeerError("One of the received key parameters does not have a valid format")
    if not is_valid_name(key):
        raise PeerError("One of the received key parameters does not have a valid format")
    try:
        parse_registered(ip)
    except PeerError as error:
        raise PeerError("One of the received key parameters does not have a valid format") from error
    return KeyEntry(id=identity, name=name, ip=ip, key=key)
