"""The texts of a new home folder's configuration: every option with a line that says what it is. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerAnswers:
    """What `garrison init manager` was told."""

    node_name: str
    node_type: str
    key: str
    bind: str = "0.0.0.0"
    cluster_name: str = "wazuh"
    nodes: tuple[str, ...] = ()
    port: int = 1516
    engine_port: int = 1517
    agent_port: int = 1514
    enroll_port: int = 1515
    use_password: bool = False
    hidden: bool = False
    logall: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAnswer:
    """One manager that an agent may connect to."""

    address: str
    port: int = 1514


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentAnswers:
    """What `garrison init agent` was told."""

    servers: tuple[ServerAnswer, ...]
    name: str | None = None
    logs: tuple[str, ...] = ()
    enroll_manager: str | None = None
    enroll_port: int = 1515
    local_ip: str | None = None
    max_retries: int = 5
    retry_interval_s: int = 10
    notify_time_s: int = 20


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _local_ip(bind: str) -> str:
    return f"    <local_ip>{escape(bind)}</local_ip>\n" if bind not in ("", "0.0.0.0", "::") else ""


def manager_conf(answers: ManagerAnswers) -> str:
    """`etc/ossec.conf` of a node."""
    nodes = "\n".join(f"      <node>{escape(node)}</node>" for node in answers.nodes)
    local_ip = _local_ip(answers.bind)
    return f"""\
<!-- Garrison: configuration of this node alone. It is not copied to other nodes;
     a change takes effect with bin/garrison-control reload or restart. -->
<ossec_config>

  <global>
    <!-- alerts as JSON, for tools -->
    <jsonout_output>yes</jsonout_output>
    <!-- alerts as text, for people -->
    <alerts_log>yes</alerts_log>
    <!-- every event, alert or not, as text and as JSON -->
    <logall>no</logall>
    <logall_json>{_yes(answers.logall)}</logall_json>
    <!-- an agent that is silent so long is disconnected -->
    <agents_disconnection_time>15m</agents_disconnection_time>
    <!-- and so long after that an alert says so -->
    <agents_disconnection_alert_time>0</agents_disconnection_alert_time>
  </global>

  <alerts>
    <!-- lowest level of a rule that is written as an alert -->
    <log_alert_level>3</log_alert_level>
    <!-- lowest level that is marked for e-mail -->
    <email_alert_level>12</email_alert_level>
  </alerts>

  <remote>
    <!-- where agents connect -->
    <connection>secure</connection>
    <port>{answers.agent_port}</port>
    <!-- tcp, udp or both -->
    <protocol>tcp</protocol>
{local_ip}    <!-- a second connection of one agent is refused until the first has been silent so many seconds -->
    <connection_overtake_time>60</connection_overtake_time>
    <!-- behind a balancer that sends it: <proxy_protocol>yes</proxy_protocol>
         and the balancer's address in <proxy_trusted> -->
  </remote>

  <auth>
    <!-- where agents get their key; any node can enroll -->
    <disabled>no</disabled>
    <port>{answers.enroll_port}</port>
{local_ip}    <!-- the password is the first line of etc/authd.pass -->
    <use_password>{_yes(answers.use_password)}</use_password>
    <!-- register the address that asks instead of any -->
    <use_source_ip>no</use_source_ip>
    <!-- when a newcomer may take the name of another agent -->
    <force>
      <enabled>yes</enabled>
      <key_mismatch>yes</key_mismatch>
      <disconnected_time enabled="yes">1h</disconnected_time>
      <after_registration_time>1h</after_registration_time>
    </force>
  </auth>

  <cluster>
    <name>{escape(answers.cluster_name)}</name>
    <!-- letters, digits, _ and -; every node its own -->
    <node_name>{escape(answers.node_name)}</node_name>
    <!-- master: may be the master; worker: never is -->
    <node_type>{escape(answers.node_type)}</node_type>
    <!-- the same on every node; whoever has it belongs to the cluster -->
    <key>{escape(answers.key)}</key>
    <!-- nodes connect to the engine here -->
    <port>{answers.port}</port>
    <!-- engine members talk to each other here -->
    <engine_port>{answers.engine_port}</engine_port>
    <bind_addr>{escape(answers.bind)}</bind_addr>
    <!-- the engine members: one, or three or five that survive the loss of a minority -->
    <nodes>
{nodes}
    </nodes>
    <!-- yes leaves the cluster's name out of alerts -->
    <hidden>{_yes(answers.hidden)}</hidden>
    <disabled>no</disabled>
  </cluster>

  <ruleset>
    <!-- the starter ruleset, then your own decoders, rules and lists -->
    <decoder_dir>ruleset/decoders</decoder_dir>
    <rule_dir>ruleset/rules</rule_dir>
    <decoder_dir>etc/decoders</decoder_dir>
    <rule_dir>etc/rules</rule_dir>
  </ruleset>

</ossec_config>
"""


def agent_conf(answers: AgentAnswers) -> str:
    """`etc/ossec.conf` of an agent."""
    servers = "".join(_server(server, answers) for server in answers.servers)
    local_ip = f"    <local_ip>{escape(answers.local_ip)}</local_ip>\n" if answers.local_ip else ""
    return f"""\
<!-- Garrison: configuration of this agent. What its groups add comes from the managers. -->
<ossec_config>

  <client>
    <!-- managers in the order in which they are tried -->
{servers}    <!-- seconds between two signs of life -->
    <notify_time>{answers.notify_time_s}</notify_time>
    <!-- so many seconds without an answer, and the agent connects anew -->
    <time-reconnect>60</time-reconnect>
    <!-- take over what the managers change in the groups' configuration -->
    <auto_restart>yes</auto_restart>
    <crypto_method>aes</crypto_method>
{local_ip}{_enrollment(answers)}  </client>

  <client_buffer>
    <!-- messages that wait for the connection, and how many a second leave -->
    <disabled>no</disabled>
    <queue_size>5000</queue_size>
    <events_per_second>500</events_per_second>
  </client_buffer>

{_localfiles(answers.logs)}</ossec_config>
"""


def _server(server: ServerAnswer, answers: AgentAnswers) -> str:
    return f"""\
    <server>
      <address>{escape(server.address)}</address>
      <port>{server.port}</port>
      <protocol>tcp</protocol>
      <max_retries>{answers.max_retries}</max_retries>
      <retry_interval>{answers.retry_interval_s}</retry_interval>
    </server>
"""


def _enrollment(answers: AgentAnswers) -> str:
    name = f"      <agent_name>{escape(answers.name)}</agent_name>\n" if answers.name else ""
    manager = ""
    if answers.enroll_manager:
        manager = f"      <manager_address>{escape(answers.enroll_manager)}</manager_address>\n"
    return f"""\
    <!-- an agent without a key asks for one; the password is in etc/authd.pass -->
    <enrollment>
      <enabled>yes</enabled>
{manager}      <port>{answers.enroll_port}</port>
{name}      <delay_after_enrollment>1</delay_after_enrollment>
    </enrollment>
"""


def _localfiles(logs: Sequence[str]) -> str:
    return "".join(
        f"""\
  <localfile>
    <!-- one line, one event -->
    <log_format>syslog</log_format>
    <location>{escape(log)}</location>
  </localfile>

"""
        for log in logs
    )
