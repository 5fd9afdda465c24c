"""`etc/internal_options.conf`: one `name=value` a line, value decimal. Pure.

Source: spec/agent-channel.md 8.5. Options that we have no use for are accepted; a known one out of range is a fault.
"""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import Any

from garrison.config.model import InternalOptions
from garrison.config.reading import Faults

_LINE = re.compile(r"\s*([a-z_]+\.[a-z0-9_]+)\s*=\s*(\S*)\s*")

TABLE: dict[str, tuple[str, int, int]] = {
    "agent.tolerance": ("agent_tolerance_s", 0, 600),
    "agent.warn_level": ("agent_warn_level", 1, 100),
    "agent.normal_level": ("agent_normal_level", 0, 99),
    "agent.min_eps": ("agent_min_eps", 1, 1000),
    "agent.state_interval": ("agent_state_interval_s", 0, 86400),
    "agent.recv_timeout": ("agent_recv_timeout_s", 1, 600),
    "agent.remote_conf": ("agent_remote_conf", 0, 1),
    "remoted.verify_msg_id": ("remoted_verify_msg_id", 0, 1),
    "remoted.request_pool": ("remoted_request_pool", 1, 4096),
    "remoted.max_attempts": ("remoted_max_attempts", 1, 16),
    "remoted.request_rto_sec": ("remoted_request_rto_sec", 0, 60),
    "remoted.request_rto_msec": ("remoted_request_rto_msec", 0, 999),
    "remoted.request_timeout": ("remoted_request_timeout_s", 1, 600),
    "remoted.response_timeout": ("remoted_response_timeout_s", 1, 3600),
    "remoted.shared_reload": ("remoted_shared_reload_s", 1, 18000),
    "remoted.send_buffer_size": ("remoted_send_buffer_size", 65536, 1048576),
    "remoted.send_timeout_to_retry": ("remoted_send_timeout_to_retry_s", 1, 60),
    "remoted.tcp_keepidle": ("remoted_tcp_keepidle_s", 1, 7200),
    "remoted.tcp_keepintvl": ("remoted_tcp_keepintvl_s", 1, 100),
    "remoted.tcp_keepcnt": ("remoted_tcp_keepcnt", 1, 50),
    "remoted.guess_agent_group": ("remoted_guess_agent_group", 0, 1),
    "logcollector.remote_commands": ("logcollector_remote_commands", 0, 1),
    "monitord.delete_old_agents": ("monitord_delete_old_agents_min", 0, 9600),
    "analysisd.show_hidden_labels": ("analysisd_show_hidden_labels", 0, 1),
    "analysisd.log_fw": ("analysisd_log_fw", 0, 1),
}
"""Option -> field of InternalOptions, least and greatest value."""


def override(options: InternalOptions, text: str, faults: Faults) -> InternalOptions:
    """`options` with what `text` sets; faults are added."""
    changes: dict[str, Any] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            faults.add(number, "not an option", "component.option=number")
            continue
        name, value = match.groups()
        if name not in TABLE:
            continue
        field, least, most = TABLE[name]
        if not (value.isascii() and value.isdigit()) or not least <= int(value) <= most:
            faults.add(
                number, f"invalid value for {name}: {value[:60]}", f"a whole number from {least} to {most}"
            )
            continue
        changes[field] = int(value)
    changed = replace(options, **changes)
    if changed.agent_normal_level >= changed.agent_warn_level:
        faults.add(0, "agent.normal_level is not below agent.warn_level", "a lower normal level")
    return changed


assert {field for field, _, _ in TABLE.values()} == {field.name for field in fields(InternalOptions)}
