"""The log test as tools speak to it: requests, sessions, replies. Pure.

    {"command": "log_processing", "parameters": {"event": ..., "log_format": ..., "location": ..., "token"?, "options"?}}
    {"command": "remove_session", "parameters": {"token": ...}}
        ->  {"error": 0, "data": {"messages"?, "token", "output", "rules_debug"?, "alert", "codemsg"}}
        or  {"message": "(7306): ...", "error": 3, "data": {}}

A session is a ruleset with a memory of its own. Ours beside the reference's: `options.explain` true adds `explain`,
the lines of `explain.explain_lines`.
Source: spec/analysis.md 19.1; spec/analysis-3-outputs.md 8.
"""

from __future__ import annotations

import string
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from garrison.alerts.record import Context, log_test_object
from garrison.analysis import cjson
from garrison.analysis.event import Arrival
from garrison.analysis.explain import explain_lines
from garrison.analysis.program import Program
from garrison.analysis.trace import TracingAnalyzer, debug_lines
from garrison.config.model import RuleTestConfig
from garrison.ground.errors import Fault

MOST_REQUEST_BYTES = 65_535
MOST_MESSAGES = 50
TOKEN_CHARACTERS = 8

NOT_JSON, BAD_FIELD, UNKNOWN_COMMAND, BAD_TOKEN, TOO_LONG = 1, 2, 3, 4, 5

_HEX = frozenset(string.hexdigits)


@dataclass(frozen=True, slots=True)
class BadRequest(Exception):
    """What is wrong with a request, as its reply says it."""

    code: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One log for a session. What was tolerated in the request are `warnings`, about its token `token_warnings`."""

    log: bytes
    location: bytes
    token: str | None = None
    wants_debug: bool = False
    wants_explanation: bool = False
    warnings: tuple[str, ...] = ()
    token_warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """The end of a session."""

    token: str


# -- requests ---------------------------------------------------------------------------------------------------------


def read_request(text: bytes) -> Process | Remove:
    """The request; raises `BadRequest` with the reply's number and message."""
    try:
        request = cjson.parse(text)
    except cjson.NotJson as error:
        raise BadRequest(NOT_JSON, _not_json(text)) from error
    parameters = _field(request, "parameters", cjson.Members)
    command = _field(request, "command", str)
    if command == "remove_session":
        return _removal(_member(parameters, "token"))
    if command != "log_processing":
        raise BadRequest(UNKNOWN_COMMAND, "(7306): Unable to process command")
    return _processing(parameters)


def _not_json(text: bytes) -> str:
    place = cjson.fault_position(text)
    around = text[max(0, place - 10) : place + 10].decode("utf-8", "replace")
    return f"(7307): Error parsing JSON in position {place}, ... {around} ..."


def _member(members: Any, name: str) -> Any:
    """The first member of that name; None when there is none."""
    found = (value for key, value in members if key == name) if isinstance(members, cjson.Members) else ()
    return next(iter(found), None)


def _has(members: Any, name: str) -> bool:
    return isinstance(members, cjson.Members) and any(key == name for key, _ in members)


def _field(members: Any, name: str, kind: type) -> Any:
    if not _has(members, name):
        raise BadRequest(BAD_FIELD, f"(7313): '{name}' JSON field not found")
    value = _member(members, name)
    if not isinstance(value, kind):
        raise BadRequest(BAD_FIELD, f"(7317): '{name}' JSON field value is not valid")
    return value


def _processing(parameters: cjson.Members) -> Process:
    texts = {}
    for name in ("location", "log_format"):
        value = _member(parameters, name)
        if not isinstance(value, str) or not value:
            raise BadRequest(BAD_FIELD, f"(7308): '{name}' JSON field is required and must be a string")
        texts[name] = value
    event = _field(parameters, "event", object)
    if not isinstance(event, str | cjson.Members) or not event:
        raise BadRequest(BAD_FIELD, "(7317): 'event' JSON field value is not valid")
    log = event if isinstance(event, str) else cjson.print_compact(event)
    warnings: list[str] = []
    options = _member(parameters, "options")
    if _has(parameters, "options") and not isinstance(options, cjson.Members):
        warnings.append(
            "WARNING: (7005): 'options' field must be a JSON object. The parameter will be ignored"
        )
    token_warnings: list[str] = []
    token = _token(parameters, token_warnings)
    return Process(
        log=_bytes(log),
        location=_bytes(texts["location"]),
        token=token,
        wants_debug=_flag(options, "rules_debug", "7006", warnings),
        wants_explanation=_flag(options, "explain", "7006", warnings),
        warnings=tuple(warnings),
        token_warnings=tuple(token_warnings),
    )


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _flag(options: Any, name: str, number: str, warnings: list[str]) -> bool:
    value = _member(options, name)
    if value is not None and not isinstance(value, bool):
        warnings.append(
            f"WARNING: ({number}): '{name}' field must be a boolean. The parameter will be ignored"
        )
    return value is True


