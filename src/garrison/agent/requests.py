"""The manager's questions to the agent, and their answers. Pure.

    manager: #!-req COUNTER TARGET PAYLOAD        agent: #!-req COUNTER ANSWER
    over UDP each of the two is acknowledged (`#!-req COUNTER ack`) and the answer is sent again until then.

An answer is `ok {json}`, `err TEXT` or bare JSON, in the words that callers know. What this agent does not
have is refused in those words; nothing is answered that is not so.
Source: spec/agent-channel.md 7.1, 8.5; captures orders-tcp.json, orders-udp.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from garrison.config.model import AgentConfig, ClientConfig, EnrollmentConfig, LocalfileConfig

KNOWN_TARGETS = frozenset({"agent", "com", "logcollector"})
"""Modules of this agent; for every other one the answer is the error of a socket that is not there."""
MAX_OPEN = 1024
NOT_THERE = b"err No such file or directory"
NO_SECTION = b"err Could not get requested section"
NOT_A_COMMAND = b"err Unrecognized command"


def is_known_target(target: str) -> bool:
    """True when a module of that name is in this agent."""
    return target in KNOWN_TARGETS


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRule:
    """How an answer is repeated over UDP."""

    interval_s: float = 1
    max_attempts: int = 4


@dataclass(slots=True)
class _OpenAnswer:
    body: bytes | None = None
    sends: int = 0
    next_at: float = 0.0


class OpenAnswers:
    """The questions at work, and over UDP the answers that the manager has not acknowledged yet."""

    def __init__(self, rule: RetryRule) -> None:
        self._rule = rule
        self._open: dict[str, _OpenAnswer] = {}

    def knows(self, counter: str) -> bool:
        """True when this question is at work or its answer waits for the manager's ack."""
        return counter in self._open

    def open(self, counter: str) -> bool:
        """A new question; False when too many are open already."""
        if len(self._open) >= MAX_OPEN:
            return False
        self._open[counter] = _OpenAnswer()
        return True

    def finish(self, counter: str, body: bytes, now: float, is_udp: bool) -> bool:
        """True when the answer `body` has to be sent now; over UDP it is kept until its ack."""
        waiting = self._open.get(counter)
        if waiting is None:
            return False
        if is_udp:
            waiting.body, waiting.sends, waiting.next_at = body, 1, now + self._rule.interval_s
        else:
            del self._open[counter]
        return True

    def acknowledge(self, counter: str) -> None:
        """The manager has the answer."""
        waiting = self._open.get(counter)
        if waiting is not None and waiting.body is not None:
            del self._open[counter]

    def next_deadline(self) -> float | None:
        """When an answer has to be sent again or given up."""
        return min((one.next_at for one in self._open.values() if one.body is not None), default=None)

    def expire(self, now: float) -> tuple[list[tuple[str, bytes]], int]:
        """The answers (counter, body) to send again at `now`, and how many were given up."""
        again: list[tuple[str, bytes]] = []
        given_up = 0
        for counter, one in list(self._open.items()):
            if one.body is None or now < one.next_at:
                continue
            if one.sends >= self._rule.max_attempts:
                del self._open[counter]
                given_up += 1
                continue
            one.sends += 1
            one.next_at = now + self._rule.interval_s
            again.append((counter, one.body))
        return again, given_up


class After(Enum):
    """What the agent does once its answer is on the way."""

    NOTHING = "nothing"
    RESTART = "restart"
    RELOAD = "reload"


