"""Who must go when strangers crowd in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from garrison.channel.waiting_room import SMALL_BYTES, WaitingRoom


def room(most: int = 6, most_of_source: int = 4, most_bytes: int = 10_000) -> WaitingRoom[str]:
    return WaitingRoom(most=most, most_of_source=most_of_source, most_bytes=most_bytes, stay_s=60)


def test_a_crowd_of_one_source_drives_out_itself() -> None:
    waiting = room()
    assert waiting.enter("good", "10.0.0.1", 0) == []
    gone = [peer for n in range(8) for peer in waiting.enter(f"bad{n}", "10.6.6.6", n)]
    assert gone == ["bad0", "bad1", "bad2", "bad3"] and "good" in waiting


def test_when_all_places_are_taken_the_oldest_of_the_largest_source_goes() -> None:
    waiting = room()
    waiting.enter("good", "10.0.0.1", 0)
    for n in range(3):
        waiting.enter(f"a{n}", "10.6.6.1", n)
    for n in range(2):
        waiting.enter(f"b{n}", "10.6.6.2", n)
    assert waiting.enter("late", "10.0.0.2", 9) == ["a0"] and len(waiting) == 6


def test_a_balancer_stands_for_many() -> None:
    waiting = room()
    gone = [peer for n in range(6) for peer in waiting.enter(f"p{n}", "10.0.0.1", n, is_crowd=True)]
    assert gone == []


def test_memory_has_one_bound_but_a_hello_always_fits() -> None:
    waiting = room()
    for n in range(3):
        waiting.enter(f"p{n}", f"10.0.0.{n}", 0)
    assert waiting.holds("p0", 9_000)
    assert not waiting.holds("p1", 3_000)
    assert waiting.holds("p2", SMALL_BYTES)
    waiting.leave("p0")
    assert waiting.holds("p1", 3_000) and waiting.holds("nobody", 10**9)


def test_nobody_stays_longer_than_the_time() -> None:
    waiting = room()
    waiting.enter("a", "10.0.0.1", 0)
    waiting.enter("b", "10.0.0.1", 30)
    assert waiting.expire(59) == [] and waiting.expire(60) == ["a"] and waiting.expire(90) == ["b"]
    assert len(waiting) == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12), st.integers(0, 5000)), max_size=60))
def test_bounds_hold_whatever_happens(steps: list[tuple[int, int, int]]) -> None:
    waiting = room()
    held: dict[str, int] = {}
    for now, (source, number, size) in enumerate(steps):
        peer = f"{source}.{number}"
        if size % 3 == 0:
            waiting.leave(peer)
            held.pop(peer, None)
            continue
        for gone in waiting.enter(peer, str(source), now):
            assert gone not in waiting
            held.pop(gone, None)
        held[peer] = 0
        held[peer] = size
        if not waiting.holds(peer, size):
            waiting.leave(peer)
            del held[peer]
        assert len(waiting) == len(held) <= 6
        assert sum(held.values()) <= 10_000 + 6 * SMALL_BYTES
    for peer in list(held):
        waiting.leave(peer)
    assert waiting._all_bytes == 0 and not waiting._of_source and not waiting._bytes
