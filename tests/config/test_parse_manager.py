"""A node's configuration: defaults, good values, and every fault in its words with file and line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from garrison.config.model import AuthConfig, ForceConfig, ManagerConfig
from garrison.config.parse import Parsed, parse_manager
from garrison.ground.errors import ConfigError, Fault

KEY = "0123456789abcdef0123456789abcdef"


def parse(text: str) -> Parsed[ManagerConfig]:
    return parse_manager(text, "ossec.conf")


def cluster(options: str) -> str:
    return f"<ossec_config>\n<cluster>\n{options}\n</cluster>\n</ossec_config>"


GOOD = f"<key>{KEY}</key>\n<nodes><node>10.0.0.1</node></nodes>\n"


def faults_of(text: str) -> list[Fault]:
    with pytest.raises(ConfigError) as error:
        parse(text)
    return [fault for fault in error.value.faults if not fault.is_warning]


def test_defaults() -> None:
    config = parse("<ossec_config></ossec_config>").config
    assert config == ManagerConfig(auth=AuthConfig(disabled=True))
    assert not config.cluster.present and config.cluster.disabled
    config = parse(cluster(GOOD)).config
    found = config.cluster
    assert (found.name, found.node_name, found.node_type, found.port, found.engine_port, found.bind_addr) == (
        "wazuh", "node01", "master", 1516, 1517, "0.0.0.0",
    )  # fmt: skip
    assert found.present and not found.disabled and not found.hidden and found.nodes == ("10.0.0.1",)


def test_every_option_of_the_cluster() -> None:
    text = cluster(
        f"""<name>prod</name><node_name>m-1</node_name><node_type>worker</node_type><key>{KEY}</key><port>2000</port>
        <engine_port>2001</engine_port><bind_addr>10.0.0.2</bind_addr><hidden>yes</hidden><disabled>no</disabled>
        <engine_path>/opt/nats-server</engine_path><nodes><node>a.example</node><node>10.0.0.2</node><node>c</node></nodes>"""
    )
    found = parse(text).config.cluster
    assert (found.name, found.node_name, found.node_type, found.port, found.engine_port) == (
        "prod", "m-1", "worker", 2000, 2001,
    )  # fmt: skip
    assert (
        found.hidden
        and found.nodes == ("a.example", "10.0.0.2", "c")
        and found.engine_path == "/opt/nats-server"
    )
    assert KEY not in repr(found)


@pytest.mark.parametrize(
    ("options", "line", "found"),
    [
        ("<nodes><node>a</node></nodes>", 2, "Unspecified key"),
        ("<key></key><nodes><node>a</node></nodes>", 2, "Unspecified key"),
        ("<key>short</key><nodes><node>a</node></nodes>", 3, "Key must be 32 characters long and only have alphanumeric characters"),
        (f"<key> {KEY}</key><nodes><node>a</node></nodes>", 3, "Key must be 32 characters long and only have alphanumeric characters"),
        ("<key>" + "ä" * 32 + "</key><nodes><node>a</node></nodes>", 3, "Key must be 32 characters long and only have alphanumeric characters"),
        (GOOD + "<node_type>slave</node_type>", 5, "Invalid node type slave. Correct values are master and worker"),
        (GOOD + "<node_type>Master</node_type>", 5, "Invalid node type Master. Correct values are master and worker"),
        (GOOD + "<port>-1</port>", 5, "Cluster port must be an integer."),
        (GOOD + "<port>x</port>", 5, "Cluster port must be an integer."),
        (GOOD + "<port>1024</port>", 5, "Port must be higher than 1024 and lower than 65535."),
        (GOOD + "<port>65535</port>", 5, "Port must be higher than 1024 and lower than 65535."),
        (GOOD + "<port>1517</port>", 2, "port and engine_port are the same"),
        (f"<key>{KEY}</key>", 2, "Invalid elements in node fields: NODE_IP."),
        (f"<key>{KEY}</key><nodes><node>a</node><node>localhost</node><node>0.0.0.0</node></nodes>", 3, "Invalid elements in node fields: localhost, 0.0.0.0."),
        (f"<key>{KEY}</key><nodes><node>a</node><node>b</node></nodes>", 3, "two nodes are listed: when one is down the other is no majority"),
        (f"<key>{KEY}</key><nodes><node>a</node><node>a</node><node>b</node></nodes>", 3, "a node is listed twice"),
        (f"<key>{KEY}</key><nodes><node>a b</node></nodes>", 3, "invalid value for element 'node': a b"),
        (GOOD + "<disabled>maybe</disabled>", 5, "Allowed values for 'disabled' field are 'yes' and 'no'. Found: 'maybe'"),
        (GOOD + "<hidden>maybe</hidden>", 5, "invalid value for element 'hidden': maybe"),
        (GOOD + "<name>a b</name>", 5, "invalid value for element 'name': a b"),
        (GOOD + "<node_name>a.b</node_name>", 5, "invalid value for element 'node_name': a.b"),
        (GOOD + "<bind_addr>a b</bind_addr>", 5, "invalid value for element 'bind_addr': a b"),
        (GOOD + "<nonsense>1</nonsense>", 5, "invalid element in the configuration: 'nonsense'"),
        (GOOD + "<nodes><note>1</note></nodes>", 5, "invalid element in the configuration: 'note'"),
    ],
)  # fmt: skip
def test_each_fault_of_the_cluster_names_its_place(options: str, line: int, found: str) -> None:
    (fault,) = [fault for fault in faults_of(cluster(options)) if fault.found == found]
    assert (fault.path, fault.line) == ("ossec.conf", line)
    assert KEY not in str(fault)


def test_a_disabled_cluster_is_not_checked_further() -> None:
    assert parse(cluster("<disabled>yes</disabled>")).config.cluster.disabled


def warnings_of(text: str) -> list[tuple[int, str]]:
    return [(fault.line, fault.found) for fault in parse(text).warnings]


def test_old_spellings_warn_once_with_their_line() -> None:
    assert warnings_of(cluster(GOOD + "<node_type>client</node_type>")) == [
        (5, "Deprecated node type 'client'. Using 'worker' instead.")
    ]
    assert parse(cluster(GOOD + "<node_type>client</node_type>")).config.cluster.node_type == "worker"
    assert warnings_of(cluster(GOOD + "<interval>2m</interval>")) == [(5, "interval is no longer available")]
    twice = cluster(GOOD) + cluster(GOOD + "<name>second</name>")
    assert warnings_of(twice)[0][1] == "there are multiple cluster sections"
    assert parse(twice).config.cluster.name == "second"


def test_several_roots_and_comments_and_a_declaration() -> None:
    text = f"""<?xml version="1.0"?>
