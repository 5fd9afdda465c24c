"""From configuration to plan."""

from __future__ import annotations

from garrison.alerts.plan import SinkPlan, sink_plan
from garrison.alerts.rotation import ALERTS_JSON, ALERTS_TEXT, ARCHIVES_JSON, ARCHIVES_TEXT, Rotation
from garrison.config.model import GlobalConfig, InternalOptions


def test_shipped_configuration_is_the_plan_without_changes() -> None:
    assert sink_plan(GlobalConfig(), InternalOptions()) == SinkPlan()


def test_every_option_arrives() -> None:
    wanted = GlobalConfig(
        jsonout_output=False,
        alerts_log=False,
        logall=True,
        logall_json=True,
        rotate_interval_s=3600,
        max_output_size=5_000_000,
    )
    plan = sink_plan(wanted, InternalOptions(analysisd_log_fw=0))
    assert plan.streams() == [ARCHIVES_JSON, ARCHIVES_TEXT]
    assert plan.rotation == Rotation(interval_s=3600, max_bytes=5_000_000)


def test_a_layout_of_its_own_needs_no_alerts_log_option() -> None:
    plan = SinkPlan(alerts_text=False, custom_layout=b"$RULEID", firewall=False)
    assert plan.streams() == [ALERTS_JSON, ALERTS_TEXT]
