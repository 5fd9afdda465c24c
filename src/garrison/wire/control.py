"""Control messages, in both directions: everything that begins with `#!-`. Pure.

    agent -> manager    Startup  Keepalive  Shutdown  Answer
    manager -> agent    Ack  Err  Execd  ForceReconnect  Syscheck  DbSync  ScaDump  FileBegin  FileEnd  Request

Comparisons are exact: `agent ack` without its final space is no ack.
Source: spec/agent-channel.md 4.1, 7.1; vectors manager-control.json, agent-receive.json.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal

from garrison.wire.keepalive import Keepalive, decode_keepalive

PREFIX = b"#!-"
ACK = b"#!-agent ack "
SHUTDOWN = b"#!-agent shutdown "
FORCE_RECONNECT = b"#!-force_reconnect"
FILE_END = b"#!-close file "
SYSCHECK_RESTART = b"#!-syscheck restart"

_STARTUP = b"agent startup "
_REQUEST = re.compile(rb"req (\S+) (\S+)(?: (.*))?", re.DOTALL)
_ANSWER = re.compile(rb"req ([0-9a-fA-F]{1,8}) (.*)", re.DOTALL)
_FILE_BEGIN = re.compile(rb"up file (\S+) ([^\n]*)\n?")
_DB_SYNC = re.compile(rb"syscollector_\S+ ")


@dataclass(frozen=True, slots=True)
class Startup:
    """Hello of an agent. `problem` says what was wrong with its JSON; text that is no JSON makes an old agent."""

    version: str | None = None
    problem: Literal["unparsable", "no version"] | None = None


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The agent ends."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An agent's answer to the request `counter` (lower-case hex), or its `ack` over UDP."""

    counter: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Unrecognized:
    """A control message that we do not know; `text` is what follows the prefix, not to be logged raw."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Ack:
    """The manager is there."""


@dataclass(frozen=True, slots=True)
class Err:
    """The manager refuses this agent; `message` is its reason."""

    message: str


@dataclass(frozen=True, slots=True)
class Execd:
    """An active response."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class ForceReconnect:
    """Close and connect anew."""


@dataclass(frozen=True, slots=True)
class Syscheck:
    """For the file integrity module: the whole text behind the prefix."""

    text: bytes


@dataclass(frozen=True, slots=True)
class DbSync:
    """For the inventory module: the whole text behind the prefix."""

    text: bytes


@dataclass(frozen=True, slots=True)
class ScaDump:
    """For the configuration assessment: the whole text behind the prefix."""

    text: bytes


@dataclass(frozen=True, slots=True)
class FileBegin:
    """Chunks of the file `name` follow; `md5` is the sum of the whole in hex."""

    md5: str
    name: str


@dataclass(frozen=True, slots=True)
class FileEnd:
    """The last chunk has been sent."""


@dataclass(frozen=True, slots=True)
class Request:
    """A question to the agent's module `target`. `payload` is None where only the target was given."""

    counter: str
    target: str
    payload: bytes | None


@dataclass(frozen=True, slots=True)
class RequestAck:
    """Over UDP: the manager has the answer to `counter`."""

    counter: str


FromAgent = Startup | Keepalive | Shutdown | Answer | Unrecognized
FromManager = (
    Ack
    | Err
    | Execd
    | ForceReconnect
    | Syscheck
    | DbSync
    | ScaDump
    | FileBegin
    | FileEnd
    | Request
    | RequestAck
    | Unrecognized
)


def is_control(message: bytes) -> bool:
    """True for a control message, False for an event or a file chunk."""
    return message[:3] == PREFIX


def decode_from_agent(message: bytes) -> FromAgent:
    """What an agent's control message says. Never raises: what is not known is `Unrecognized`."""
    body = message.removeprefix(PREFIX)
    if body.startswith(_STARTUP):
        return _startup(body[len(_STARTUP) :])
    if message == SHUTDOWN:
        return Shutdown()
    if match := _ANSWER.fullmatch(body):
        return Answer(match[1].decode().lower(), match[2])
    keepalive = decode_keepalive(body.decode("utf-8", "replace"))
    return Unrecognized(body) if keepalive is None else keepalive


def _startup(text: bytes) -> Startup:
    if not text.strip():
        return Startup()
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return Startup(problem="unparsable")
    version = fields.get("version") if isinstance(fields, dict) else None
    return Startup(version=version) if isinstance(version, str) else Startup(problem="no version")


def decode_from_manager(message: bytes) -> FromManager:
    """What a manager's control message says. Never raises: what is not known is `Unrecognized`."""
    body = message.removeprefix(PREFIX)
    if message == ACK:
        return Ack()
    if body.startswith(b"err "):
        return Err(_err_text(body[4:]))
    if body.startswith(b"execd "):
        return Execd(body[6:])
    if body.startswith(b"force_reconnect"):
        return ForceReconnect()
    if body.startswith((b"syscheck ", b"fim_file ", b"fim_registry")):
        return Syscheck(body)
    if _DB_SYNC.match(body):
        return DbSync(body)
    if body.startswith(b"sca-dump"):
        return ScaDump(body)
    if message == FILE_END:
        return FileEnd()
    if match := _FILE_BEGIN.fullmatch(body):
        return FileBegin(match[1].decode("latin-1"), match[2].decode("utf-8", "replace"))
    if match := _REQUEST.fullmatch(body):
        return _request(match)
    return Unrecognized(body)


def _request(match: re.Match[bytes]) -> Request | RequestAck:
    counter, target, payload = match.groups()
    if target == b"ack" and payload is None:
        return RequestAck(counter.decode("latin-1"))
    return Request(counter.decode("latin-1"), target.decode("latin-1"), payload)


def _err_text(body: bytes) -> str:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    text = fields.get("message") if isinstance(fields, dict) else None
    return text if isinstance(text, str) else ""


def encode_startup(version: str) -> bytes:
    """Hello of an agent of `version`, such as `v4.14.7`."""
    return PREFIX + _STARTUP + json.dumps({"version": version}, separators=(",", ":")).encode()


def encode_err(message: str) -> bytes:
    """A refusal during the handshake."""
    return PREFIX + b"err " + json.dumps({"message": message}, separators=(",", ":")).encode()


def encode_execd(payload: bytes) -> bytes:
    """An active response."""
    return PREFIX + b"execd " + payload


def encode_file_begin(md5: str, name: str) -> bytes:
    """Chunks of the file `name` follow."""
    return PREFIX + f"up file {md5} {name}\n".encode()


def encode_request(counter: str, target: str, payload: bytes | None) -> bytes:
    """A question to an agent's module; `ack` as target, without payload, tells that its answer arrived."""
    tail = b"" if payload is None else b" " + payload
    return PREFIX + f"req {counter} {target}".encode() + tail


def encode_answer(counter: str, body: bytes) -> bytes:
    """An agent's answer; `ack` as body over UDP."""
    return PREFIX + f"req {counter} ".encode() + body
