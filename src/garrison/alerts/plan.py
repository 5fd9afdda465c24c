"""Which outputs a node writes, and how: from its configuration to one value. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from garrison.alerts.rotation import (
    ALERTS_JSON,
    ALERTS_TEXT,
    ARCHIVES_JSON,
    ARCHIVES_TEXT,
    FIREWALL_TEXT,
    Rotation,
    Stream,
)
from garrison.config.model import GlobalConfig, InternalOptions

MiB = 1 << 20
NO_ROTATION = Rotation()


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkPlan:
    """Which files are written, and how.

    `custom_layout` replaces the layout of alerts.log. The `*_s` times weigh how soon a reader sees an alert, and how
    much a power cut may take, against work; `bound_bytes` is what may wait in memory for a disk that does not
    take it (64 MiB are some 50,000 alerts).
    """

    alerts_json: bool = True
    alerts_text: bool = True
    archives_json: bool = False
    archives_text: bool = False
    firewall: bool = True
    custom_layout: bytes | None = None
    rotation: Rotation = NO_ROTATION
    sign: bool = True
    compress: bool = True
    flush_after_s: float = 0.05
    sync_every_s: float = 1.0
    retry_after_s: float = 1.0
    close_days_after_s: float = 10.0
    bound_bytes: int = 64 * MiB

    def streams(self) -> list[Stream]:
        """The outputs that are on."""
        wanted = (
            (self.alerts_json, ALERTS_JSON),
            (self.alerts_text or self.custom_layout is not None, ALERTS_TEXT),
            (self.archives_json, ARCHIVES_JSON),
            (self.archives_text, ARCHIVES_TEXT),
            (self.firewall, FIREWALL_TEXT),
        )
        return [stream for is_on, stream in wanted if is_on]


def sink_plan(wanted: GlobalConfig, internal: InternalOptions) -> SinkPlan:
    """The plan that a node's configuration asks for."""
    return SinkPlan(
        alerts_json=wanted.jsonout_output,
        alerts_text=wanted.alerts_log,
        archives_json=wanted.logall_json,
        archives_text=wanted.logall,
        firewall=bool(internal.analysisd_log_fw),
        rotation=Rotation(interval_s=wanted.rotate_interval_s, max_bytes=wanted.max_output_size),
    )