@dataclass(frozen=True, slots=True)
class Reply:
    """The body of an answer; `lock_s` holds restarts back for so many seconds (None: no change)."""

    body: bytes
    after: After = After.NOTHING
    lock_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCount:
    """What was collected from one source since the start and in the current interval."""

    location: str
    events: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """The log collector's numbers over one span; times as `YYYY-MM-DD HH:MM:SS`, local."""

    start: str
    end: str
    files: Sequence[FileCount] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentState:
    """What `agent getstate` and the state file tell."""

    status: str
    last_keepalive: str
    last_ack: str
    msg_count: int
    msg_sent: int
    msg_buffer: int
    buffer_enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything that answers are made of."""

    config: AgentConfig
    internal: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """`{"agent": {"warn_level": 90, …}, "logcollector": …}`: the internal options in use."""
    state: AgentState
    collected: tuple[Collected, Collected] | None = None
    """(since the start, this interval); None while there are no numbers."""


def answer(target: str, payload: str, view: View) -> Reply:
    """The answer to a question whose target and payload the manager chose."""
    words = payload.split()
    command, arguments = (words[0], words[1:]) if words else ("", [])
    if target == "agent":
        return Reply(_agent(command, arguments, view))
    if target == "com":
        return _com(command, arguments, view)
    if target == "logcollector":
        return Reply(_logcollector(command, arguments, view))
    return Reply(NOT_THERE)


def _agent(command: str, arguments: Sequence[str], view: View) -> bytes:
    if command == "getstate":
        return _json({"error": 0, "data": state_object(view.state)})
    if command != "getconfig":
        return NOT_A_COMMAND
    if not arguments:
        return b"err AGCOM getconfig needs arguments"
    config = view.config
    buffer = config.client_buffer
    sections: dict[str, object] = {
        "client": {"client": client_object(config.client)},
        "buffer": {
            "buffer": {
                "disabled": _yes(buffer.disabled),
                "queue_size": buffer.queue_size,
                "events_per_second": buffer.events_per_second,
            }
        },
        "labels": {
            "labels": [
                {"value": label.value, "key": label.key, "hidden": _yes(label.hidden)}
                for label in config.labels
            ]
        },
        "internal": {
            "internal": {
                name: dict(view.internal[name]) for name in ("agent", "remoted") if name in view.internal
            }
        },
        "anti_tampering": {"package_uninstallation": ["no"]},
    }
    return _section(sections, arguments[0], b"ok ")


def _com(command: str, arguments: Sequence[str], view: View) -> Reply:
    if command in ("restart", "restart-wazuh"):
        return Reply(b"ok ", After.RESTART)
    if command == "reload":
        return Reply(b"ok ", After.RELOAD)
    if command == "lock_restart":
        return _lock_restart(arguments)
    if command != "getconfig":
        return Reply(NOT_A_COMMAND)
    if not arguments:
        return Reply(b"err WCOM getconfig needs arguments")
    if arguments[0] == "cluster":
        return Reply(b"err Unable to connect with socket. The component might be disabled")
    sections: dict[str, object] = {
        "active-response": {
            "active-response": {"disabled": _yes(view.config.client.disable_active_response)}
        },
        "logging": {"logging": {"plain": "yes", "json": "no"}},
        "internal": {"internal": {"execd": {"request_timeout": 0, "max_restart_lock": 0}}},
    }
    return Reply(_section(sections, arguments[0], b"ok  "))


MAX_LOCK_S = 3600


def _lock_restart(arguments: Sequence[str]) -> Reply:
    text = arguments[0] if arguments else ""
    if not text.lstrip("-").isascii() or not text.lstrip("-").isdigit() or len(text) > 9:
        return Reply(b"err Could not set restart lock")
    seconds = int(text)
    return Reply(b"ok ", lock_s=MAX_LOCK_S if seconds < 0 else min(seconds, MAX_LOCK_S))


def _logcollector(command: str, arguments: Sequence[str], view: View) -> bytes:
    if command == "getstate":
        if view.collected is None:
            return _json({"error": 1, "data": {}, "message": "Statistics unavailable"})
        since_start, interval = view.collected
        data = {"global": _collected(since_start), "interval": _collected(interval)}
        return _json({"error": 0, "remaining": False, "json_updated": False, "data": data})
    if command != "getconfig":
        return NOT_A_COMMAND
    if not arguments:
        return b"err LOGCOM getconfig needs arguments"
    internal = {name: dict(view.internal[name]) for name in ("logcollector",) if name in view.internal}
    sections: dict[str, object] = {
        "localfile": {"localfile": [localfile_object(one) for one in view.config.localfiles]},
        "socket": {},
        "internal": {"internal": internal},
    }
    return _section(sections, arguments[0], b"ok ")


def _section(sections: Mapping[str, object], name: str, prefix: bytes) -> bytes:
    return prefix + _json(sections[name]) if name in sections else NO_SECTION


def client_object(client: ClientConfig) -> dict[str, object]:
    """`<client>` as callers know it: keys in their order, what is not set is absent."""
    servers = [
        {
            "address": server.address,
            "port": server.port,
            **({"interface_index": server.interface_index} if server.interface_index is not None else {}),
            "max_retries": server.max_retries,
            "retry_interval": server.retry_interval_s,
            "protocol": server.protocol,
        }
        for server in client.servers
    ]
    return {
        **_given({"config-profile": client.config_profile}),
        "notify_time": client.notify_time_s,
        "time-reconnect": client.time_reconnect_s,
        "force_reconnect_interval": client.force_reconnect_interval_s,
        "ip_update_interval": client.ip_update_interval_s,
        "auto_restart": _yes(client.auto_restart),
        "remote_conf": "yes",
        "crypto_method": client.crypto_method,
        "server": servers,
        "enrollment": _enrollment(client.enrollment),
    }


def _enrollment(enrollment: EnrollmentConfig) -> dict[str, object]:
    return {
        "enabled": _yes(enrollment.enabled),
        "delay_after_enrollment": enrollment.delay_after_enrollment_s,
        **_given({"manager_address": enrollment.manager_address}),
        "port": enrollment.port,
        **_given({"agent_name": enrollment.agent_name, "group": ",".join(enrollment.groups)}),
        "ssl_cipher": enrollment.ssl_cipher,
        **_given(
            {
                "server_certificate_path": enrollment.server_ca_path,
                "agent_certificate_path": enrollment.agent_certificate_path,
                "agent_key_path": enrollment.agent_key_path,
                "authorization_pass_path": enrollment.authorization_pass_path,
            }
        ),
        "auto_method": _yes(enrollment.auto_method),
    }


def localfile_object(one: LocalfileConfig) -> dict[str, object]:
    """One `<localfile>` as callers know it."""
    if one.command is not None:
        return {
            "logformat": one.log_format,
            "command": one.command,
            **_given({"alias": one.alias}),
            "frequency": one.frequency_s,
            "ignore_binaries": "no",
            "target": ["agent"],
        }
    return {
        "file": one.location,
        "logformat": one.log_format,
        "ignore_binaries": "no",
        "only-future-events": _yes(one.only_future_events),
        "target": ["agent"],
    }


def state_object(state: AgentState) -> dict[str, object]:
    """`agent getstate`'s data."""
    return {
        "status": state.status,
        "last_keepalive": state.last_keepalive,
        "last_ack": state.last_ack,
        "msg_count": state.msg_count,
        "msg_sent": state.msg_sent,
        "msg_buffer": state.msg_buffer,
        "buffer_enabled": state.buffer_enabled,
    }


def state_file(state: AgentState) -> bytes:
    """The text of var/run/wazuh-agentd.state (spec/agent-channel.md 4.4)."""
    buffered = str(state.msg_buffer) if state.buffer_enabled else ""
    values = {
        "status": state.status,
        "last_keepalive": state.last_keepalive,
        "last_ack": state.last_ack,
        "msg_count": state.msg_count,
        "msg_sent": state.msg_sent,
        "msg_buffer": buffered,
    }
    lines = [f"{name}='{value}'\n" for name, value in values.items()]
    return ("# State file of the agent\n\n" + "\n".join(lines)).encode()


def _collected(span: Collected) -> dict[str, object]:
    files = [
        {
            "location": one.location,
            "events": one.events,
            "bytes": one.bytes,
            "targets": [{"name": "agent", "drops": 0}],
        }
        for one in span.files
    ]
    return {"start": span.start, "end": span.end, "files": files}


def _given(members: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in members.items() if value not in (None, "", ())}


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
