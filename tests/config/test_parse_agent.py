"""An agent's configuration, and what its groups add to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.config import template
from garrison.config.agent_conf import AgentIdentity, InvalidAgentConf, apply, matches
from garrison.config.model import AgentConfig, InternalOptions
from garrison.config.parse import parse_agent, parse_manager
from garrison.ground.errors import ConfigError


def client(options: str, rest: str = "") -> str:
    return f"<ossec_config><client>{options}</client>{rest}</ossec_config>"


SERVER = "<server><address>10.0.0.1</address></server>"


def test_defaults_and_failover_order() -> None:
    config = parse_agent(client(SERVER + "<server><address>b.example</address><port>99</port><protocol>udp</protocol>"
                                "<max_retries>1</max_retries><retry_interval>2</retry_interval></server>")).config.client  # fmt: skip
    first, second = config.servers
    assert (first.port, first.protocol, first.max_retries, first.retry_interval_s) == (1514, "tcp", 5, 10)
    assert (second.address, second.port, second.protocol, second.max_retries) == ("b.example", 99, "udp", 1)
    assert (config.notify_time_s, config.time_reconnect_s, config.crypto_method) == (20, 60, "aes")
    assert config.enrollment.enabled and config.enrollment.delay_after_enrollment_s == 20


def test_the_time_to_reconnect_is_above_the_notify_time() -> None:
    text = client(SERVER + "<notify_time>100</notify_time><time-reconnect>50</time-reconnect>")
    assert parse_agent(text).config.client.time_reconnect_s == 300


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (client(""), "no server is configured (4112)"),
        (client("<server><address>MANAGER_IP</address></server>"), "no server is configured (4112)"),
        (client(SERVER + "<x>1</x>"), "invalid element in the configuration: 'x'"),
        (client("<server><address>a/b</address></server>"), "invalid value for element 'address': a/b"),
        (client(SERVER + "<enrollment><use_source_ip>yes</use_source_ip><agent_address>10.0.0.9</agent_address></enrollment>"),
         "use_source_ip and agent_address exclude each other"),
        (client(SERVER, "<localfile><location>/x</location></localfile>"), "localfile without a log_format"),
        (client(SERVER, "<localfile><log_format>poetry</log_format><location>/x</location></localfile>"),
         "invalid value for element 'log_format': poetry"),
        (client(SERVER, "<localfile><log_format>command</log_format></localfile>"), "localfile without a source"),
        (client(SERVER, "<client_buffer><queue_size>0</queue_size></client_buffer>"), "invalid value for element 'queue_size': 0"),
    ],
)  # fmt: skip
def test_faults(text: str, found: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_agent(text)
    assert found in [fault.found for fault in error.value.faults]


def test_old_spellings() -> None:
    text = client(
        "<server-ip>10.0.0.7</server-ip><port>99</port>", "<client_buffer><length>10</length></client_buffer>"
    )
    parsed = parse_agent(text)
    assert (parsed.config.client.servers[0].address, parsed.config.client.servers[0].port) == ("10.0.0.7", 99)
    assert parsed.config.client_buffer.queue_size == 10
    assert [fault.found for fault in parsed.warnings] == [
        "server-ip is deprecated",
        "length is deprecated",
    ]


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("web", "my WEB host", True), ("^web", "web01", True), ("^web", "my web", False), ("web$", "my web", True),
        ("^web$", "web", True), ("^web$", "web1", False), ("a|b", "xb", True), ("a|", "zzz", True),
        ("!web", "db", True), ("!web", "web", False), ("", "x", True), ("x" * 20481, "x" * 20481, False),
        ("a.c", "abc", False), ("a.c", "a.c", True),
    ],
)  # fmt: skip
def test_the_match_language(pattern: str, text: str, fits: bool) -> None:
    assert matches(pattern, text) is fits


IDENTITY = AgentIdentity(
    name="web01", os="Linux |web01 |6.1 [Debian GNU/Linux|debian: 12] - Wazuh v4.14.7", profile="web, db"
)


def test_blocks_are_read_when_all_their_attributes_match() -> None:
    text = """<agent_config><labels><label key="a">1</label></labels></agent_config>
<agent_config name="^web" os="linux" profile="db"><labels><label key="b">2</label></labels></agent_config>
<agent_config name="db"><labels><label key="c">3</label></labels></agent_config>
<agent_config os="Windows"><nonsense/></agent_config>
<agent_config><client><force_reconnect_interval>1h</force_reconnect_interval></client>
<client_buffer><queue_size>7</queue_size></client_buffer></agent_config>"""
    config, warnings = apply(AgentConfig(), text, IDENTITY, "agent.conf")
    assert [(label.key, label.value) for label in config.labels] == [("a", "1"), ("b", "2")]
    assert config.client.force_reconnect_interval_s == 3600 and config.client_buffer.queue_size == 7
    assert warnings == ()


@pytest.mark.parametrize(
    ("text", "section"),
    [
        ("<agent_config><localfile><log_format>x</log_format></localfile></agent_config>", "localfile"),
        ("<agent_config><client><server/></client></agent_config>", "client"),
        ("<agent_config><labels><x/></labels></agent_config>", "labels"),
        ("<other/>", "syscheck"),
        ("<agent_config>", "syscheck"),
    ],
)
def test_a_faulty_file_names_its_section(text: str, section: str) -> None:
    with pytest.raises(InvalidAgentConf) as error:
        apply(AgentConfig(), text, IDENTITY, "agent.conf")
    assert error.value.section == section


def test_commands_from_the_manager_are_refused_unless_allowed() -> None:
    text = "<agent_config><localfile><log_format>command</log_format><command>id</command></localfile></agent_config>"
    config, warnings = apply(AgentConfig(), text, IDENTITY, "agent.conf")
    assert config.localfiles == () and "not accepted" in warnings[0].found
    allowing = AgentConfig(internal=InternalOptions(logcollector_remote_commands=1))
    assert len(apply(allowing, text, IDENTITY, "agent.conf")[0].localfiles) == 1


@given(st.text(max_size=200))
def test_any_agent_conf_is_applied_or_refused(text: str) -> None:
    for each in (text, f"<agent_config>{text}</agent_config>"):
        try:
            apply(AgentConfig(), each, IDENTITY, "agent.conf")
        except InvalidAgentConf:
            pass


def test_templates_parse_without_a_word() -> None:
    manager = template.manager_conf(
        template.ManagerAnswers(
            node_name="m", node_type="worker", key="k" * 32, bind="10.0.0.2", nodes=("10.0.0.1",), hidden=True
        )
    )
    parsed = parse_manager(manager)
    assert (
        parsed.warnings == () and parsed.config.cluster.hidden and parsed.config.auth.local_ip == "10.0.0.2"
    )
    agent = template.agent_conf(
        template.AgentAnswers(
            servers=(template.ServerAnswer(address="a"), template.ServerAnswer(address="b", port=9)),
            name="web01", logs=("/var/log/a&b.log",), enroll_manager="c", local_ip="10.0.0.3",
        )
    )  # fmt: skip
    config = parse_agent(agent)
    assert config.warnings == () and [s.port for s in config.config.client.servers] == [1514, 9]
    assert config.config.localfiles[0].location == "/var/log/a&b.log"
    assert config.config.client.enrollment.agent_name == "web01"
