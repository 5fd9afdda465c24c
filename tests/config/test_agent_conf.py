"""`agent.conf`: every fault at once, the word that the manager is told, and what the match language means."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.config.agent_conf import AgentIdentity, InvalidAgentConf, apply, check, matches
from garrison.config.model import AgentConfig

WEB = AgentIdentity(name="web01", os="Linux |web01 |6.1", profile=None)


def refused(text: str) -> InvalidAgentConf:
    with pytest.raises(InvalidAgentConf) as error:
        check(text, "agent.conf")
    return error.value


def test_all_faults_come_at_once_and_the_first_section_in_the_agents_order_is_named() -> None:
    error = refused(
        """<agent_config>
<labels><x/></labels>
<client><server/></client>
<localfile><log_format>poetry</log_format></localfile>
</agent_config>"""
    )
    assert error.section == "localfile"
    assert [fault.line for fault in error.faults] == [2, 3, 4]


@pytest.mark.parametrize(
    ("text", "section"),
    [
        ("<agent_config><labels><x/></labels></agent_config>", "labels"),
        (
            "<agent_config><client_buffer><queue_size>0</queue_size></client_buffer></agent_config>",
            "client_buffer",
        ),
        ("<agent_config><nonsense/></agent_config>", "syscheck"),
        ("<ossec_config></ossec_config>", "syscheck"),
        ("<agent_config>", "syscheck"),
    ],
)
def test_only_known_words_are_told(text: str, section: str) -> None:
    assert refused(text).section == section


def test_a_block_for_others_is_checked_but_not_applied() -> None:
    text = '<agent_config name="db"><localfile><log_format>x</log_format></localfile></agent_config>'
    assert apply(AgentConfig(), text, WEB, "agent.conf") == (AgentConfig(), ())
    assert refused(text).section == "localfile"


def test_what_is_tolerated() -> None:
    pattern = "x" * 20481
    text = f"""<agent_config colour="red" name="!{pattern}"><labels><label key="a">1</label></labels></agent_config>
<agent_config>words<syscheck><frequency>1</frequency></syscheck></agent_config>
words"""
    config, warnings = apply(AgentConfig(), text, WEB, "agent.conf")
    assert config.labels == ()
    assert sorted((fault.line, fault.found) for fault in warnings) == [
        (1, "text beside <agent_config>"),
        (1, "the pattern of attribute 'name' is too long"),
        (1, "unknown attribute of agent_config: colour"),
        (2, "section 'syscheck' has no effect"),
        (2, "text between the sections of agent_config"),
    ]


def test_an_agent_without_a_profile_has_the_profile_dash() -> None:
    text = '<agent_config profile="{}"><labels><label key="a">1</label></labels></agent_config>'
    assert apply(AgentConfig(), text.format("-"), WEB, "x")[0].labels
    assert not apply(AgentConfig(), text.format("web"), WEB, "x")[0].labels


SIGNS = st.text(alphabet="aAbÄä|^$!.", max_size=8)


@given(SIGNS, SIGNS)
def test_the_match_language_is_what_a_plain_reading_says(pattern: str, text: str) -> None:
    negated, words = pattern.startswith("!"), pattern.removeprefix("!").split("|")

    def meant(word: str) -> str:
        start, end = word.startswith("^"), word.removeprefix("^").endswith("$")
        body = re.escape(word.removeprefix("^").removesuffix("$") if end else word.removeprefix("^"))
        return (r"\A" if start else "") + body + (r"\Z" if end else "")

    found = any(re.search(meant(word), text, re.IGNORECASE | re.ASCII) for word in words)
    assert matches(pattern, text) is (found != negated)
