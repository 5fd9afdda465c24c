"""The texts of a new home folder's configuration: every option with a line that says what it is. Pure.

Answers are put down as they were given: whether they are right is for the parser to say, so numbers may still be words.
"""

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
    port: int | str = 1516
    engine_port: int | str = 1517
    agent_port: int | str = 1514
    enroll_port: int | str = 1515
    use_password: bool = False
    hidden: bool = False
    logall: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAnswer:
    """One manager that an agent may connect to."""

    address: str
    port: int | str = 1514


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentAnswers:
    """What `garrison init agent` was told."""

    servers: tuple[ServerAnswer, ...]
    name: str | None = None
    logs: tuple[str, ...] = ()
    enroll_manager: str | None = None
    enroll_port: int | str = 1515
    local_ip: str | None = None
    max_retries: int | str = 5
    retry_interval_s: int | str = 10
    notify_time_s: int | str = 20


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _shown(number: int | str) -> str:
    return escape(str(number))


def _local_ip(bind: str) -> str:
    if bind in ("", "0.0.0.0", "::"):
        return ""
    return (
        f"    <!-- the address to listen on; all when left out -->\n    <local_ip>{escape(bind)}</local_ip>\n"
    )


def manager_conf(answers: ManagerAnswers) -> str:
    """`etc/ossec.conf` of a node."""
    nodes = "\n".join(f"      <node>{escape(node)}</node>" for node in answers.nodes)
    local_ip = _local_ip(answers.bind)
    return f"""\
<!-- Garrison: configuration of this node alone. It is not copied to other nodes;
     a change takes effect with bin/garrison-control reload or restart. -->
<ossec_config>

  <global>
    <!-- alerts as JSON, for tools: logs/alerts/alerts.json -->
    <jsonout_output>yes</jsonout_output>
    <!-- alerts as text, for people: logs/alerts/alerts.log -->
    <alerts_log>yes</alerts_log>
    <!-- every event, alert or not, as text: logs/archives/archives.log -->
    <logall>no</logall>
    <!-- every event, alert or not, as JSON: logs/archives/archives.json -->
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
    <!-- secure: agents connect here -->
    <connection>secure</connection>
    <!-- the port that agents connect to -->
    <port>{_shown(answers.agent_port)}</port>
    <!-- tcp, udp or both as tcp,udp -->
    <protocol>tcp</protocol>
{local_ip}    <!-- seconds of silence after which a second connection of one agent takes over; 0: never -->
    <connection_overtake_time>60</connection_overtake_time>
    <!-- behind a balancer that sends it: <proxy_protocol>yes</proxy_protocol>
         and the balancer's address in <proxy_trusted> -->
  </remote>

  <auth>
    <!-- agents get their key here; any node can enroll -->
    <disabled>no</disabled>
    <!-- the port that agents enroll at -->
    <port>{_shown(answers.enroll_port)}</port>
{local_ip}    <!-- yes: agents must know the first line of etc/authd.pass -->
    <use_password>{_yes(answers.use_password)}</use_password>
    <!-- yes: register the address that asks instead of any -->
    <use_source_ip>no</use_source_ip>
    <!-- when a newcomer may take the name of another agent -->
    <force>
      <!-- no: never -->
      <enabled>yes</enabled>
      <!-- yes: not when it still has the key of that agent -->
      <key_mismatch>yes</key_mismatch>
      <!-- not before that agent has been disconnected so long -->
      <disconnected_time enabled="yes">1h</disconnected_time>
      <!-- not before that agent has been registered so long -->
      <after_registration_time>1h</after_registration_time>
    </force>
  </auth>

  <cluster>
    <!-- the same on every node -->
    <name>{escape(answers.cluster_name)}</name>
    <!-- letters, digits, _ and -; every node its own -->
    <node_name>{escape(answers.node_name)}</node_name>
    <!-- master: may be the master; worker: never is -->
    <node_type>{escape(answers.node_type)}</node_type>
    <!-- the same on every node; whoever has it belongs to the cluster -->
    <key>{escape(answers.key)}</key>
    <!-- nodes connect to the engine here -->
    <port>{_shown(answers.port)}</port>
    <!-- engine members talk to each other here -->
    <engine_port>{_shown(answers.engine_port)}</engine_port>
    <!-- the address that this node is reached at; 0.0.0.0: all of its addresses -->
    <bind_addr>{escape(answers.bind)}</bind_addr>
    <!-- the engine members: one, or three or five that survive the loss of a minority -->
    <nodes>
{nodes}
    </nodes>
    <!-- yes leaves the cluster's name out of alerts -->
    <hidden>{_yes(answers.hidden)}</hidden>
    <!-- yes: this node is alone -->
    <disabled>no</disabled>
  </cluster>

  <ruleset>
    <!-- the starter ruleset -->
    <decoder_dir>ruleset/decoders</decoder_dir>
    <rule_dir>ruleset/rules</rule_dir>
    <!-- your own decoders and rules; lists that they look into: <list>etc/lists/NAME</list> -->
    <decoder_dir>etc/decoders</decoder_dir>
    <rule_dir>etc/rules</rule_dir>
  </ruleset>

</ossec_config>
"""


