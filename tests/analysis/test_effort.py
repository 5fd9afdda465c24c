"""The time of one event: wall time first, then as much of the processor's."""

from __future__ import annotations

from garrison.analysis.effort import Effort


class Clocks:
    def __init__(self) -> None:
        self.wall = 100.0
        self.cpu = 5.0


def effort_of(clocks: Clocks) -> Effort:
    return Effort(1.0, clock=lambda: clocks.wall, cpu=lambda: clocks.cpu)


def test_time_has_an_end_within_events_only() -> None:
    clocks = Clocks()
    effort = effort_of(clocks)
    clocks.wall += 1_000
    assert not effort.is_spent()
    effort.begin()
    clocks.wall += 0.9
    assert not effort.is_spent()
    effort.end()
    clocks.wall += 1_000
    assert not effort.is_spent()


def test_a_machine_that_slept_leaves_nothing_out() -> None:
    clocks = Clocks()
    effort = effort_of(clocks)
    effort.begin()
    clocks.wall += 3_600
    assert not effort.is_spent()
    clocks.cpu += 0.9
    assert not effort.is_spent()
    clocks.cpu += 0.2
    assert effort.is_spent()
    effort.begin()
    assert not effort.is_spent()


def test_cuts_are_counted_for_each_event() -> None:
    effort = effort_of(Clocks())
    effort.begin()
    effort.cut()
    effort.cut()
    assert effort.end() == 2
    effort.begin()
    assert effort.end() == 0
