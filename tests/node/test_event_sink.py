"""Events become verdicts and outputs; a full output is told to those who bring events."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from garrison.alerts.record import Context
from garrison.alerts.sink import AlertSink, SinkPlan
from garrison.analysis.compile import compile_program
from garrison.analysis.load import load_folder
from garrison.analysis.run import Analyzer
from garrison.node.event_sink import EventPipeline
from garrison.ruleset import FOLDER
from tests.support.clock import FakeClock

LINE = b"Dec 10 06:55:46 rtr sshd[24200]: Failed password for root from 203.0.113.9 port 4001 ssh2"


def test_a_line_of_a_syslog_sender_is_seen_as_its_own(tmp_path: Path) -> None:
    async def play() -> None:
        clock = FakeClock()
        sink = AlertSink(tmp_path, SinkPlan(), Context(manager_name="gate"), clock)
        analyzer = Analyzer(compile_program(load_folder(FOLDER)), host_name=b"gate")
        pipeline = EventPipeline(analyzer, sink, lambda: clock.now().timestamp())
        assert pipeline.offer_lines("192.0.2.7", [LINE, LINE])
        await sink.flush()
        alerts = [json.loads(line) for line in (tmp_path / "alerts/alerts.json").read_bytes().splitlines()]
        assert [alert["location"] for alert in alerts] == ["192.0.2.7"] * 2
        assert alerts[0]["agent"] == {"id": "000", "name": "gate"}
        assert alerts[0]["predecoder"]["hostname"] == "rtr"
        assert pipeline.received == pipeline.alerts == 2

    asyncio.run(play())
