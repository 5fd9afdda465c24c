"""Requests and sessions of the log test as values: every refusal of the specification, and what sessions keep apart."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.alerts.record import Context
from garrison.analysis.compile import compile_program
from garrison.analysis.source import Source, SourceFile
from garrison.config.model import RuleTestConfig
from garrison.ground.errors import Fault
from garrison.node.logtest import BadRequest, Process, Remove, Sessions, not_loaded, read_request

RULES = b"""<group name="t,">
<rule id="1" level="0" noalert="1"><category>syslog</category><description>Root.</description></rule>
<rule id="100" level="5"><match>bad</match><description>Bad.</description></rule>
<rule id="101" level="10" frequency="3" timeframe="60"><if_matched_sid>100</if_matched_sid><description>Often.</description></rule>
</group>"""
PROGRAM = compile_program(Source(rules=(SourceFile(path="r.xml", text=RULES),)))
CONTEXT = Context(manager_name="gate", cluster_name=None, node_name=None)
LOG = {"event": "a bad thing", "log_format": "syslog", "location": "stdin"}


def request(command: Any = "log_processing", **parameters: Any) -> bytes:
    return json.dumps({"version": 1, "command": command, "parameters": parameters}).encode()


REFUSALS = [
    (b"{nonsense", 1, "(7307): Error parsing JSON in position 1, ... {nonsense ..."),
    (b"", 1, "(7307): Error parsing JSON in position 0, ...  ..."),
    (b"[]", 2, "(7313): 'parameters' JSON field not found"),
    (b'{"parameters":[]}', 2, "(7317): 'parameters' JSON field value is not valid"),
    (b'{"parameters":{}}', 2, "(7313): 'command' JSON field not found"),
    (request(command=7), 2, "(7317): 'command' JSON field value is not valid"),
    (request(command="other"), 3, "(7306): Unable to process command"),
    (request(event="x", log_format="syslog"), 2, "(7308): 'location' JSON field is required and must be a string"),
    (request(event="x", location="stdin"), 2, "(7308): 'log_format' JSON field is required and must be a string"),
    (request(**{**LOG, "location": ""}), 2, "(7308): 'location' JSON field is required and must be a string"),
    (request(location="stdin", log_format="syslog"), 2, "(7313): 'event' JSON field not found"),
    (request(**{**LOG, "event": ""}), 2, "(7317): 'event' JSON field value is not valid"),
    (request(**{**LOG, "event": {}}), 2, "(7317): 'event' JSON field value is not valid"),
    (request(**{**LOG, "event": 7}), 2, "(7317): 'event' JSON field value is not valid"),
    (request("remove_session"), 4, "(7316): Failure to remove session. token JSON field must be a string"),
    (request("remove_session", token=7), 4, "(7316): Failure to remove session. token JSON field must be a string"),
    (request("remove_session", token="short"), 4, "(7309): 'short' is not a valid token"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "message"), REFUSALS)
def test_what_is_wrong_with_a_request_is_told(text: bytes, code: int, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_request(text)
    assert (caught.value.code, caught.value.message) == (code, message)


def test_an_object_is_printed_compactly_and_used_as_the_log() -> None:
    event = {"a": [1, 2.5, None, True], "b": {"c": 'x"\n'}}
    asked = read_request(request(**{**LOG, "event": event}))
    assert isinstance(asked, Process)
    assert asked.log == b'{"a":[1,2.5,null,true],"b":{"c":"x\\"\\n"}}'


def test_odd_options_are_tolerated_with_a_warning() -> None:
    asked = read_request(request(**LOG, token="short", options=[]))
    assert isinstance(asked, Process) and asked.token is None
    assert asked.token_warnings == ("WARNING: (7309): 'short' is not a valid token",)
    assert asked.warnings == (
        "WARNING: (7005): 'options' field must be a JSON object. The parameter will be ignored",
    )
    asked = read_request(request(**LOG, options={"rules_debug": 1}))
    assert isinstance(asked, Process) and not asked.wants_debug
    assert asked.warnings == (
        "WARNING: (7006): 'rules_debug' field must be a boolean. The parameter will be ignored",
    )


def test_a_removal_is_read() -> None:
    assert read_request(request("remove_session", token="04babc2b")) == Remove(token="04babc2b")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_a_refusal(text: bytes) -> None:
    try:
        read_request(text)
    except BadRequest as error:
        assert error.code in range(1, 5)


def sessions(most: int = 64) -> Sessions:
    return Sessions(RuleTestConfig(max_sessions=most, session_timeout_s=60), b"gate", CONTEXT)


def process(book: Sessions, token: str, now: float = 0.0, **parameters: Any) -> dict[str, Any]:
    asked = read_request(request(**{**LOG, **parameters}))
    session = book.find(token) or book.open(token, PROGRAM, asked.token_warnings, now)  # type: ignore[union-attr]
    assert isinstance(asked, Process)
    return book.process(session, asked, now, 1e9 + now)


def test_a_reply_has_its_members_in_the_known_order() -> None:
    reply = process(sessions(), "00000001", options={"rules_debug": True})
    assert list(reply) == ["error", "data"]
    assert list(reply["data"]) == ["messages", "token", "output", "rules_debug", "alert", "codemsg"]
    assert reply["data"]["messages"] == ["INFO: (7202): Session initialized with token '00000001'"]
    assert reply["data"]["output"]["rule"]["id"] == "100" and reply["data"]["alert"] is True
    assert reply["data"]["rules_debug"][:3] == [
        "Trying rule: 1 - Root.",
        "*Rule 1 matched",
        "*Trying child rules",
    ]


def test_later_warnings_stand_behind_the_output() -> None:
    book = sessions()
    process(book, "00000001")
    data = process(book, "00000001", options=[])["data"]
    assert list(data) == ["token", "output", "messages", "alert", "codemsg"] and data["codemsg"] == 1


def test_sessions_remember_apart() -> None:
    book = sessions()
    ids = [process(book, token, now)["data"]["output"]["rule"]["id"] for now, token in enumerate(["0000000a"] * 2 + ["0000000b"] * 2 + ["0000000a"])]  # fmt: skip
    assert ids == ["100", "100", "100", "100", "101"]


def test_of_too_many_the_one_that_was_idle_longest_goes() -> None:
    book = sessions(most=2)
    for now, token in enumerate(["0000000a", "0000000b", "0000000a", "0000000c"]):
        process(book, token, now)
    assert [book.find(token) is not None for token in ("0000000a", "0000000b", "0000000c")] == [
        True,
        False,
        True,
    ]


def test_idle_sessions_are_swept() -> None:
    book = sessions()
    process(book, "0000000a", 0.0)
    process(book, "0000000b", 30.0)
    assert book.sweep(60.0) == 1 and len(book) == 1
    assert book.remove("0000000a")["data"] == {
        "messages": ["ERROR: (7004): No session found for token '0000000a'"], "codemsg": -1,
    }  # fmt: skip
    assert book.remove("0000000b")["data"] == {
        "messages": ["INFO: (7206): The session '0000000b' was closed successfully"], "codemsg": 0,
    }  # fmt: skip


def test_a_location_that_does_not_end_is_an_error_of_the_event() -> None:
    data = process(sessions(), "0000000a", location="[001")["data"]
    assert data["codemsg"] == -1 and data["messages"][-1] == "ERROR: (7312): Failed to process the event"
    assert "output" not in data and "token" not in data


def test_a_refused_event_tells_no_more_messages_than_others() -> None:
    kept = sessions()
    session = kept.open("0000000a", PROGRAM, [f"WARNING: {n}" for n in range(80)], 0.0)
    asked = read_request(request(**{**LOG, "location": "[001"}))
    assert isinstance(asked, Process)
    messages = kept.process(session, asked, 0.0, 1e9)["data"]["messages"]
    assert len(messages) == 50 and messages[-1] == "ERROR: (7312): Failed to process the event"


def test_a_ruleset_that_does_not_load_tells_its_faults() -> None:
    faults = [Fault(path="r.xml", line=3, found="rule without a description", expected="one")]
    data = not_loaded(faults)["data"]
    assert data["codemsg"] == -1
    assert data["messages"] == [f"ERROR: {faults[0]}", "ERROR: (7311): Failure to initializing session"]


def test_an_explanation_is_given_when_asked() -> None:
    data = process(sessions(), "0000000a", options={"explain": True})["data"]
    assert data["explain"][0].startswith("Rule 100 (level 5) answers: Bad.")
