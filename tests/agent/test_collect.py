"""Following files: rotation, truncation, restarts, back-pressure. Each line once, in order."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from garrison.agent.collect import Collector
from garrison.agent.commands import Log
from garrison.agent.file_collect import LINGER_S, MOST_GENERATIONS
from garrison.agent.outgoing import Outgoing
from garrison.agent.sources import Surroundings, pipeline
from garrison.agent.tail import Position
from garrison.config.model import LabelConfig, LocalfileConfig
from garrison.ground.tasks import Stop, start
from tests.support.clock import FakeClock
from tests.support.wait import until


class Rig:
    """A collector whose ring is a list of at most `size`; `send` is the manager taking what waits."""

    def __init__(
        self, *configs: LocalfileConfig, saved: list[Position] | None = None, size: int = 1000
    ) -> None:
        self.clock = FakeClock()
        self.told: list[Log] = []
        self.waiting: list[Outgoing] = []
        self.sent: list[bytes] = []
        self.size = size
        self.is_connected = True
        around = Surroundings(
            clock=self.clock,
            tell=self.told.append,
            hostname="demo-host",
            offer=self._offer,
            room=lambda: self.size - len(self.waiting) if self.is_connected else 0,
        )
        self.collector = Collector(around, saved or [])
        self.collector.configure(configs)
        self.now = 0.0

    def _offer(self, item: Outgoing) -> bool:
        assert len(self.waiting) < self.size, "read although there was no room"
        self.waiting.append(item)
        return True

    def send(self, count: int | None = None) -> None:
        items = self.waiting[:count]
        del self.waiting[: len(items)]
        for item in items:
            self.sent.append(item.message)
            item.mark_sent()

    def rounds(self, seconds: float = 1.0) -> None:
        self.now += seconds
        for _ in range(50):
            has_more = self.collector.round(self.now)
            if self.is_connected:
                self.send()
            if not has_more:
                break

    @property
    def lines(self) -> list[str]:
        return [message.split(b":", 2)[2].decode() for message in self.sent]

    def texts(self) -> str:
        return "\n".join(line.text for line in self.told)

    def end(self) -> list[Position]:
        positions = self.collector.positions()
        self.collector.close()
        return positions


def plain(path: Path | str, **more: object) -> LocalfileConfig:
    return LocalfileConfig(log_format="syslog", location=str(path), **more)  # type: ignore[arg-type]


def append(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def test_only_what_comes_after_the_start(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    append(log, "old")
    rig = Rig(plain(log))
    rig.rounds()
    append(log, "new", "newer")
    rig.rounds()
    assert rig.lines == ["new", "newer"]
    assert rig.sent[0] == f"1:{log}:new".encode()
    assert f"(1950): Analyzing file: '{log}'." in rig.texts()


def test_what_is_there_already_when_asked_for(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    append(log, "old")
    rig = Rig(plain(log, only_future_events=False))
    rig.rounds()
    assert rig.lines == ["old"]


def test_a_file_that_comes_later_is_read_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    rig = Rig(plain(log))
    rig.rounds()
    assert "(1103): Could not open file" in rig.texts()
    append(log, "first")
    rig.rounds()
    assert rig.lines == ["first"]


def test_an_incomplete_line_waits(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.touch()
    rig = Rig(plain(log))
    with log.open("a") as file:
        file.write("incomplete ")
        file.flush()
        rig.rounds()
        file.write("now complete\n")
    rig.rounds()
    assert rig.lines == ["incomplete now complete"]


def test_rotation_by_renaming_loses_nothing(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    append(log, "before")
    rig = Rig(plain(log))
    rig.rounds()
    writer = log.open("a")
    print("one", file=writer, flush=True)
    log.rename(tmp_path / "app.log.1")
    append(log, "three")
    rig.rounds()
    print("two, written late to the old file", file=writer, flush=True)
    rig.rounds()
    append(log, "four")
    rig.rounds(LINGER_S + 1)
    writer.close()
    assert sorted(rig.lines) == ["four", "one", "three", "two, written late to the old file"]
    rig.rounds(LINGER_S + 1)
    assert len(rig.collector.positions()) == 1


def test_the_last_words_of_a_rotated_file_need_no_newline(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.touch()
    rig = Rig(plain(log))
    log.write_text("whole\nhalf")
    log.rename(tmp_path / "app.log.1")
    log.touch()
    rig.rounds()
    assert rig.lines == ["whole"]
    for _ in range(3):
        rig.rounds(LINGER_S + 1)
    assert rig.lines == ["whole", "half"]


def test_truncation_in_place(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.touch()
    rig = Rig(plain(log))
    append(log, "a long line before the truncation")
    rig.rounds()
    log.write_text("after\n")
    rig.rounds()
    assert rig.lines == ["a long line before the truncation", "after"]


def test_truncation_that_outgrew_the_old_content(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.touch()
    rig = Rig(plain(log))
    append(log, "old")
    rig.rounds()
    with log.open("r+b") as file:
        file.truncate(0)
        file.write(b"new one\nnew two\n")
    os.utime(log, ns=(1, 1))
    rig.rounds()
    assert rig.lines == ["old", "new one", "new two"]


def test_nothing_is_read_while_the_manager_is_away_yet_every_rotation_is_seen(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.touch()
    rig = Rig(plain(log))
    rig.rounds()
    rig.is_connected = False
    for number in range(MOST_GENERATIONS - 2):
        append(log, f"line {number}")
        log.rename(tmp_path / f"gone.{number}")
        rig.rounds()
        (tmp_path / f"gone.{number}").unlink()
        log.touch()
        rig.rounds()
    assert rig.waiting == []
    rig.is_connected = True
    rig.rounds()
    assert rig.lines == [f"line {number}" for number in range(MOST_GENERATIONS - 2)]


def test_too_many_rotations_are_told(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.touch()
    rig = Rig(plain(log))
    rig.is_connected = False
    for number in range(MOST_GENERATIONS + 3):
        append(log, f"line {number}")
        log.rename(tmp_path / f"app.log.{number}")
        log.touch()
        rig.rounds()
    assert "the oldest of them are lost" in rig.texts()


def test_a_full_ring_leaves_the_lines_in_the_file(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.touch()
    rig = Rig(plain(log), size=10)
    append(log, *(f"line {number}" for number in range(100)))
    rig.collector.round(1.0)
    assert len(rig.waiting) == 10
    while rig.collector.round(1.0) or rig.waiting:
        rig.send(3)
    assert rig.lines == [f"line {number}" for number in range(100)]


def test_two_files_share_the_room(tmp_path: Path) -> None:
    busy, calm = tmp_path / "busy.log", tmp_path / "calm.log"
    busy.touch()
    calm.touch()
    rig = Rig(plain(busy), plain(calm), size=10)
    append(busy, *(f"b{number}" for number in range(500)))
    append(calm, "c0")
    for _ in range(3):
        rig.collector.round(1.0)
        rig.send(4)
    rig.send()
    assert "c0" in rig.lines


def test_a_restart_goes_on_where_sending_stood(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.touch()
    first = Rig(plain(log))
    append(log, *(f"line {number}" for number in range(10)))
    first.collector.round(1.0)
    first.send(4)
    saved = first.end()
    append(log, "while stopped")
    second = Rig(plain(log), saved=saved)
    second.rounds()
    assert first.lines + second.lines == [f"line {number}" for number in range(10)] + ["while stopped"]


def test_a_restart_finds_what_was_rotated_meanwhile(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    append(log, "sent")
    first = Rig(plain(log, only_future_events=False))
    first.rounds()
    append(log, "unsent")
    saved = first.end()
    log.rename(tmp_path / "app.log.1")
    append(log, "newest")
    second = Rig(plain(log), saved=saved)
    second.rounds()
    assert second.lines == ["unsent", "newest"]


def test_a_restart_tells_what_cannot_be_found(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    append(log, "sent")
    first = Rig(plain(log, only_future_events=False))
    first.rounds()
    saved = first.end()
    log.rename(tmp_path / "elsewhere")
    append(log, "newest")
    second = Rig(plain(log), saved=saved)
    second.rounds()
    assert second.lines == ["newest"]
    assert "cannot be read any more" in second.texts()


def test_what_waits_in_the_ring_outlives_a_rotation_and_a_restart(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.touch()
    first = Rig(plain(log))
    append(log, "one", "two")
    first.collector.round(1.0)
    log.rename(tmp_path / "app.log.1")
    append(log, "three")
    for _ in range(4):
        first.now += LINGER_S
        first.collector.round(first.now)
    saved = first.end()
    second = Rig(plain(log), saved=saved)
    second.rounds()
    assert second.lines == ["one", "two", "three"]


def test_a_backlog_has_its_limit(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    append(log, "sent")
    config = plain(log, only_future_events=False, max_size=100)
    first = Rig(config)
    first.rounds()
    saved = first.end()
    append(log, *(f"line {number:03d}" for number in range(100)))
    second = Rig(config, saved=saved)
    second.rounds()
    assert second.lines[-1] == "line 099"
    assert 10 <= len(second.lines) <= 13
    assert "are skipped" in second.texts()


def test_patterns_find_new_files_and_leave_out_excluded_ones(tmp_path: Path) -> None:
    append(tmp_path / "a.log", "old")
    rig = Rig(plain(tmp_path / "*.log", exclude=str(tmp_path / "not*.log")))
    append(tmp_path / "a.log", "a1")
    append(tmp_path / "b.log", "b1")
    append(tmp_path / "not.log", "n1")
    rig.rounds(5)
    assert sorted(rig.lines) == ["a1", "b1"]


def test_a_rotated_file_that_matches_too_is_read_once(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.touch()
    rig = Rig(plain(tmp_path / "app.log*"))
    append(log, "one")
    rig.rounds()
    append(log, "two")
    log.rename(tmp_path / "app.log.1")
    append(log, "three")
    for _ in range(4):
        rig.rounds(5)
    append(tmp_path / "app.log.1", "four")
    rig.rounds(5)
    assert sorted(rig.lines) == ["four", "one", "three", "two"]


def test_dates_in_names_move_on(tmp_path: Path) -> None:
    pattern = tmp_path / "app-%Y-%m-%d.log"
    rig = Rig(plain(pattern))
    today = rig.clock.now().astimezone()
    append(tmp_path / today.strftime("app-%Y-%m-%d.log"), "today")
    rig.rounds(5)
    asyncio.run(rig.clock.advance(86400))
    tomorrow = rig.clock.now().astimezone()
    append(tmp_path / tomorrow.strftime("app-%Y-%m-%d.log"), "tomorrow")
    rig.rounds(5)
    assert rig.lines == ["today", "tomorrow"]


def test_other_kinds_of_files_are_told_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    rig = Rig(plain(tmp_path / "pipe"), plain(tmp_path))
    rig.rounds()
    assert rig.texts().count("not a regular file") == 2


def test_unsupported_sources_are_refused_by_name(tmp_path: Path) -> None:
    rig = Rig(
        LocalfileConfig(log_format="nosuch", location="/x"),
        LocalfileConfig(log_format="command", command="a; b"),
        plain("/y", ignore=("(",)),
    )
    assert "Log format 'nosuch' of '/x' is not supported" in rig.texts()
    assert "Command 'a; b' is not run: ';' needs a shell" in rig.texts()
    assert "'/y' is not collected: its ignore or restrict pattern is wrong" in rig.texts()


def test_filters_labels_and_out_format(tmp_path: Path) -> None:
    log, events = tmp_path / "app.log", tmp_path / "events.json"
    log.touch()
    events.touch()
    rig = Rig(
        plain(log, ignore=("debug",), restrict=("sshd",), out_format="$(hostname): $(log)"),
        LocalfileConfig(
            log_format="json", location=str(events), labels=(LabelConfig(key="env", value="demo"),)
        ),
    )
    append(log, "sshd debug", "cron run", "sshd login")
    append(events, '{"a": 1}')
    rig.rounds()
    assert sorted(rig.lines) == ["demo-host: sshd login", '{"a":1,"env":"demo"}']


def test_reconfiguring_keeps_the_place(tmp_path: Path) -> None:
    log, other = tmp_path / "app.log", tmp_path / "other.log"
    append(log, "old")
    append(other, "old")
    rig = Rig(plain(log))
    append(log, "one")
    rig.rounds()
    append(log, "two")
    rig.collector.configure((plain(log, out_format="x $(log)"), plain(other)))
    rig.rounds()
    append(other, "new")
    rig.rounds()
    assert rig.lines == ["one", "x two", "new"]
    rig.collector.configure((plain(other),))
    append(log, "not any more")
    rig.rounds()
    assert rig.lines == ["one", "x two", "new"]


@pytest.mark.parametrize("seed", range(40))
def test_any_mix_of_writing_rotating_losing_and_restarting(tmp_path: Path, seed: int) -> None:
    """Every line arrives exactly once and in order, whatever happens between them (clean restarts only)."""
    chance = random.Random(seed)
    log = tmp_path / "app.log"
    log.touch()
    rig = Rig(plain(log), size=7)
    written: list[str] = []
    arrived: list[str] = []
    rotations = 0
    for step in range(200):
        match chance.choice(["write", "write", "round", "round", "send", "rotate", "link", "restart"]):
            case "write":
                lines = [f"{seed}.{len(written) + at}" for at in range(chance.randrange(1, 9))]
                written += lines
                append(log, *lines)
            case "round":
                rig.now += 0.2
                rig.collector.round(rig.now)
            case "send":
                if rig.is_connected:
                    rig.send(chance.randrange(1, 8))
            case "rotate" if rotations < 10:
                rig.now += 0.2
                rig.collector.round(rig.now)
                log.rename(tmp_path / f"app.log.{step:03d}")
                log.touch()
                rotations += 1
                rig.collector.round(rig.now)
            case "link":
                rig.is_connected = not rig.is_connected
            case "restart":
                arrived += rig.lines
                saved = rig.end()
                rig = Rig(plain(log), saved=saved, size=7)
    rig.is_connected = True
    for _ in range(500):
        rig.now += 0.2
        rig.collector.round(rig.now)
        rig.send()
    assert arrived + rig.lines == written, f"seed {seed}"


def test_commands_run_without_a_shell() -> None:
    async def play() -> None:
        rig = Rig(
            LocalfileConfig(log_format="command", command="printf 'alpha one\\n\\nbeta two\\n'"),
            LocalfileConfig(log_format="full_command", command="printf 'x:y\\n'", alias="demo table"),
            LocalfileConfig(log_format="full_command", command="printf 'b\\na\\n' | sort"),
            LocalfileConfig(log_format="command", command="/no/such/program"),
        )
        stop = Stop()
        running = start(rig.collector.run(stop), name="collect")
        await until(lambda: len(rig.waiting) == 5 and "could not be run" in rig.texts())
        stop.set()
        await running
        rig.send()
        command = "printf 'alpha one\\n\\nbeta two\\n'"
        assert sorted(rig.sent) == sorted(
            [
                f"1:{command}:ossec: output: '{command}': alpha one".encode(),
                f"1:{command}:ossec: output: '{command}': ".encode(),
                f"1:{command}:ossec: output: '{command}': beta two".encode(),
                b"1:demo table:ossec: output: 'demo table':\nx:y",
                b"1:printf 'b\\na\\n' || sort:ossec: output: 'printf 'b\\na\\n' | sort':\na\nb",
            ]
        )
        assert "Monitoring full output of command(360): printf 'x:y\\n'" in rig.texts()

    asyncio.run(play())


def test_commands_wait_for_the_manager_and_come_again(tmp_path: Path) -> None:
    async def play() -> None:
        rig = Rig(LocalfileConfig(log_format="command", command="echo hi", frequency_s=10))
        rig.is_connected = False
        stop = Stop()
        running = start(rig.collector.run(stop), name="collect")
        await rig.clock.advance(30)
        assert rig.waiting == []
        rig.is_connected = True
        await rig.clock.advance(1)
        await until(lambda: len(rig.waiting) == 1)
        await rig.clock.advance(5)
        assert len(rig.waiting) == 1
        await rig.clock.advance(6)
        await until(lambda: len(rig.waiting) == 2)
        stop.set()
        await running

    asyncio.run(play())


@pytest.mark.parametrize(
    "command", ["a; b", "a && b", "a > /tmp/x", "a $(b) (c)", "a &", "", "| a", "a |", "'"]
)
def test_shell_syntax_is_refused(command: str) -> None:
    with pytest.raises(ValueError):
        pipeline(command)


def test_pipelines() -> None:
    assert pipeline("netstat -tulpn | sed 's/a|b/;/' | sort -k 4") == [
        ["netstat", "-tulpn"], ["sed", "s/a|b/;/"], ["sort", "-k", "4"],
    ]  # fmt: skip


def test_statistics(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.touch()
    rig = Rig(plain(log))
    assert rig.collector.statistics() is None
    append(log, "four")
    rig.rounds()
    rig.collector.count()
    append(log, "one")
    rig.rounds()
    rig.collector.count()
    statistics = rig.collector.statistics()
    assert statistics is not None
    total, interval = statistics
    assert [(one.location, one.events, one.bytes) for one in total.files] == [(str(log), 2, 7)]
    assert [(one.location, one.events, one.bytes) for one in interval.files] == [(str(log), 1, 3)]
