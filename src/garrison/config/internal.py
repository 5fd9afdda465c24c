"""`etc/internal_options.conf`: one `name=value` a line, value decimal. Pure.

Source: spec/agent-channel.md 8.5. The stock file holds hundreds of options that we have no use for: they are accepted. In
the operator's own file (`local_internal_options.conf`) each of them is one warning. A value out of range is a fault.
"""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import Any

from garrison.config.model import InternalOptions
from garrison.config.reading import Faults, whole
from garrison.ground.log import printable

LOCAL_FILE = "local_internal_options.conf"

_NAME = re.compile(r"[a-z_]{1,40}\.[a-z0-9_]{1,80}")

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
    "analysisd.default_timeframe": ("analysisd_default_timeframe_s", 60, 3600),
}
"""Option -> field of InternalOptions, least and greatest value."""


UNUSED = {
    "monitord.monitor_agents": (0, 1),
    "remoted.buffer_relax": (0, 2),
    "remoted.comp_average_printout": (10, 999999),
    "remoted.control_msg_queue_size": (4096, 1048576),
    "remoted.disk_storage": (0, 1),
    "remoted.keyupdate_interval": (1, 3600),
    "remoted.merge_shared": (0, 1),
    "remoted.pass_empty_keyfile": (0, 1),
    "remoted.receive_chunk": (1024, 16384),
    "remoted.recv_counter_flush": (10, 999999),
    "remoted.recv_timeout": (1, 60),
    "remoted.rlimit_nofile": (1024, 1048576),
    "remoted.send_chunk": (512, 16384),
    "remoted.sender_pool": (1, 64),
    "remoted.state_interval": (0, 86400),
    "remoted.worker_pool": (1, 16),
}
"""Options whose range is checked and that change nothing here: they tune parts that this product does not have."""


def override(
    options: InternalOptions, text: str, faults: Faults, *, tells_unknown: bool = False
) -> InternalOptions:
    """`options` with what `text` sets; faults are added. `tells_unknown`: warn of options without effect."""
    changes: dict[str, Any] = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not _NAME.fullmatch(name):
            faults.add(number, "not an option", "component.option=number")
        elif name in TABLE:
            field, least, most = TABLE[name]
            changes[field] = _number(name, value, (least, most), number, faults)
        else:
            if name in UNUSED:
                _number(name, value, UNUSED[name], number, faults)
            if tells_unknown:
                faults.warn(number, f"{name} has no effect here", "it is not used by this product")
    changes = {field: value for field, value in changes.items() if value is not None}
    changed = replace(options, **changes)
    if changed.agent_normal_level >= changed.agent_warn_level:
        faults.add(0, "agent.normal_level is not below agent.warn_level", "a lower normal level")
    return changed


def _number(name: str, text: str, bounds: tuple[int, int], line: int, faults: Faults) -> int | None:
    number = whole(text)
    if number is None or not bounds[0] <= number <= bounds[1]:
        expected = f"a whole number from {bounds[0]} to {bounds[1]}"
        faults.add(line, f"invalid value for {name}: {printable(text, 60)}", expected)
        return None
    return number


assert {field for field, _, _ in TABLE.values()} == {field.name for field in fields(InternalOptions)}