def _token(parameters: cjson.Members, warnings: list[str]) -> str | None:
    token = _member(parameters, "token")
    if token is None:
        return None
    if isinstance(token, str) and len(token) == TOKEN_CHARACTERS:
        return token
    shown = token if isinstance(token, str) else cjson.print_compact(token)
    warnings.append(f"WARNING: (7309): '{shown[:60]}' is not a valid token")
    return None


def _removal(token: Any) -> Remove:
    if not isinstance(token, str):
        raise BadRequest(BAD_TOKEN, "(7316): Failure to remove session. token JSON field must be a string")
    if len(token) != TOKEN_CHARACTERS:
        raise BadRequest(BAD_TOKEN, f"(7309): '{token[:60]}' is not a valid token")
    return Remove(token=token)


# -- replies ----------------------------------------------------------------------------------------------------------


def failure(code: int, message: str) -> dict[str, Any]:
    """The reply to a bad request."""
    reply: dict[str, Any] = {"message": message, "error": code}
    if code != TOO_LONG:
        reply["data"] = {}
    return reply


def too_long() -> dict[str, Any]:
    """The reply to a request of more than MOST_REQUEST_BYTES."""
    return failure(TOO_LONG, "(7315): Failure to receive message: size is bigger than expected")


def not_loaded(faults: Sequence[Fault], warnings: Sequence[str] = ()) -> dict[str, Any]:
    """The reply where no session could be made, with every fault of the ruleset."""
    messages = [*warnings, *(f"ERROR: {fault}" for fault in faults if not fault.is_warning)]
    messages = [*messages[: MOST_MESSAGES - 1], "ERROR: (7311): Failure to initializing session"]
    return {"error": 0, "data": {"messages": messages, "codemsg": -1}}


# -- sessions ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Session:
    """One ruleset with its own memory. `messages` are told with its first reply."""

    token: str
    analyzer: TracingAnalyzer
    used_at: float
    messages: list[str] = field(default_factory=list)


class Sessions:
    """All sessions, bounded in number; the one that was idle longest goes first."""

    def __init__(self, limits: RuleTestConfig, host_name: bytes, context: Context) -> None:
        self._limits = limits
        self._host_name = host_name
        self._context = context
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def find(self, token: str | None) -> Session | None:
        """The session of that token, if it is still there."""
        return self._sessions.get(token) if token is not None else None

    def open(self, token: str, program: Program, warnings: Iterable[str], now: float) -> Session:
        """A new session of the 8 hexadecimal characters `token`; the first reply tells `warnings`."""
        assert len(token) == TOKEN_CHARACTERS and _HEX.issuperset(token)
        analyzer = TracingAnalyzer(program, host_name=self._host_name, is_log_test=True)
        messages = [
            *warnings,
            f"INFO: (7202): Session initialized with token '{token}'",
            *(f"WARNING: {fault}" for fault in program.warnings),
        ]
        session = Session(token, analyzer, now, messages)
        while len(self._sessions) >= self._limits.max_sessions:
            self._sessions.popitem(last=False)
        self._sessions[token] = session
        return session

    def remove(self, token: str) -> dict[str, Any]:
        """The reply to the end of a session."""
        if self._sessions.pop(token, None) is None:
            messages, code = [f"ERROR: (7004): No session found for token '{token}'"], -1
        else:
            messages, code = [f"INFO: (7206): The session '{token}' was closed successfully"], 0
        # A published client reads `codemsg` beside `data`.
        return {"error": 0, "data": {"messages": messages, "codemsg": code}, "codemsg": code}

    def sweep(self, now: float) -> int:
        """How many sessions were idle for the time that is allowed, and are gone."""
        idle = [
            token
            for token, session in self._sessions.items()
            if now - session.used_at >= self._limits.session_timeout_s
        ]
        for token in idle:
            del self._sessions[token]
        return len(idle)

    def process(self, session: Session, request: Process, now: float, at: float) -> dict[str, Any]:
        """The reply to one log; `now` is monotonic, `at` seconds since 1970."""
        session.used_at = now
        self._sessions.move_to_end(session.token)
        first = session.messages[:]
        session.messages.clear()
        arrival = Arrival(queue="1", location=request.location, message=request.log, at=at)
        verdict, trace = session.analyzer.judge_watched(arrival)
        if verdict is None:
            messages = [*first, *request.warnings, "ERROR: (7312): Failed to process the event"]
            messages = messages[-MOST_MESSAGES:]
            return {"error": 0, "data": {"messages": messages, "codemsg": -1}}
        messages = [*first, *request.warnings][-MOST_MESSAGES:]
        data: dict[str, Any] = {"messages": messages} if first else {}
        data["token"] = session.token
        data["output"] = log_test_object(verdict, self._context, f"{int(at)}.0")
        if request.warnings and not first:
            data["messages"] = messages
        if request.wants_debug:
            data["rules_debug"] = debug_lines(trace)
        if request.wants_explanation:
            data["explain"] = explain_lines(verdict, trace)
        data["alert"] = verdict.is_alert
        data["codemsg"] = int(any(text.startswith("WARNING") for text in data.get("messages", ())))
        return {"error": 0, "data": data}
