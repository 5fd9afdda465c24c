"""From the configuration to what each part of the agent goes by. Pure."""

from __future__ import annotations

from pathlib import Path

from garrison.agent.buffer import BufferSettings
from garrison.agent.enroll import Order, agent_name, ip_field
from garrison.agent.requests import RetryRule
from garrison.agent.session import Facts, SessionSettings
from garrison.agent.tail import MOST_FILES, SAMPLE_CHARS
from garrison.config.model import AgentConfig, InternalOptions
from garrison.wire.client_keys import KeyEntry


def session_settings(config: AgentConfig, version: str) -> SessionSettings:
    """What the state machine goes by."""
    client, internal = config.client, config.internal
    return SessionSettings(
        servers=client.servers,
        version=version,
        notify_time_s=client.notify_time_s,
        time_reconnect_s=client.time_reconnect_s,
        force_reconnect_interval_s=client.force_reconnect_interval_s,
        recv_timeout_s=internal.agent_recv_timeout_s,
        enrollment_enabled=client.enrollment.enabled,
        enrollment_address=client.enrollment.manager_address,
        delay_after_enrollment_s=client.enrollment.delay_after_enrollment_s,
        retry_rule=RetryRule(
            interval_s=internal.remoted_request_rto_sec + internal.remoted_request_rto_msec / 1000,
            max_attempts=internal.remoted_max_attempts,
        ),
    )


def buffer_settings(config: AgentConfig) -> BufferSettings:
    """What the ring goes by."""
    buffer, internal = config.client_buffer, config.internal
    return BufferSettings(
        enabled=not buffer.disabled,
        queue_size=buffer.queue_size,
        events_per_second=max(buffer.events_per_second, internal.agent_min_eps),
        warn_level=internal.agent_warn_level,
        normal_level=internal.agent_normal_level,
        tolerance_s=internal.agent_tolerance_s,
    )


def facts(uname: str, config: AgentConfig, sums: tuple[str | None, str | None]) -> Facts:
    """What a keepalive tells; `sums` are those of agent.conf and merged.mg."""
    config_sum, merged_sum = sums
    labels = tuple(
        f'{"!" if label.hidden else ""}"{_one_line(label.key)}":{_one_line(label.value)}'
        for label in config.labels
    )
    return Facts(uname=uname, config_sum=config_sum, merged_sum=merged_sum, labels=labels)


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())


def enrollment_order(
    config: AgentConfig,
    address: str,
    *,
    host_name: str,
    version: str,
    key: KeyEntry | None,
    password: str | None,
    home: Path,
) -> Order:
    """The enrollment that the configuration asks for. Raises `PeerError` for a name or address that is none."""
    enrollment = config.client.enrollment

    def inside(path: str | None) -> str | None:
        return str(home / path) if path else None

    return Order(
        address=address,
        port=enrollment.port,
        name=agent_name(enrollment.agent_name, host_name, allows_localhost=False),
        version=version,
        groups=tuple(enrollment.groups),
        ip=ip_field(enrollment.agent_address, use_source_ip=enrollment.use_source_ip),
        key_hash=key.hash() if key else None,
        password=password,
        ciphers=enrollment.ssl_cipher,
        ca_path=inside(enrollment.server_ca_path),
        certificate_path=inside(enrollment.agent_certificate_path),
        key_path=inside(enrollment.agent_key_path),
        auto_method=enrollment.auto_method,
        timeout_s=config.internal.agent_recv_timeout_s,
    )


def internal_view(options: InternalOptions) -> dict[str, dict[str, int]]:
    """The internal options in use, as callers know them."""
    return {
        "agent": {
            "debug": 0,
            "warn_level": options.agent_warn_level,
            "normal_level": options.agent_normal_level,
            "tolerance": options.agent_tolerance_s,
            "recv_timeout": options.agent_recv_timeout_s,
            "state_interval": options.agent_state_interval_s,
            "min_eps": options.agent_min_eps,
            "remote_conf": options.agent_remote_conf,
        },
        "remoted": {
            "request_pool": options.remoted_request_pool,
            "request_rto_sec": options.remoted_request_rto_sec,
            "request_rto_msec": options.remoted_request_rto_msec,
            "max_attempts": options.remoted_max_attempts,
            "verify_msg_id": options.remoted_verify_msg_id,
        },
        "logcollector": {
            "remote_commands": options.logcollector_remote_commands,
            "max_files": MOST_FILES,
            "sample_log_length": SAMPLE_CHARS,
        },
    }
