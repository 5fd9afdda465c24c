"""The configuration as frozen values. After loading nobody reads XML or a dict; a change replaces the whole value.

Defaults and ranges: spec/cluster.md 1.1 (`<cluster>`), spec/agent-channel.md 2.6 and 2.8 (`<auth>`), 8 (agent,
`<remote>`, `<global>`, internal options), spec/analysis.md 4, 13.1, 15, 16.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Protocol = Literal["tcp", "udp"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    """`<cluster>`. Without the block (`present` False) the node is a cluster of one, its engine on loopback."""

    present: bool = False
    disabled: bool = True
    name: str = "wazuh"
    node_name: str = "node01"
    node_type: Literal["master", "worker"] = "master"
    key: str = field(default="", repr=False)
    port: int = 1516
    engine_port: int = 1517
    """Port of the engine members among themselves (ours)."""
    bind_addr: str = "0.0.0.0"
    nodes: tuple[str, ...] = ()
    hidden: bool = False
    engine_path: str | None = None
    """A nats-server binary of the system instead of the one that comes with us (ours)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForceConfig:
    """`<auth><force>`: when a newcomer replaces an agent of the same name or address. Times in seconds."""

    enabled: bool = True
    disconnected_time_enabled: bool = True
    disconnected_time_s: int = 3600
    after_registration_time_s: int = 3600
    key_mismatch: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthConfig:
    """`<auth>`: enrollment. `local_ip` (ours) is the address to listen on."""

    disabled: bool = False
    remote_enrollment: bool = True
    port: int = 1515
    local_ip: str | None = None
    ipv6: bool = False
    use_source_ip: bool = False
    purge: bool = False
    use_password: bool = False
    ciphers: str = "HIGH:!ADH:!EXP:!MD5:!RC4:!3DES:!CAMELLIA:@STRENGTH"
    ssl_agent_ca: str | None = None
    ssl_verify_host: bool = False
    ssl_manager_cert: str = "etc/sslmanager.cert"
    ssl_manager_key: str = "etc/sslmanager.key"
    ssl_auto_negotiate: bool = False
    force: ForceConfig = ForceConfig()
    allow_higher_versions: bool = True
    """Newer 4.x agents may enroll: our default, unlike the reference's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteConfig:
    """One `<remote>` block."""

    connection: Literal["secure", "syslog"] = "secure"
    port: int = 1514
    protocols: frozenset[Protocol] = frozenset({"tcp"})
    local_ip: str | None = None
    ipv6: bool = False
    queue_size: int = 131072
    rids_closing_time_s: int = 300
    connection_overtake_time_s: int = 60
    """Silence after which a second connection of one agent takes over; 0: never."""
    allow_higher_versions: bool = True
    proxy_protocol: bool = False
    """Connections of `proxy_trusted` begin with a PROXY protocol header (ours)."""
    proxy_trusted: tuple[str, ...] = ()
    allowed_ips: tuple[str, ...] = ()
    denied_ips: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalConfig:
    """`<global>` of a node. Times in seconds, sizes in bytes; 0 means off for the rotation values."""

    jsonout_output: bool = True
    alerts_log: bool = True
    logall: bool = False
    logall_json: bool = False
    memory_size: int = 8192
    agents_disconnection_time_s: int = 900
    agents_disconnection_alert_time_s: int = 0
    rotate_interval_s: int = 0
    max_output_size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsConfig:
    """`<alerts>`: levels from which on an alert is written, and marked for e-mail."""

    log_alert_level: int = 3
    email_alert_level: int = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderConfig:
    """A `decoder_dir` or `rule_dir`: `pattern` is an OS_Regex on the path."""

    path: str
    pattern: str = ".xml$"


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesetConfig:
    """`<ruleset>`: which files, relative to the home folder."""

    decoder_dirs: tuple[FolderConfig, ...] = ()
    rule_dirs: tuple[FolderConfig, ...] = ()
    decoder_include: tuple[str, ...] = ()
    rule_include: tuple[str, ...] = ()
    decoder_exclude: tuple[str, ...] = ()
    rule_exclude: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """One `<client><server>`: where an agent connects. Times in seconds."""

    address: str
    port: int = 1514
    protocol: Protocol = "tcp"
    max_retries: int = 5
    retry_interval_s: int = 10
    interface_index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollmentConfig:
    """`<client><enrollment>`: how an agent gets its key by itself."""

    enabled: bool = True
    manager_address: str | None = None
    port: int = 1515
    agent_name: str | None = None
    groups: tuple[str, ...] = ()
    agent_address: str | None = None
    ssl_cipher: str = "HIGH:!ADH:!EXP:!MD5:!RC4:!3DES:!CAMELLIA:@STRENGTH"
    server_ca_path: str | None = None
    agent_certificate_path: str | None = None
    agent_key_path: str | None = None
    authorization_pass_path: str = "etc/authd.pass"
    auto_method: bool = False
    delay_after_enrollment_s: int = 20
    use_source_ip: bool = False
    interface_index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """`<client>` of an agent. Times in seconds; 0 for `force_reconnect_interval_s` means never."""

    servers: tuple[ServerConfig, ...] = ()
    config_profile: str | None = None
    notify_time_s: int = 20
    time_reconnect_s: int = 60
    force_reconnect_interval_s: int = 0
    ip_update_interval_s: int = 0
    auto_restart: bool = True
    crypto_method: Literal["aes", "blowfish"] = "aes"
    disable_active_response: bool = False
    local_ip: str | None = None
    """Source address of the agent's connections."""
    enrollment: EnrollmentConfig = EnrollmentConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientBufferConfig:
    """`<client_buffer>`: messages, and messages a second."""

    disabled: bool = False
    queue_size: int = 5000
    events_per_second: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelConfig:
    """One label of an agent."""

    key: str
    value: str
    hidden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalfileConfig:
    """One `<localfile>`: a source of log lines. `line` is where it stands in its file."""

    log_format: str
    location: str | None = None
    command: str | None = None
    alias: str | None = None
    frequency_s: int = 360
    only_future_events: bool = True
    max_size: int = 10 * 1024 * 1024
    exclude: str | None = None
    ignore_binaries: bool = False
    targets: tuple[str, ...] = ("agent",)
    out_format: str | None = None
    labels: tuple[LabelConfig, ...] = ()
    ignore: tuple[str, ...] = ()
    restrict: tuple[str, ...] = ()
    age_s: int | None = None
    query: str | None = None
    multiline_regex: str | None = None
    multiline_match: str = "start"
    multiline_replace: str = "no-replace"
    multiline_timeout_s: int = 5
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class InternalOptions:
    """`etc/internal_options.conf`, overridden by `etc/local_internal_options.conf`; see `internal.TABLE`."""

    agent_tolerance_s: int = 15
    agent_warn_level: int = 90
    agent_normal_level: int = 70
    agent_min_eps: int = 50
    agent_state_interval_s: int = 5
    agent_recv_timeout_s: int = 60
    agent_remote_conf: int = 1
    remoted_verify_msg_id: int = 0
    remoted_request_pool: int = 1024
    remoted_max_attempts: int = 4
    remoted_request_rto_sec: int = 1
    remoted_request_rto_msec: int = 0
    remoted_request_timeout_s: int = 10
    remoted_response_timeout_s: int = 60
    remoted_shared_reload_s: int = 10
    remoted_send_buffer_size: int = 131072
    remoted_send_timeout_to_retry_s: int = 1
    remoted_tcp_keepidle_s: int = 30
    remoted_tcp_keepintvl_s: int = 10
    remoted_tcp_keepcnt: int = 3
    remoted_guess_agent_group: int = 0
    logcollector_remote_commands: int = 0
    monitord_delete_old_agents_min: int = 0
    analysisd_show_hidden_labels: int = 0
    analysisd_log_fw: int = 1
    analysisd_default_timeframe_s: int = 360


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTestConfig:
    """`<rule_test>`: sessions of the log test. Source: spec/analysis-3-outputs.md 8.4."""

    enabled: bool = True
    max_sessions: int = 64
    """1 to 500; one more, and the session that was idle longest goes."""
    session_timeout_s: int = 900
    """1 s to a year."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerConfig:
    """A node's whole configuration."""

    global_: GlobalConfig = GlobalConfig()
    alerts: AlertsConfig = AlertsConfig()
    cluster: ClusterConfig = ClusterConfig()
    auth: AuthConfig = AuthConfig()
    remotes: tuple[RemoteConfig, ...] = ()
    ruleset: RulesetConfig = RulesetConfig()
    labels: tuple[LabelConfig, ...] = ()
    rule_test: RuleTestConfig = RuleTestConfig()
    internal: InternalOptions = InternalOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """An agent's whole configuration."""

    client: ClientConfig = ClientConfig()
    client_buffer: ClientBufferConfig = ClientBufferConfig()
    labels: tuple[LabelConfig, ...] = ()
    localfiles: tuple[LocalfileConfig, ...] = ()
    internal: InternalOptions = InternalOptions()
