"""Every option of a node and of an agent: its default, a good value, and a bad one with the words of its fault."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import pytest

from garrison.config.model import AgentConfig, FolderConfig, LabelConfig, ManagerConfig
from garrison.config.parse import parse_agent, parse_manager
from garrison.ground.errors import ConfigError

KEY = "0123456789abcdef0123456789abcdef"
YES_NO = "'yes' or 'no'"


def flag(element: str) -> tuple[str, str]:
    return f"<{element}>maybe</{element}>", f"invalid value for element '{element}': maybe; {YES_NO}"


def number(element: str, least: int, most: int) -> tuple[str, str]:
    bad = most + 1
    return f"<{element}>{bad}</{element}>", (
        f"invalid value for element '{element}': {bad}; a whole number from {least} to {most}"
    )


def interval(element: str, least: int = 0) -> tuple[str, str]:
    return f"<{element}>1y</{element}>", (
        f"invalid value for element '{element}': 1y; a time such as 30, 30s, 10m, 1h, 2d or 1w, at least {least} s"
    )


def of(element: str, bad: str, expected: str) -> tuple[str, str]:
    return f"<{element}>{bad}</{element}>", f"invalid value for element '{element}': {bad}; {expected}"


ADDRESS = "an IPv4 or IPv6 address"
HOST = "an address or a host name"
NETWORK = "an address, or a network such as 10.0.0.0/8"

# section, field of the configuration, default, good text, its value, bad text with its fault
NODE_OPTIONS: list[tuple[str, str, Any, str, Any, tuple[str, str] | None]] = [
    ("cluster", "cluster.name", "wazuh", "<name>prod</name>", "prod", of("name", "a b", "printable characters without blanks, at most 128")),
    ("cluster", "cluster.node_name", "node01", "<node_name>m-1</node_name>", "m-1", of("node_name", "a.b", "letters, digits, '_' and '-', at most 128")),
    ("cluster", "cluster.node_type", "master", "<node_type>worker</node_type>", "worker", ("<node_type>slave</node_type>", "Invalid node type slave. Correct values are master and worker")),
    ("cluster", "cluster.port", 1516, "<port>65534</port>", 65534, ("<port>1024</port>", "Port must be higher than 1024 and lower than 65535.")),
    ("cluster", "cluster.engine_port", 1517, "<engine_port>1025</engine_port>", 1025, ("<engine_port>x</engine_port>", "Cluster port must be an integer.; 1025 to 65534")),
    ("cluster", "cluster.bind_addr", "0.0.0.0", "<bind_addr>10.0.0.2</bind_addr>", "10.0.0.2", of("bind_addr", "a b", "an address of this host, or 0.0.0.0 for all")),
    ("cluster", "cluster.hidden", False, "<hidden>yes</hidden>", True, flag("hidden")),
    ("cluster", "cluster.disabled", False, "<disabled>yes</disabled>", True, ("<disabled>maybe</disabled>", "Allowed values for 'disabled' field are 'yes' and 'no'. Found: 'maybe'")),
    ("cluster", "cluster.engine_path", None, "<engine_path>/opt/nats-server</engine_path>", "/opt/nats-server", of("engine_path", "nats", "the absolute path of a nats-server binary")),
    ("auth", "auth.disabled", False, "<disabled>yes</disabled>", True, flag("disabled")),
    ("auth", "auth.remote_enrollment", True, "<remote_enrollment>no</remote_enrollment>", False, flag("remote_enrollment")),
    ("auth", "auth.port", 1515, "<port>2000</port>", 2000, number("port", 1, 65535)),
    ("auth", "auth.local_ip", None, "<local_ip>127.0.0.2</local_ip>", "127.0.0.2", of("local_ip", "here", ADDRESS)),
    ("auth", "auth.ipv6", False, "<ipv6>yes</ipv6>", True, flag("ipv6")),
    ("auth", "auth.use_source_ip", False, "<use_source_ip>yes</use_source_ip>", True, flag("use_source_ip")),
    ("auth", "auth.purge", False, "<purge>yes</purge>", True, flag("purge")),
    ("auth", "auth.use_password", False, "<use_password>yes</use_password>", True, flag("use_password")),
    ("auth", "auth.ciphers", "HIGH:!ADH:!EXP:!MD5:!RC4:!3DES:!CAMELLIA:@STRENGTH", "<ciphers>HIGH</ciphers>", "HIGH", None),
    ("auth", "auth.ssl_agent_ca", None, "<ssl_agent_ca>etc/ca.pem</ssl_agent_ca>", "etc/ca.pem", None),
    ("auth", "auth.ssl_verify_host", False, "<ssl_verify_host>yes</ssl_verify_host>", True, flag("ssl_verify_host")),
    ("auth", "auth.ssl_manager_cert", "etc/sslmanager.cert", "<ssl_manager_cert>a</ssl_manager_cert>", "a", None),
    ("auth", "auth.ssl_manager_key", "etc/sslmanager.key", "<ssl_manager_key>b</ssl_manager_key>", "b", None),
    ("auth", "auth.ssl_auto_negotiate", False, "<ssl_auto_negotiate>yes</ssl_auto_negotiate>", True, flag("ssl_auto_negotiate")),
    ("auth agents", "auth.allow_higher_versions", True, "<allow_higher_versions>no</allow_higher_versions>", False, flag("allow_higher_versions")),
    ("auth force", "auth.force.enabled", True, "<enabled>no</enabled>", False, flag("enabled")),
    ("auth force", "auth.force.key_mismatch", True, "<key_mismatch>no</key_mismatch>", False, flag("key_mismatch")),
    ("auth force", "auth.force.disconnected_time_s", 3600, '<disconnected_time enabled="yes">2d</disconnected_time>', 172800, interval("disconnected_time")),
    ("auth force", "auth.force.disconnected_time_enabled", True, '<disconnected_time enabled="no"/>', False,
     ('<disconnected_time enabled="maybe"/>', "invalid value for attribute 'enabled': maybe; yes or no")),
    ("auth force", "auth.force.after_registration_time_s", 3600, "<after_registration_time>0</after_registration_time>", 0, interval("after_registration_time")),
    ("remote", "remotes.connection", "secure", "<connection>syslog</connection>", "syslog", of("connection", "radio", "one of secure, syslog")),
    ("remote", "remotes.port", 1514, "<port>99</port>", 99, number("port", 1, 65535)),
    ("remote", "remotes.protocols", {"tcp"}, "<protocol>tcp,udp</protocol>", {"tcp", "udp"}, of("protocol", "sctp", "tcp, udp or tcp,udp")),
    ("remote", "remotes.local_ip", None, "<local_ip>::1</local_ip>", "::1", of("local_ip", "host", ADDRESS)),
    ("remote", "remotes.ipv6", False, "<ipv6>yes</ipv6>", True, flag("ipv6")),
    ("remote", "remotes.queue_size", 131072, "<queue_size>1</queue_size>", 1, number("queue_size", 1, 10_000_000)),
    ("remote", "remotes.rids_closing_time_s", 300, "<rids_closing_time>1h</rids_closing_time>", 3600, interval("rids_closing_time", 1)),
    ("remote", "remotes.connection_overtake_time_s", 60, "<connection_overtake_time>0</connection_overtake_time>", 0, number("connection_overtake_time", 0, 3600)),
    ("remote agents", "remotes.allow_higher_versions", True, "<allow_higher_versions>no</allow_higher_versions>", False, flag("allow_higher_versions")),
    ("remote", "remotes.proxy_protocol", False, "<proxy_protocol>yes</proxy_protocol><proxy_trusted>10.0.0.1</proxy_trusted>", True, flag("proxy_protocol")),
    ("remote", "remotes.proxy_trusted", (), "<proxy_protocol>yes</proxy_protocol><proxy_trusted>10.0.0.1</proxy_trusted><proxy_trusted>10.1.0.0/16</proxy_trusted>",
     ("10.0.0.1", "10.1.0.0/16"), of("proxy_trusted", "lb", NETWORK)),
    ("remote", "remotes.allowed_ips", (), "<allowed-ips>10.0.0.0/8</allowed-ips>", ("10.0.0.0/8",), of("allowed-ips", "x", NETWORK)),
    ("remote", "remotes.denied_ips", (), "<denied-ips>10.0.0.9</denied-ips>", ("10.0.0.9",), of("denied-ips", "x", NETWORK)),
    ("global", "global_.jsonout_output", True, "<jsonout_output>no</jsonout_output>", False, flag("jsonout_output")),
    ("global", "global_.alerts_log", True, "<alerts_log>no</alerts_log>", False, flag("alerts_log")),
    ("global", "global_.logall", False, "<logall>yes</logall>", True, flag("logall")),
    ("global", "global_.logall_json", False, "<logall_json>yes</logall_json>", True, flag("logall_json")),
    ("global", "global_.memory_size", 8192, "<memory_size>2048</memory_size>", 2048, number("memory_size", 2048, 10_000_000)),
    ("global", "global_.agents_disconnection_time_s", 900, "<agents_disconnection_time>1s</agents_disconnection_time>", 1, interval("agents_disconnection_time", 1)),
    ("global", "global_.agents_disconnection_alert_time_s", 0, "<agents_disconnection_alert_time>1w</agents_disconnection_alert_time>", 604800, interval("agents_disconnection_alert_time")),
    ("global", "global_.rotate_interval_s", 0, "<rotate_interval>1d</rotate_interval>", 86400, of("rotate_interval", "599", "0 for none, or 600 s to 1d")),
    ("global", "global_.max_output_size", 0, "<max_output_size>10M</max_output_size>", 10 << 20, of("max_output_size", "999999", "0 for none, or 1000000 bytes to 1024G")),
    ("alerts", "alerts.log_alert_level", 3, "<log_alert_level>0</log_alert_level>", 0, number("log_alert_level", 0, 16)),
    ("alerts", "alerts.email_alert_level", 12, "<email_alert_level>16</email_alert_level>", 16, number("email_alert_level", 0, 16)),
    ("ruleset", "ruleset.rule_dirs", (), '<rule_dir>a</rule_dir><rule_dir pattern="x$">b</rule_dir>', (FolderConfig(path="a"), FolderConfig(path="b", pattern="x$")),
     ('<rule_dir match="x">a</rule_dir>', "unknown attribute of rule_dir: match; pattern")),
    ("ruleset", "ruleset.decoder_dirs", (), "<decoder_dir>a</decoder_dir>", (FolderConfig(path="a"),), None),
    ("ruleset", "ruleset.rule_include", (), "<rule_include>a</rule_include>", ("a",), None),
    ("ruleset", "ruleset.decoder_include", (), "<decoder_include>a</decoder_include>", ("a",), None),
    ("ruleset", "ruleset.rule_exclude", (), "<rule_exclude>a</rule_exclude>", ("a",), None),
    ("ruleset", "ruleset.decoder_exclude", (), "<decoder_exclude>a</decoder_exclude>", ("a",), None),
    ("ruleset", "ruleset.lists", (), "<list>a</list><list>b</list>", ("a", "b"), None),
    ("rule_test", "rule_test.enabled", True, "<enabled>no</enabled>", False, flag("enabled")),
    ("rule_test", "rule_test.max_sessions", 64, "<max_sessions>500</max_sessions>", 500, number("max_sessions", 1, 65_534)),
    ("rule_test", "rule_test.session_timeout_s", 900, "<session_timeout>15m</session_timeout><threads>auto</threads>", 900, interval("session_timeout", 1)),
    ("labels", "labels", (), '<label key="k" hidden="yes">v</label>', (LabelConfig(key="k", value="v", hidden=True),),
     ('<label key="k" hidden="maybe">v</label>', "invalid value for attribute 'hidden': maybe; yes or no")),
]  # fmt: skip

FORMATS = (
    "one of syslog, generic, snort-fast, snort-full, apache, iis, squid, syslog-pipe, json, mysql_log, postgresql_log, "
    "mssql_log, djb-multilog, nmapg, ossecalert, audit, multi-line-regex, command, full_command, eventlog, eventchannel, "
    "macos, journald, multi-line:N"
)

AGENT_OPTIONS: list[tuple[str, str, Any, str, Any, tuple[str, str] | None]] = [
    ("client server", "client.servers.address", "10.0.0.1", "<address>b.example</address>", "b.example", of("address", "a/b", HOST)),
    ("client server", "client.servers.port", 1514, "<port>99</port>", 99, number("port", 1, 65535)),
    ("client server", "client.servers.protocol", "tcp", "<protocol>udp</protocol>", "udp", of("protocol", "sctp", "one of tcp, udp")),
    ("client server", "client.servers.max_retries", 5, "<max_retries>1</max_retries>", 1, number("max_retries", 1, 1_000_000)),
    ("client server", "client.servers.retry_interval_s", 10, "<retry_interval>1</retry_interval>", 1, number("retry_interval", 1, 1_000_000)),
    ("client server", "client.servers.interface_index", None, "<interface_index>2</interface_index>", 2, number("interface_index", 0, 1_000_000)),
    ("client", "client.config_profile", None, "<config-profile>web, db</config-profile>", "web, db", None),
    ("client", "client.notify_time_s", 20, "<notify_time>5</notify_time>", 5, number("notify_time", 0, 86400)),
    ("client", "client.notify_time_s", 20, "<notify_time>0</notify_time>", 20, None),
    ("client", "client.time_reconnect_s", 60, "<time-reconnect>90</time-reconnect>", 90, number("time-reconnect", 0, 604800)),
    ("client", "client.force_reconnect_interval_s", 0, "<force_reconnect_interval>1h</force_reconnect_interval>", 3600, interval("force_reconnect_interval")),
    ("client", "client.ip_update_interval_s", 0, "<ip_update_interval>5m</ip_update_interval>", 300, interval("ip_update_interval")),
    ("client", "client.auto_restart", True, "<auto_restart>no</auto_restart>", False, flag("auto_restart")),
    ("client", "client.crypto_method", "aes", "<crypto_method>blowfish</crypto_method>", "blowfish", of("crypto_method", "rot13", "one of aes, blowfish")),
    ("client", "client.disable_active_response", False, "<disable-active-response>yes</disable-active-response>", True, flag("disable-active-response")),
    ("client", "client.local_ip", None, "<local_ip>127.0.0.3</local_ip>", "127.0.0.3", of("local_ip", "x", ADDRESS)),
    ("client enrollment", "client.enrollment.enabled", True, "<enabled>no</enabled>", False, flag("enabled")),
    ("client enrollment", "client.enrollment.manager_address", None, "<manager_address>m</manager_address>", "m", of("manager_address", "a b", HOST)),
    ("client enrollment", "client.enrollment.port", 1515, "<port>99</port>", 99, number("port", 1, 65535)),
    ("client enrollment", "client.enrollment.agent_name", None, "<agent_name>web01</agent_name>", "web01",
     of("agent_name", ".x", "2 to 128 letters, digits, '.', '_' and '-', no '.' in front")),
    ("client enrollment", "client.enrollment.groups", (), "<groups>a, b</groups>", ("a", "b"), None),
    ("client enrollment", "client.enrollment.agent_address", None, "<agent_address>10.0.0.5</agent_address>", "10.0.0.5", of("agent_address", "x", NETWORK)),
    ("client enrollment", "client.enrollment.ssl_cipher", "HIGH:!ADH:!EXP:!MD5:!RC4:!3DES:!CAMELLIA:@STRENGTH", "<ssl_cipher>HIGH</ssl_cipher>", "HIGH", None),
    ("client enrollment", "client.enrollment.server_ca_path", None, "<server_ca_path>a</server_ca_path>", "a", None),
    ("client enrollment", "client.enrollment.agent_certificate_path", None, "<agent_certificate_path>a</agent_certificate_path>", "a", None),
    ("client enrollment", "client.enrollment.agent_key_path", None, "<agent_key_path>a</agent_key_path>", "a", None),
    ("client enrollment", "client.enrollment.authorization_pass_path", "etc/authd.pass", "<authorization_pass_path>a</authorization_pass_path>", "a", None),
    ("client enrollment", "client.enrollment.auto_method", False, "<auto_method>yes</auto_method>", True, flag("auto_method")),
    ("client enrollment", "client.enrollment.delay_after_enrollment_s", 20, "<delay_after_enrollment>1</delay_after_enrollment>", 1, interval("delay_after_enrollment")),
    ("client enrollment", "client.enrollment.use_source_ip", False, "<use_source_ip>yes</use_source_ip>", True, flag("use_source_ip")),
    ("client enrollment", "client.enrollment.interface_index", None, "<interface_index>1</interface_index>", 1, number("interface_index", 0, 1_000_000)),
    ("client_buffer", "client_buffer.disabled", False, "<disabled>yes</disabled>", True, flag("disabled")),
    ("client_buffer", "client_buffer.queue_size", 5000, "<queue_size>100000</queue_size>", 100000, number("queue_size", 1, 100000)),
    ("client_buffer", "client_buffer.events_per_second", 500, "<events_per_second>1000</events_per_second>", 1000, number("events_per_second", 1, 1000)),
    ("localfile", "localfiles.log_format", "syslog", "<log_format>multi-line:3</log_format>", "multi-line:3", of("log_format", "multi-line:0", FORMATS)),
    ("localfile", "localfiles.frequency_s", 360, "<frequency>daily</frequency>", 86400, number("frequency", 1, 1_000_000_000)),
    ("localfile", "localfiles.only_future_events", True, "<only-future-events>no</only-future-events>", False, flag("only-future-events")),
    ("localfile", "localfiles.max_size", 10 << 20, '<only-future-events max-size="1KB">yes</only-future-events>', 1024,
     ('<only-future-events max-size="much">yes</only-future-events>', "invalid value for attribute 'max-size': much; such as 10MB")),
    ("localfile", "localfiles.alias", None, "<alias>x</alias>", "x", None),
    ("localfile", "localfiles.exclude", None, "<exclude>*.gz</exclude>", "*.gz", None),
    ("localfile", "localfiles.ignore_binaries", False, "<ignore_binaries>yes</ignore_binaries>", True, flag("ignore_binaries")),
    ("localfile", "localfiles.targets", ("agent",), "<target>agent,s</target>", ("agent", "s"), None),
    ("localfile", "localfiles.out_format", None, "<out_format>$(log)</out_format>", "$(log)", None),
    ("localfile", "localfiles.labels", (), '<label key="a">b</label>', (LabelConfig(key="a", value="b"),), ("<label>b</label>", 'label without a key; <label key="name">value</label>')),
    ("localfile", "localfiles.ignore", (), "<ignore>a</ignore><ignore>b</ignore>", ("a", "b"), None),
    ("localfile", "localfiles.restrict", (), "<restrict>a</restrict>", ("a",), None),
    ("localfile", "localfiles.age_s", None, "<age>1d</age>", 86400, interval("age")),
    ("localfile", "localfiles.multiline_match", "start", '<multiline_regex match="all">x</multiline_regex>', "all",
     ('<multiline_regex match="some">x</multiline_regex>', "invalid value for attribute 'match': some; one of start, all, end")),
    ("localfile", "localfiles.multiline_replace", "no-replace", '<multiline_regex replace="tab">x</multiline_regex>', "tab",
     ('<multiline_regex replace="x">x</multiline_regex>', "invalid value for attribute 'replace': x; one of no-replace, none, wspace, tab")),
    ("localfile", "localfiles.multiline_timeout_s", 5, '<multiline_regex timeout="120">x</multiline_regex>', 120,
     ('<multiline_regex timeout="121">x</multiline_regex>', "invalid value for attribute 'timeout': 121; 1 to 120")),
]  # fmt: skip

AROUND = {
    "cluster": f"<key>{KEY}</key><nodes><node>10.0.0.1</node></nodes>",
    "client": "<server><address>10.0.0.1</address></server>",
    "client server": "<address>10.0.0.1</address>",
    "localfile": "<log_format>syslog</log_format><location>/var/log/x</location>",
}


def nested(path: str, options: str) -> str:
    """`options` in the sections of `path`, with what these need besides, one element a line."""
    text = AROUND.get(path, "") + f"\n{options}\n"
    names = path.split()
    for depth in range(len(names), 0, -1):
        outer = AROUND.get(" ".join(names[: depth - 1]), "") if names[-1] != "server" else ""
        text = f"{outer}<{names[depth - 1]}>{text}</{names[depth - 1]}>"
    if names[0] not in ("client",) and names[0] in ("client_buffer", "localfile"):
        text = f"<client>{AROUND['client']}</client>{text}"
    return f"<ossec_config>{text}</ossec_config>"


def read(config: ManagerConfig | AgentConfig, field: str) -> Any:
    """The value of a dotted field; of the last element where a tuple of sections is on the way."""
    head, _, rest = field.partition(".")
    value = getattr(config, head)
    if head in ("remotes", "localfiles"):
        return attrgetter(rest)(value[-1])
    if rest.startswith("servers."):
        return attrgetter(rest.removeprefix("servers."))(value.servers[-1])
    return attrgetter(rest)(value) if rest else value


def cases(options: list[tuple[str, str, Any, str, Any, tuple[str, str] | None]]) -> list[Any]:
    return [pytest.param(*case, id=f"{case[1]}={shown(case[4])}") for case in options]


def shown(value: object) -> str:
    """The same text in every process, which sets do not have by themselves."""
    return ",".join(sorted(map(str, value))) if isinstance(value, set | frozenset) else str(value)


def check(
    parse: Any, path: str, field: str, default: Any, good: str, value: Any, bad: tuple[str, str] | None
) -> None:
    assert read(parse(nested(path, "")).config, field) == default
    assert read(parse(nested(path, good)).config, field) == value
    if bad is None:
        return
    with pytest.raises(ConfigError) as error:
        parse(nested(path, bad[0]))
    (fault,) = [each for each in error.value.faults if not each.is_warning]
    assert str(fault) == f"etc/ossec.conf:2: error: {bad[1]}"


@pytest.mark.parametrize(("path", "field", "default", "good", "value", "bad"), cases(NODE_OPTIONS))
def test_an_option_of_a_node(
    path: str, field: str, default: Any, good: str, value: Any, bad: tuple[str, str] | None
) -> None:
    check(parse_manager, path, field, default, good, value, bad)


@pytest.mark.parametrize(("path", "field", "default", "good", "value", "bad"), cases(AGENT_OPTIONS))
def test_an_option_of_an_agent(
    path: str, field: str, default: Any, good: str, value: Any, bad: tuple[str, str] | None
) -> None:
    check(parse_agent, path, field, default, good, value, bad)


@pytest.mark.parametrize("options", [NODE_OPTIONS, AGENT_OPTIONS], ids=["node", "agent"])
def test_an_empty_option_is_absent(options: list[tuple[str, str, Any, str, Any, Any]]) -> None:
    parse: Any = parse_manager if options is NODE_OPTIONS else parse_agent
    for path, field, default, good, _, _ in options:
        element = good.removeprefix("<").split(">")[0].split(" ")[0].rstrip("/")
        if path != "labels":
            assert read(parse(nested(path, f"<{element}></{element}>")).config, field) == default, element


@pytest.mark.parametrize(
    ("parse", "path", "text", "told"),
    [
        (parse_manager, "global", "<logall>no</logall><logall>yes</logall>", "'logall' is given again, after line 2; only the last one is used"),
        (parse_manager, "global", '<logall x="1">no</logall>', "attribute 'x' of 'logall' has no effect"),
        (parse_manager, "global", "no", "text between the options of global; elements only"),
        (parse_manager, "global", "<white_list>127.0.0.1</white_list><limits><eps><maximum>1</maximum></eps></limits>", "options of global without effect here: white_list, limits"),
        (parse_manager, "global", "<email_notification>yes</email_notification>", "no e-mail is sent by this product; email_notification no"),
        (parse_manager, "ruleset", "<include>x.xml</include>", "include is deprecated; <rule_include>"),
        (parse_manager, "auth", "<limit_maxagents>yes</limit_maxagents>", "options of auth without effect here: limit_maxagents"),
        (parse_manager, "auth", "<key_request><enabled>yes</enabled></key_request>", "key_request is not supported; unknown agents are looked up in the cluster"),
        (parse_manager, "cluster", "<haproxy_helper><haproxy_disabled>no</haproxy_disabled></haproxy_helper>", "haproxy_helper is not needed; see garrison balancer-config haproxy"),
        (parse_manager, "cluster", "<socket_timeout>1</socket_timeout>", "options of cluster without effect here: socket_timeout"),
        (parse_manager, "labels", '<label key="_x">v</label>', "label '_x' is passed over; keys do not begin with '_'"),
        (parse_agent, "client_buffer", "<disable>yes</disable>", "disable is deprecated; <disabled>"),
        (parse_agent, "client_buffer", "<length>9</length>", "length is deprecated; <queue_size>"),
        (parse_agent, "client", "<server-hostname>b</server-hostname>", "server-hostname is deprecated; <server><address>ADDRESS</address></server>"),
        (parse_agent, "client", "<time-reconnect>10</time-reconnect>", "time-reconnect is not above notify_time: 60 s are used; more than 20"),
        (parse_agent, "localfile", "<reconnect_time>9</reconnect_time>", "options of localfile without effect here: reconnect_time"),
        (parse_agent, "localfile", '<ignore type="osregex">x</ignore>', "attribute 'type' of 'ignore' has no effect"),
    ],
)  # fmt: skip
def test_what_is_tolerated_is_told_once_with_its_line(parse: Any, path: str, text: str, told: str) -> None:
    (warning,) = parse(nested(path, text)).warnings
    assert str(warning) in (f"etc/ossec.conf:{line}: warning: {told}" for line in (1, 2))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<remote><proxy_trusted>10.0.0.1</proxy_trusted></remote>", "proxy_trusted has no effect without proxy_protocol; <proxy_protocol>yes</proxy_protocol>"),
        ("<remote><connection>syslog</connection></remote>", "nobody may send syslog here; <allowed-ips> with an address or network: the port stays closed without one"),
        ("<remote><allowed-ips>10.0.0.1</allowed-ips></remote>", "allowed-ips and denied-ips have no effect on agents; syslog only"),
        ('<wodle name="osquery"><disabled>yes</disabled></wodle>', "section 'wodle' 'osquery' has no effect here; it is not used by this product"),
        ('<auth x="1"/>', "attribute 'x' of 'auth' has no effect"),
        ("words", "text between the sections of ossec_config; elements only"),
    ],
)  # fmt: skip
def test_what_is_tolerated_about_sections(text: str, told: str) -> None:
    (warning,) = parse_manager(f"<ossec_config>{text}</ossec_config>").warnings
    assert str(warning) == f"etc/ossec.conf:1: warning: {told}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<global><logall>no<x/></logall></global>", "elements inside 'logall'; its value alone"),
        ("<auth/><remote><port>1515</port></remote>", "port 1515 is also that of <remote>; two different ports"),
        ("<remote><connection>syslog</connection><protocol>tcp,</protocol></remote>", "invalid value for element 'protocol': tcp,; tcp, udp or tcp,udp"),
        ("<remote><port>" + "9" * 5000 + "</port></remote>", "invalid value for element 'port': " + "9" * 60 + "...; a whole number from 1 to 65535"),
        ("<remote><port>²</port></remote>", "invalid value for element 'port': ²; a whole number from 1 to 65535"),
        ("<remote><port>٣</port></remote>", "invalid value for element 'port': ٣; a whole number from 1 to 65535"),
        ("<remote><local_ip>fe80::1%a;}</local_ip></remote>", "invalid value for element 'local_ip': fe80::1%a;}; " + ADDRESS),
        ("<remote><local_ip>a\u009b\nb</local_ip></remote>", "invalid value for element 'local_ip': a\\x9b\\x0ab; " + ADDRESS),
    ],
)  # fmt: skip
def test_faults_that_take_more_than_one_option_or_trick_the_reader(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_manager(f"<ossec_config>{text}</ossec_config>")
    (fault,) = [each for each in error.value.faults if not each.is_warning]
    assert str(fault) == f"etc/ossec.conf:1: error: {told}"


def test_two_ports_of_one_number_are_fine_on_two_addresses() -> None:
    text = "<auth><local_ip>127.0.0.2</local_ip></auth><remote><port>1515</port><local_ip>127.0.0.3</local_ip></remote>"
    assert parse_manager(f"<ossec_config>{text}</ossec_config>").warnings == ()


def test_the_key_is_in_no_fault_and_no_repr() -> None:
    secret = "S3cretS3cretS3cretS3cretS3cret!!"
    for key in (secret, f" {KEY}", KEY + "\n", "é" * 32, "é" * 16):
        text = f"<ossec_config><cluster><key>{key}</key><key>{key}</key><nodes><node>a</node></nodes></cluster></ossec_config>"
        with pytest.raises(ConfigError) as error:
            parse_manager(text)
        assert key.strip() not in str(error.value) + repr(error.value.faults)
    good = (
        f"<ossec_config><cluster><key>{KEY[:-1]}_</key><nodes><node>a</node></nodes></cluster></ossec_config>"
    )
    parsed = parse_manager(good)
    assert parsed.config.cluster.key == KEY[:-1] + "_" and KEY[:-1] not in repr(parsed)


def test_faults_are_bounded_and_errors_survive_many_warnings() -> None:
    many = "<localfile/>" * 3000
    assert len(parse_manager(f"<ossec_config>{many}</ossec_config>").warnings) == 500
    with pytest.raises(ConfigError) as error:
        parse_manager(f"<ossec_config>{many}<cluster></cluster>{'<nonsense/>' * 3000}</ossec_config>")
    found = [fault.found for fault in error.value.faults if not fault.is_warning]
    assert len(found) == 500 and "Unspecified key" in found and "and more of this kind" in found
