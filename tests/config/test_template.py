"""The texts that `garrison init` writes parse without a word, say each option, and cannot be broken out of."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.config.parse import parse_agent, parse_manager
from garrison.config.template import AgentAnswers, ManagerAnswers, ServerAnswer, agent_conf, manager_conf
from garrison.config.xml import decode_xml
from garrison.ground.errors import ConfigError

KEY = "0123456789abcdef0123456789abcdef"
NODE = ManagerAnswers(node_name="m-1", node_type="master", key=KEY, nodes=("10.0.0.1",))
AGENT = AgentAnswers(servers=(ServerAnswer(address="10.0.0.1"),))
FULL_AGENT = AgentAnswers(
    servers=(ServerAnswer(address="a"), ServerAnswer(address="::1", port=9)), name="web01", logs=("/var/log/a&b.log", "/x"),
    enroll_manager="m", enroll_port="99", local_ip="10.0.0.3", notify_time_s="100",
)  # fmt: skip


@pytest.mark.parametrize(
    "answers",
    [
        NODE,
        ManagerAnswers(
            node_name="w_1", node_type="worker", key=KEY, bind="10.0.0.2", nodes=("a.example", "b", "c"), cluster_name="p<&>",
            port="2000", engine_port=2001, agent_port=3000, enroll_port=3001, use_password=True, hidden=True, logall=True,
        ),
    ],
)  # fmt: skip
def test_a_node_s_text_is_clean(answers: ManagerAnswers) -> None:
    parsed = parse_manager(manager_conf(answers))
    cluster, auth, (remote,) = parsed.config.cluster, parsed.config.auth, parsed.config.remotes
    assert parsed.warnings == ()
    assert (cluster.name, cluster.node_name, cluster.node_type, cluster.key, cluster.nodes) == (
        answers.cluster_name, answers.node_name, answers.node_type, KEY, answers.nodes,
    )  # fmt: skip
    assert (cluster.port, cluster.engine_port) == (int(answers.port), int(answers.engine_port))
    assert (remote.port, auth.port) == (int(answers.agent_port), int(answers.enroll_port))
    address = None if answers.bind == "0.0.0.0" else answers.bind
    assert cluster.bind_addr == answers.bind and remote.local_ip == auth.local_ip == address
    assert (auth.use_password, cluster.hidden, parsed.config.global_.logall_json) == (
        answers.use_password, answers.hidden, answers.logall,
    )  # fmt: skip


@pytest.mark.parametrize("answers", [AGENT, FULL_AGENT])
def test_an_agent_s_text_is_clean(answers: AgentAnswers) -> None:
    parsed = parse_agent(agent_conf(answers))
    client, enrollment = parsed.config.client, parsed.config.client.enrollment
    assert parsed.warnings == ()
    assert [(s.address, s.port) for s in client.servers] == [(s.address, s.port) for s in answers.servers]
    assert tuple(each.location for each in parsed.config.localfiles) == answers.logs
    assert (enrollment.agent_name, enrollment.manager_address) == (answers.name, answers.enroll_manager)
    assert enrollment.port == int(answers.enroll_port) and client.local_ip == answers.local_ip
    assert client.time_reconnect_s == (300 if answers.notify_time_s == "100" else 60)


@pytest.mark.parametrize("text", [manager_conf(NODE), agent_conf(FULL_AGENT)], ids=["node", "agent"])
def test_every_option_has_a_comment_above_it(text: str) -> None:
    above = ""
    silent = []
    for line in text.splitlines():
        option = re.match(r"\s*<([a-z_-]+)( [^>]*)?>[^<]+</", line)
        if option and not above.rstrip().endswith("-->") and option[1] not in EXPLAINED_TOGETHER:
            silent.append(option[1])
        above = line
    assert silent == []


EXPLAINED_TOGETHER = ("address", "port", "protocol", "max_retries", "retry_interval", "node", "rule_dir")


@given(st.text(max_size=40))
def test_no_answer_breaks_out_of_its_option(answer: str) -> None:
    """The text of an answer is the text of one element, or no XML at all."""
    for text, name in (
        (manager_conf(ManagerAnswers(node_name=answer, node_type="master", key=KEY, nodes=(answer,), bind=answer, port=answer)), "cluster"),
        (agent_conf(AgentAnswers(servers=(ServerAnswer(address=answer, port=answer),), name=answer, logs=(answer,))), "client"),
    ):  # fmt: skip
        try:
            (root,) = decode_xml(text, "x").children
        except ConfigError:
            continue
        assert {child.name for child in root.children} <= {
            "global", "alerts", "remote", "auth", "cluster", "ruleset", "client", "client_buffer", "localfile",
        }  # fmt: skip
        (section,) = root.named(name)
        first = section.named("node_name" if name == "cluster" else "server")[0]
        read = first if name == "cluster" else first.named("address")[0]
        assert read.raw == answer.replace("\r\n", "\n").replace("\r", "\n")