<!-- one -->
<ossec_config><global><logall>yes</logall></global></ossec_config>
<ossec_config><cluster>{GOOD}</cluster><!-- two --></ossec_config>"""
    config = parse(text).config
    assert config.global_.logall and config.cluster.present


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("<ossec_config>\n<global>\n</ossec_config>", 3, "mismatched tag"),
        ("<ossec_config>\n&bad;\n</ossec_config>", 2, "undefined entity"),
        ('<!DOCTYPE x [<!ENTITY a "b">]>\n<ossec_config></ossec_config>', 1, "a document type declaration"),
        ("<other></other>", 1, "invalid root element: 'other'"),
        ("<ossec_config><nonsense/></ossec_config>", 1, "invalid element in the configuration: 'nonsense'"),
        ("<ossec_config>" + "<a>" * 40 + "</a>" * 40 + "</ossec_config>", 1, "nested too deeply"),
    ],
)
def test_broken_files_name_the_line(text: str, line: int, part: str) -> None:
    fault = faults_of(text)[0]
    assert fault.line == line and part in fault.found


def test_all_faults_come_at_once_in_order() -> None:
    text = """<ossec_config>
<remote><connection>radio</connection><port>0</port></remote>
<auth><port>x</port><force><enabled>maybe</enabled></force></auth>
<global><agents_disconnection_time>soon</agents_disconnection_time></global>
</ossec_config>"""
    assert [fault.line for fault in faults_of(text)] == [2, 2, 3, 3, 4]


def test_enrollment_options_and_their_old_spellings() -> None:
    text = """<ossec_config><auth><use_password>yes</use_password><use_source_ip>yes</use_source_ip><purge>yes</purge>
    <force><enabled>yes</enabled><key_mismatch>no</key_mismatch><disconnected_time enabled="no">2h</disconnected_time>
    <after_registration_time>30m</after_registration_time></force>
    <agents><allow_higher_versions>no</allow_higher_versions></agents></auth></ossec_config>"""
    auth = parse(text).config.auth
    assert auth.use_password and auth.use_source_ip and auth.purge and not auth.allow_higher_versions
    assert auth.force == ForceConfig(
        disconnected_time_enabled=False,
        disconnected_time_s=7200,
        after_registration_time_s=1800,
        key_mismatch=False,
    )
    old = (
        "<ossec_config><auth><force_insert>no</force_insert><force_time>0</force_time></auth></ossec_config>"
    )
    parsed = parse(old)
    assert parsed.config.auth.force == ForceConfig(
        enabled=False, disconnected_time_s=0, disconnected_time_enabled=False
    )
    assert [fault.found for fault in parsed.warnings] == [
        "force_insert is deprecated",
        "force_time is deprecated",
    ]


def test_remote_options() -> None:
    text = """<ossec_config><remote><connection>secure</connection><protocol>tcp, udp</protocol><local_ip>127.0.0.9</local_ip>
    <connection_overtake_time>0</connection_overtake_time><proxy_protocol>yes</proxy_protocol>
    <proxy_trusted>10.0.0.0/8</proxy_trusted></remote>
    <remote><connection>syslog</connection><allowed-ips>192.168.0.0/16</allowed-ips></remote></ossec_config>"""
    secure, syslog = parse(text).config.remotes
    assert secure.protocols == {"tcp", "udp"} and secure.local_ip == "127.0.0.9"
    assert secure.proxy_trusted == ("10.0.0.0/8",) and secure.connection_overtake_time_s == 0
    assert syslog.port == 514 and syslog.protocols == {"udp"}
    twice = "<ossec_config>" + "<remote><connection>secure</connection></remote>" * 2 + "</ossec_config>"
    assert "several <remote> blocks are secure" in faults_of(twice)[0].found
    trusting = "<ossec_config><remote><proxy_protocol>yes</proxy_protocol></remote></ossec_config>"
    assert faults_of(trusting)[0].found == "proxy_protocol without proxy_trusted"


def test_whole_sections_that_are_not_used_warn_with_their_line() -> None:
    text = "<ossec_config>\n<rootcheck><x>1</x></rootcheck>\n<syscheck/>\n</ossec_config>"
    assert [line for line, _ in warnings_of(text)] == [2, 3]


def test_internal_options() -> None:
    files = {
        "internal_options.conf": "# x\nremoted.verify_msg_id=1\nother.option=5\n",
        "local": "agent.warn_level=80\n",
    }
    internal = parse_manager("<ossec_config/>", internal=files).config.internal
    assert (internal.remoted_verify_msg_id, internal.agent_warn_level) == (1, 80)
    with pytest.raises(ConfigError) as error:
        parse_manager("<ossec_config/>", internal={"local": "\nremoted.request_pool=0\nnonsense\n"})
    assert [(fault.path, fault.line) for fault in error.value.faults] == [("local", 2), ("local", 3)]


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="<>/=\"'&;!-abcdefgossec_configluster \n", max_size=200))
def test_any_text_is_a_configuration_or_its_faults(text: str) -> None:
    for each in (
        text,
        f"<ossec_config>{text}</ossec_config>",
        f"<ossec_config><cluster>{text}</cluster></ossec_config>",
    ):
        try:
            parse(each)
        except ConfigError as error:
            assert error.faults


SHAPED_LIKE_A_STOCK_FILE = """<!--
  A manager's file as an installer leaves it -- with the sections that this product does not use.