def agent_conf(answers: AgentAnswers) -> str:
    """`etc/ossec.conf` of an agent."""
    servers = "".join(_server(server, answers) for server in answers.servers)
    local_ip = ""
    if answers.local_ip:
        local_ip = (
            f"    <!-- the address it comes from -->\n    <local_ip>{escape(answers.local_ip)}</local_ip>\n"
        )
    return f"""\
<!-- Garrison: configuration of this agent. What its groups add comes from the managers. -->
<ossec_config>

  <client>
    <!-- managers in the order in which they are tried: the address, the port, tcp or udp, how many tries
         before the next one, and the seconds between two tries -->
{servers}    <!-- seconds between two signs of life -->
    <notify_time>{_shown(answers.notify_time_s)}</notify_time>
    <!-- so many seconds without an answer, and the agent connects anew -->
    <time-reconnect>{_time_reconnect(answers.notify_time_s)}</time-reconnect>
    <!-- take over what the managers change in the groups' configuration -->
    <auto_restart>yes</auto_restart>
    <!-- the cipher of its messages: aes or blowfish -->
    <crypto_method>aes</crypto_method>
{local_ip}{_enrollment(answers)}  </client>

  <client_buffer>
    <!-- yes: send at once, and lose what cannot be sent -->
    <disabled>no</disabled>
    <!-- messages that wait for the connection -->
    <queue_size>5000</queue_size>
    <!-- messages that leave in a second, at most -->
    <events_per_second>500</events_per_second>
  </client_buffer>

{_localfiles(answers.logs)}</ossec_config>
"""


def _time_reconnect(notify_time_s: int | str) -> int:
    """Seconds: 60, or three signs of life where these are rarer."""
    word = str(notify_time_s)
    return max(60, 3 * int(word)) if word.isascii() and word.isdigit() and len(word) <= 5 else 60


def _server(server: ServerAnswer, answers: AgentAnswers) -> str:
    return f"""\
    <server>
      <address>{escape(server.address)}</address>
      <port>{_shown(server.port)}</port>
      <protocol>tcp</protocol>
      <max_retries>{_shown(answers.max_retries)}</max_retries>
      <retry_interval>{_shown(answers.retry_interval_s)}</retry_interval>
    </server>
"""


def _enrollment(answers: AgentAnswers) -> str:
    name = manager = ""
    if answers.name is not None:
        name = (
            "      <!-- its name; the host's when left out -->\n"
            f"      <agent_name>{escape(answers.name)}</agent_name>\n"
        )
    if answers.enroll_manager is not None:
        manager = (
            "      <!-- where it enrolls; at its managers when left out -->\n"
            f"      <manager_address>{escape(answers.enroll_manager)}</manager_address>\n"
        )
    return f"""\
    <!-- an agent without a key asks for one; the password is in etc/authd.pass -->
    <enrollment>
      <!-- no: the key is brought by hand -->
      <enabled>yes</enabled>
{manager}      <!-- the managers' port for enrollment -->
      <port>{_shown(answers.enroll_port)}</port>
{name}      <!-- seconds between getting the key and the first connection -->
      <delay_after_enrollment>1</delay_after_enrollment>
    </enrollment>
"""


def _localfiles(logs: Sequence[str]) -> str:
    return "".join(
        f"""\
  <localfile>
    <!-- syslog: one line, one event -->
    <log_format>syslog</log_format>
    <!-- the file that is followed -->
    <location>{escape(log)}</location>
  </localfile>

"""
        for log in logs
    )
