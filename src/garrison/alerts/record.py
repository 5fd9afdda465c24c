"""A verdict as the alert object that JSON outputs, forwarders and the log test share. Pure.

    {"timestamp": ..., "rule": {...}, "agent": {...}, "manager": {...}, "id": "1795576743.0", "cluster": {...},
     "previous_output": ..., "full_log": ..., "predecoder": {...}, "decoder": {...}, "data": {...}, "location": ...}

The order of keys is part of the format. Texts are `str`; bytes that are no UTF-8 travel as `surrogateescape`
does, `json_text.encode_json` puts them back. Source: spec/analysis.md 14.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from garrison.analysis.event import MitreMark, Verdict

Labels = tuple[tuple[str, str], ...]


def no_address(agent_id: str) -> str | None:
    """No agent has a better known address than its location tells."""
    return None


def no_labels(agent_id: str) -> Labels:
    """No agent has labels."""
    return ()


def no_mitre(mark: MitreMark) -> dict[str, list[str]] | None:
    """There is no ATT&CK database."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What an alert says about this node and about agents.

    `manager_name` is the full host name. `cluster_name` None leaves `cluster` out. `agent_ip` gives the last
    known address of an agent id, `labels` its visible labels (dotted names nest), `mitre` the object for the
    technique ids of a rule.
    """

    manager_name: str
    cluster_name: str | None = None
    node_name: str | None = None
    agent_ip: Callable[[str], str | None] = no_address
    labels: Callable[[str], Labels] = no_labels
    mitre: Callable[[MitreMark], dict[str, list[str]] | None] = no_mitre


def alert_object(verdict: Verdict, context: Context, alert_id: str) -> dict[str, Any]:
    """The object of an alert; `alert_id` is `SECONDS.OFFSET`. A level of 0 is left out."""
    raise NotImplementedError


def archive_object(verdict: Verdict, context: Context, alert_id: str) -> dict[str, Any]:
    """The same for the archives: the full log is always there, a rule only when its level is above 0."""
    raise NotImplementedError


def log_test_object(verdict: Verdict, context: Context, alert_id: str) -> dict[str, Any]:
    """The same for the log test: `rule` ends with its level also where that is 0."""
    raise NotImplementedError
