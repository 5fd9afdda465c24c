"""The node's judge: reloads lose neither an event nor a count, and what lasts is written."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from garrison.analysis.event import Arrival
from garrison.analysis.run import Analyzer
from garrison.config.home import Home
from garrison.config.model import ManagerConfig
from garrison.ground.tasks import Stop, start
from garrison.node.judging_serve import Judging
from tests.analysis.lab import AT, DECODERS, child, rule
from tests.analysis.test_memory import SEEN
from tests.node.test_ruleset_store import CONFIG
from tests.support.clock import FakeClock

BURST = rule(102, "<if_matched_sid>100</if_matched_sid>", 'level="10" frequency="4"')


def in_loop(test: Callable[[Home], Awaitable[None]]) -> Callable[[Home], None]:
    """A test that runs in an event loop of its own."""

    def run(home: Home) -> None:
        async def within() -> None:
            await test(home)

        asyncio.run(within())

    return run


def write_rules(root: Path, rules: str) -> None:
    (root / "etc/rules/my.xml").write_text(f'<group name="g,">{rules}</group>')


@pytest.fixture
def home(tmp_path: Path) -> Home:
    for name, text in (("ruleset/rules/0.xml", SEEN), ("etc/decoders/d.xml", DECODERS)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "etc/rules").mkdir()
    write_rules(tmp_path, BURST)
    return Home(tmp_path)


def judged(analyzer: Analyzer, text: str = "a") -> int | None:
    message = f"Dec 10 10:00:00 host seen: {text}".encode()
    verdict = analyzer.judge(Arrival(queue="1", location=b"x", message=message, at=AT))
    return verdict.rule.id if verdict is not None and verdict.rule is not None else None


@in_loop
async def test_a_burst_goes_on_over_a_reload(home: Home) -> None:
    judging = Judging(home, CONFIG, "manager.example")
    swapped: list[Analyzer] = []
    judging.swap = swapped.append
    assert [judged(judging.analyzer) for _ in range(3)] == [100, 100, 100]
    write_rules(home.root, BURST + child(103, "<match>z</match>", 'level="12"'))
    assert await judging.reload(CONFIG)
    assert swapped == [judging.analyzer]
    assert [judged(judging.analyzer, text) for text in ("z", "a")] == [103, 102]


@in_loop
async def test_events_that_come_while_a_ruleset_is_compiled_are_counted(home: Home) -> None:
    judging = Judging(home, CONFIG, "manager")
    write_rules(home.root, BURST + child(103, "<match>z</match>"))
    reload = start(judging.reload(CONFIG), name="reload")
    found: list[int | None] = []
    while not reload.done():
        if len(found) < 3:
            found.append(judged(judging.analyzer))
        await asyncio.sleep(0)
    assert found == [100, 100, 100]
    assert judged(judging.analyzer) == 102


@in_loop
async def test_a_broken_file_leaves_the_judge_in_place(home: Home) -> None:
    judging = Judging(home, CONFIG, "manager")
    before = judging.analyzer
    write_rules(home.root, "<rule>")
    assert not await judging.reload(CONFIG)
    assert judging.analyzer is before and judging.is_judging and "etc/rules/my.xml" in judging.fault
    assert judging.faults == ("etc/rules/my.xml:1: error: </group> where <rule> is open; expected </rule>",)
    write_rules(home.root, BURST)
    assert await judging.reload(CONFIG)
    assert judging.fault == "" and not judging.faults


@in_loop
async def test_changed_files_are_followed_with_the_latest_configuration(home: Home) -> None:
    judging, stop = Judging(home, CONFIG, "manager"), Stop()
    other = ManagerConfig(ruleset=CONFIG.ruleset, alerts=CONFIG.alerts, global_=CONFIG.global_)
    swapped = asyncio.Event()
    judging.swap = lambda analyzer: swapped.set()
    assert await judging.reload(other)
    swapped.clear()
    task = start(judging.follow(stop), name="follow")
    write_rules(home.root, BURST + child(103, "<match>z</match>"))
    judging.files_changed()
    await asyncio.wait_for(swapped.wait(), 20)
    assert judged(judging.analyzer, "z") == 103
    task.cancel()


@in_loop
async def test_what_lasts_is_there_after_a_restart(home: Home) -> None:
    write_rules(home.root, child(104, "<check_diff /><match>kept</match>"))
    judging, clock, stop = Judging(home, CONFIG, "manager"), FakeClock(), Stop()
    keeping = start(judging.keep(clock, stop), name="keep")
    assert judged(judging.analyzer, "user bob from 1.1.1.1") == 101
    assert judged(judging.analyzer, "kept 1") == 100
    stop.set()
    await asyncio.wait_for(keeping, 20)
    again = Judging(home, CONFIG, "manager")
    assert judged(again.analyzer, "user bob from 1.1.1.1") == 100
    assert [judged(again.analyzer, text) for text in ("kept 1", "kept 2")] == [100, 104]


@in_loop
async def test_a_memory_that_cannot_be_written_is_told(home: Home) -> None:
    home.queue.mkdir()
    (home.queue / "fts").write_text("no folder")
    judging = Judging(home, CONFIG, "manager")
    assert judged(judging.analyzer, "user bob from 1.1.1.1") == 101
    await judging.save()
    assert judging.fault.startswith("the memory of the analysis cannot be written")
    (home.queue / "fts").unlink()
    assert judged(judging.analyzer, "user eve from 1.1.1.1") == 101
    await judging.save()
    assert judging.fault == ""
