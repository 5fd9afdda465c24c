"""The whole way from verdicts to files, with a clock that the test moves and a disk that fails when told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from garrison.alerts.record import Context
from garrison.alerts.rotation import Rotation
from garrison.alerts.sink import AlertSink, SinkPlan
from garrison.analysis.event import Verdict
from garrison.ground.clock import SystemClock
from garrison.ground.tasks import Stop, start
from tests.alerts.disks import FragileDisk
from tests.alerts.samples import event, verdict
from tests.support.clock import FakeClock

Story = Callable[["Stage"], Awaitable[None]]


async def inline(work: Callable[[], Any]) -> Any:
    """Runs what would go to a thread at once, so that the clock decides everything."""
    return work()


class Stage:
    """A running sink."""

    def __init__(self, logs: Path, plan: SinkPlan, disk: FragileDisk, begin: datetime) -> None:
        self.logs = logs
        self.clock = FakeClock(begin)
        self.disk = disk
        context = Context(manager_name="gate.example", cluster_name="wazuh", node_name="node01")
        self.sink = AlertSink(logs, plan, context, self.clock, zone=UTC, disk=disk, offload=inline)

    def write(self, subject: Verdict | None = None, *, log: bytes = b"hello") -> None:
        at = self.clock.now().timestamp()
        self.sink.write(subject or verdict(event(at=at, full_log=log)))

    def lines(self, name: str) -> list[Any]:
        return [json.loads(line) for line in (self.logs / name).read_bytes().splitlines()]

    def logs_of(self, name: str) -> list[str]:
        return [line["full_log"] for line in self.lines(name)]


BEGIN = datetime(2026, 11, 25, 10, 0, 0, tzinfo=UTC)
EVENING = datetime(2026, 11, 25, 23, 59, 58, tzinfo=UTC)


def play(
    logs: Path,
    story: Story,
    plan: SinkPlan | None = None,
    disk: FragileDisk | None = None,
    begin: datetime = BEGIN,
) -> Stage:
    """Runs `story` beside the sink; the sink is stopped and everything is closed afterwards."""

    async def run() -> Stage:
        stage = Stage(logs, plan or SinkPlan(), disk or FragileDisk(), begin)
        stop = Stop()
        running = start(stage.sink.run(stop), name="sink")
        try:
            await stage.clock.advance(0)
            await story(stage)
        finally:
            stop.set()
            await asyncio.wait_for(running, 5)
        return stage

    return asyncio.run(run())


def test_an_alert_is_in_both_files_within_the_flush_time(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.write()
        assert stage.sink.pending_bytes
        await stage.clock.advance(0.05)
        assert stage.logs_of("alerts/alerts.json") == ["hello"]
        assert b"Rule: 200101 (level 3)" in (stage.logs / "alerts/alerts.log").read_bytes()
        assert not stage.sink.pending_bytes

    play(tmp_path, story)


def test_the_id_is_the_offset_in_the_text_file(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.write()
        stage.write()

    stage = play(tmp_path, story)
    first, second = stage.lines("alerts/alerts.json")
    text = (tmp_path / "alerts/alerts.log").read_bytes()
    assert first["id"] == f"{int(BEGIN.timestamp())}.0"
    offset = int(second["id"].split(".")[1])
    assert text[offset:].startswith(f"** Alert {second['id']}:".encode())


def test_without_the_text_file_the_offset_is_that_of_the_json_file(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.write()
        stage.write()

    stage = play(tmp_path, story, SinkPlan(alerts_text=False))
    first, second = (tmp_path / "alerts/alerts.json").read_bytes().splitlines(keepends=True)
    assert json.loads(second)["id"].endswith(f".{len(first)}")
    assert not (stage.logs / "alerts/alerts.log").exists()


def test_which_verdicts_go_where(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.write(verdict(event(full_log=b"alert")))
        stage.write(verdict(event(full_log=b"level 0"), level=0))
        stage.write(verdict(event(full_log=b"quiet"), is_alert=False))
        stage.write(Verdict(event=event(full_log=b"nothing")))
        stage.write(Verdict(event=event(full_log=b"alive", location=b"(a) any->ossec-keepalive")))

    stage = play(tmp_path, story, SinkPlan(archives_json=True, archives_text=True))
    assert stage.logs_of("alerts/alerts.json") == ["alert"]
    assert stage.logs_of("archives/archives.json") == ["alert", "level 0", "quiet", "nothing"]
    assert ["rule" in line for line in stage.lines("archives/archives.json")] == [True, False, True, False]
    assert len((tmp_path / "archives/archives.log").read_bytes().splitlines()) == 4


def test_write_gives_the_line_of_the_alert(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        alert = stage.sink.write(verdict())
        assert alert is not None and json.loads(alert)["rule"]["id"] == "200101"
        assert stage.sink.write(Verdict(event=event())) is None

    play(tmp_path, story)


def test_bytes_that_are_no_text_arrive_as_they_came(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.write(log=b"caf\xe9 \x01")

    play(tmp_path, story)
    assert b'"full_log":"caf\xe9 \\u0001"' in (tmp_path / "alerts/alerts.json").read_bytes()


def test_firewall_events(tmp_path: Path) -> None:
    six = {
        "action": b"DROP",
        "protocol": b"TCP",
        "srcip": b"203.0.113.5",
        "srcport": b"4000",
        "dstip": b"10.0.0.9",
        "dstport": b"22",
    }

    async def story(stage: Stage) -> None:
        stage.write(Verdict(event=event(category="firewall", static=six)))

    play(tmp_path, story)
    assert b" DROP TCP 203.0.113.5:4000->10.0.0.9:22\n" in (tmp_path / "firewall/firewall.log").read_bytes()


def test_midnight_without_any_event(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.write(log=b"late")
        await stage.clock.advance(3)
        assert (stage.logs / "alerts/alerts.json").samefile(
            stage.logs / "alerts/2026/Nov/ossec-alerts-26.json"
        )
        stage.write(log=b"early")
        await stage.clock.advance(12)
        assert stage.logs_of("alerts/alerts.json") == ["early"]
        names = sorted(path.name for path in (stage.logs / "alerts/2026/Nov").iterdir())
        assert names == [
            "ossec-alerts-24.json.sum",
            "ossec-alerts-24.log.sum",
            "ossec-alerts-25.json.gz",
            "ossec-alerts-25.json.sum",
            "ossec-alerts-25.log.gz",
            "ossec-alerts-25.log.sum",
            "ossec-alerts-26.json",
            "ossec-alerts-26.log",
        ]

    async def before(stage: Stage) -> None:
        await stage.clock.advance(11)

    play(tmp_path, before, begin=BEGIN)
    play(tmp_path, story, begin=EVENING)


def test_midnight_is_local(tmp_path: Path) -> None:
    async def run() -> None:
        clock = FakeClock(EVENING)
        sink = AlertSink(
            tmp_path,
            SinkPlan(),
            Context(manager_name="gate"),
            clock,
            zone=timezone(timedelta(hours=9)),
            offload=inline,
        )
        sink.write(verdict(event(at=clock.now().timestamp())))
        await sink.flush()

    asyncio.run(run())
    assert (tmp_path / "alerts/2026/Nov/ossec-alerts-26.json").exists()


def test_parts_within_a_day(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        for count in range(3):
            stage.write(log=b"%d" % count)
            await stage.clock.advance(3600)

    stage = play(tmp_path, story, SinkPlan(rotation=Rotation(interval_s=3600)))
    folder = "alerts/2026/Nov/ossec-alerts-25"
    parts = [stage.logs_of(f"{folder}{part}.json") for part in ("", "-001", "-002")]
    assert [log for part in parts for log in part] == ["0", "1", "2"]
    assert stage.lines(f"{folder}-001.json")[0]["id"].endswith(".0")


def test_full_disk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    async def story(stage: Stage) -> None:
        await stage.clock.advance(1)
        stage.write(log=b"0")
        await stage.clock.advance(0.1)
        stage.disk.free_bytes = 900
        for count in range(1, 20):
            stage.write(log=b"%d" % count)
            await stage.clock.advance(2)
        assert not stage.sink.healthy()
        assert "No space left on device" in stage.sink.reason()
        stage.disk.free_bytes = 1 << 30
        await stage.clock.advance(2)
        assert stage.sink.healthy() and stage.sink.reason() == ""

    stage = play(tmp_path, story)
    assert stage.logs_of("alerts/alerts.json") == [str(count) for count in range(20)]
    offsets = [int(line["id"].split(".")[1]) for line in stage.lines("alerts/alerts.json")]
    text = (tmp_path / "alerts/alerts.log").read_bytes()
    assert all(text[offset:].startswith(b"** Alert ") for offset in offsets)
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


def test_room_waits_for_the_disk(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.disk.free_bytes = 0
        await stage.sink.room()
        while stage.sink.pending_bytes < 4000:
            stage.write()
        waiting = start(stage.sink.room(), name="room")
        await stage.clock.advance(5)
        assert not waiting.done() and not stage.sink.has_room()
        stage.disk.free_bytes = 1 << 30
        await stage.clock.advance(2)
        assert waiting.done()

    play(tmp_path, story, SinkPlan(bound_bytes=4000))


def test_an_end_with_a_full_disk_says_what_is_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story(stage: Stage) -> None:
        stage.disk.free_bytes = 0
        stage.write()

    play(tmp_path, story)
    assert "could not be written before the end" in caplog.text


def test_a_day_is_not_closed_while_its_records_wait(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await stage.clock.advance(0.1)
        stage.disk.free_bytes = 0
        stage.write(log=b"late")
        await stage.clock.advance(60)
        assert not list(stage.logs.rglob("*.gz"))
        stage.disk.free_bytes = 1 << 30
        await stage.clock.advance(3)
        assert list(stage.logs.rglob("ossec-alerts-25.json.gz"))

    play(tmp_path, story, begin=EVENING)


def test_a_restart_goes_on_in_the_same_file(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.write(log=b"x")

    play(tmp_path, story)
    path = tmp_path / "alerts/2026/Nov/ossec-alerts-25.json"
    with path.open("ab") as file:
        file.write(b'{"cut": "by a k')
    play(tmp_path, story)
    lines = path.read_bytes().splitlines()
    assert [line.startswith(b'{"timestamp"') for line in lines] == [True, False, True]
    assert lines[1] == b'{"cut": "by a k'


def test_a_thousand_alerts_are_a_few_calls(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await stage.clock.advance(1)
        before = stage.disk.writes
        for _ in range(1000):
            stage.write()
        await stage.clock.advance(0.05)
        assert stage.disk.writes - before == 2
        before = stage.disk.syncs
        await stage.clock.advance(10)
        assert stage.disk.syncs - before == 2

    play(tmp_path, story)


def test_everything_in_real_threads(tmp_path: Path) -> None:
    async def run() -> None:
        plan = replace(SinkPlan(), flush_after_s=0.001, sync_every_s=0.01)
        sink = AlertSink(tmp_path, plan, Context(manager_name="gate"), SystemClock())
        stop = Stop()
        running = start(sink.run(stop), name="sink")
        for count in range(2000):
            sink.write(verdict(event(full_log=b"%d" % count)))
            if count % 50 == 0:
                await sink.room()
                await asyncio.sleep(0)
        stop.set()
        await asyncio.wait_for(running, 10)

    asyncio.run(run())
    lines = (tmp_path / "alerts/alerts.json").read_bytes().splitlines()
    assert [json.loads(line)["full_log"] for line in lines] == [str(count) for count in range(2000)]


def test_outputs_that_write_no_alert_say_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story(stage: Stage) -> None:
        stage.write()

    play(tmp_path, story, SinkPlan(alerts_json=False, alerts_text=False))
    assert "alerts are not written at all" in caplog.text
