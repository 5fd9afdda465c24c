"""The ring: levels told in order, pacing, and nothing lost that can wait."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from garrison.agent.buffer import BufferSettings, Level, Ring


def ring(size: int = 10, eps: int = 50, **more: object) -> Ring[int]:
    return Ring(BufferSettings(queue_size=size, events_per_second=eps, **more))  # type: ignore[arg-type]


def changes(one: Ring[int], now: float) -> list[str]:
    told = []
    while (change := one.next_change(now)) is not None:
        told.append(change.event.decode())
    return told


def test_levels_are_told_as_the_reference_tells_them() -> None:
    one = ring(tolerance_s=2)
    for number in range(9):
        assert one.offer(number, 0.0)
    assert changes(one, 0.0) == ["1:wazuh-agent:wazuh: Agent buffer: '90%'."]
    assert one.offer(9, 0.1)
    assert changes(one, 0.1) == ["1:wazuh-agent:wazuh: Agent buffer: 'full'."]
    assert not one.offer(10, 1.0)
    assert one.dropped == 1
    assert changes(one, 2.0) == []
    assert one.next_deadline() == 2.1
    assert changes(one, 2.1) == ["1:wazuh-agent:wazuh: Agent buffer: 'flooded'."]
    for at in range(3):
        one.take(3.0 + at)
    assert changes(one, 6.0) == ["1:wazuh-agent:wazuh: Agent buffer: 'normal'."]
    assert one.level is Level.NORMAL


def test_between_the_levels_nothing_is_told() -> None:
    one = ring()
    for number in range(10):
        one.offer(number, 0.0)
    changes(one, 0.0)
    one.take(1.0)
    one.take(2.0)
    assert changes(one, 2.0) == []
    assert one.level is Level.WARNING


def test_the_lines_for_the_log() -> None:
    one = ring()
    for number in range(10):
        one.offer(number, 0.0)
    lines = []
    while (change := one.next_change(0.0)) is not None:
        lines.append((change.log_level, change.line))
    assert lines == [
        ("WARNING", "Agent buffer at 90 %."),
        ("WARNING", "Agent buffer is full: Events may be lost."),
    ]


def test_events_leave_evenly_at_the_configured_rate() -> None:
    one = ring(size=1000, eps=50)
    for number in range(1000):
        one.offer(number, 0.0)
    now, sent = 0.0, 0
    while now < 2.0:
        while one.take(now) is not None:
            sent += 1
        now = max(now + 0.001, one.next_turn(now))
    assert 98 <= sent <= 103


def test_an_idle_ring_sends_at_once() -> None:
    one = ring(eps=50)
    one.offer(1, 100.0)
    assert one.next_turn(100.0) <= 100.0
    assert one.take(100.0) == 1


def test_without_the_buffer_there_is_no_pacing_and_no_level() -> None:
    one = ring(enabled=False)
    for number in range(10):
        one.offer(number, 0.0)
    assert [one.take(0.0) for _ in range(10)] == list(range(10))
    assert changes(one, 0.0) == []
    assert one.next_deadline() is None


def test_what_could_not_be_sent_goes_out_first() -> None:
    one = ring(enabled=False)
    for number in range(4):
        one.offer(number, 0.0)
    taken = [one.take(0.0), one.take(0.0)]
    one.put_back([item for item in taken if item is not None])
    assert [one.take(0.0) for _ in range(4)] == [0, 1, 2, 3]


def test_a_smaller_ring_keeps_what_waits() -> None:
    one = ring(size=10)
    for number in range(8):
        one.offer(number, 0.0)
    one.reconfigure(BufferSettings(queue_size=4, enabled=False))
    assert one.room() == 0
    assert [one.take(0.0) for _ in range(8)] == list(range(8))


@given(st.lists(st.one_of(st.just("offer"), st.just("take"), st.floats(0.0, 3.0)), max_size=200))
def test_what_goes_in_comes_out_in_order_and_never_more(steps: list[object]) -> None:
    one, now, offered, accepted, taken = ring(size=5), 0.0, 0, [], []
    for step in steps:
        if step == "offer":
            if one.offer(offered, now):
                accepted.append(offered)
            offered += 1
        elif step == "take":
            if (item := one.take(now)) is not None:
                taken.append(item)
        else:
            assert isinstance(step, float)
            now += step
        assert len(one) <= 5
        while one.next_change(now) is not None:
            pass
    assert taken == accepted[: len(taken)]
    assert len(taken) + len(one) == len(accepted)
    assert offered - len(accepted) == one.dropped