-->
<ossec_config>
  <global>
    <jsonout_output>yes</jsonout_output><alerts_log>yes</alerts_log><logall>no</logall><logall_json>no</logall_json>
    <email_notification>no</email_notification><smtp_server>smtp.example</smtp_server><email_from>a@example</email_from>
    <agents_disconnection_time>15m</agents_disconnection_time><update_check>yes</update_check>
  </global>
  <alerts><log_alert_level>3</log_alert_level><email_alert_level>12</email_alert_level></alerts>
  <logging><log_format>plain</log_format></logging>
  <remote><connection>secure</connection><port>1514</port><protocol>tcp</protocol><queue_size>131072</queue_size></remote>
  <rootcheck><disabled>no</disabled></rootcheck>
  <wodle name="syscollector"><disabled>no</disabled></wodle>
  <sca><enabled>yes</enabled></sca>
  <vulnerability-detection><enabled>yes</enabled></vulnerability-detection>
  <indexer><hosts><host>https://127.0.0.1:9200</host></hosts></indexer>
  <syscheck><directories check_all="yes">/etc,/usr/bin</directories></syscheck>
  <global><white_list>127.0.0.1</white_list><white_list>^localhost.localdomain$</white_list></global>
  <command><name>x</name><executable>x</executable></command>
  <active-response><disabled>yes</disabled></active-response>
  <localfile><log_format>full_command</log_format><command>netstat -tan && last -n 20</command></localfile>
  <ruleset><decoder_dir>ruleset/decoders</decoder_dir><rule_exclude>0215-x.xml</rule_exclude><list>etc/lists/a</list></ruleset>
  <rule_test><enabled>yes</enabled></rule_test>
  <auth><disabled>no</disabled><port>1515</port><use_source_ip>no</use_source_ip>
    <force><enabled>yes</enabled><key_mismatch>yes</key_mismatch><disconnected_time enabled="yes">1h</disconnected_time>
    <after_registration_time>1h</after_registration_time></force>
    <purge>yes</purge><use_password>no</use_password><ciphers>HIGH:!ADH</ciphers><ssl_agent_ca></ssl_agent_ca></auth>
  <cluster><name>wazuh</name><node_name>node01</node_name><node_type>master</node_type><key></key><port>1516</port>
    <bind_addr>0.0.0.0</bind_addr><nodes><node>NODE_IP</node></nodes><hidden>no</hidden><disabled>yes</disabled></cluster>
</ossec_config>
<ossec_config>
  <localfile><log_format>syslog</log_format><location>/var/log/auth.log</location></localfile>
</ossec_config>
"""


def test_a_file_of_a_stock_shape_is_read_with_a_word_for_everything_unused() -> None:
    parsed = parse(SHAPED_LIKE_A_STOCK_FILE)
    assert (
        parsed.config.auth.purge and parsed.config.cluster.disabled and parsed.config.remotes[0].port == 1514
    )
    assert [fault.found for fault in parsed.warnings] == [
        "options of global without effect here: smtp_server, email_from, update_check",
        "options of global without effect here: white_list",
        *(
            f"section '{name}' has no effect here"
            for name in (
                "logging", "rootcheck", "wodle' 'syscollector", "sca", "vulnerability-detection", "indexer", "syscheck",
                "command", "active-response", "localfile", "localfile",
            )
        ),
    ]  # fmt: skip
