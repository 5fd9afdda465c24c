"""What is known to have left, and what has to be sent again."""

from __future__ import annotations

from garrison.agent.outgoing import InFlight, Outgoing


class Recorder:
    def __init__(self) -> None:
        self.ends: list[int] = []

    def sent(self, end: int) -> None:
        self.ends.append(end)


def test_sources_hear_of_what_the_peer_took() -> None:
    source, flight = Recorder(), InFlight()
    items = [Outgoing(b"m", source, end) for end in (10, 20, 30)]
    flight.wrote(100, items[0])
    flight.wrote(50, None)
    flight.wrote(100, items[1])
    flight.wrote(100, items[2])
    flight.settle(350)
    assert source.ends == []
    flight.settle(199)
    assert source.ends == [10]
    flight.settle(100)
    assert source.ends == [10, 20]
    assert flight.take_back() == [items[2]]
    assert len(flight) == 0
    flight.settle(0)
    assert source.ends == [10, 20]


def test_a_frame_that_left_in_part_has_not_left() -> None:
    source, flight = Recorder(), InFlight()
    item = Outgoing(b"m", source, 1)
    flight.wrote(100, item)
    flight.settle(1)
    assert flight.take_back() == [item]
    assert source.ends == []


def test_events_without_a_source() -> None:
    flight = InFlight()
    flight.wrote(10, Outgoing(b"m"))
    flight.settle(0)
    assert len(flight) == 0
