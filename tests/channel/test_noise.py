"""Lines about peers: bounded by source and in all; what is held back is told."""

from __future__ import annotations

from garrison.channel.noise import TELL_EVERY_S, Noise


def test_a_source_has_a_burst_and_a_rate() -> None:
    noise = Noise()
    assert sum(noise.allows("10.0.0.9", 0) for _ in range(100)) == 20
    assert noise.allows("10.0.0.8", 0)
    assert sum(noise.allows("10.0.0.9", 10) for _ in range(100)) == 20


def test_a_network_of_one_host_counts_as_one() -> None:
    noise = Noise()
    network = "2001:0DB8:0000:0001"
    assert sum(noise.allows(f"{network}:0000:0000:0000:{n:04X}", 0) for n in range(100)) == 20
    assert noise.allows("2001:0DB8:0000:0002:0000:0000:0000:0001", 0)


def test_all_sources_together_have_a_bound() -> None:
    noise = Noise()
    assert sum(noise.allows(f"10.0.{n // 250}.{n % 250}", 0) for n in range(1000)) == 200


def test_what_was_held_back_is_told_once_and_not_too_often() -> None:
    noise = Noise()
    for _ in range(50):
        noise.allows("10.0.0.9", 0)
    assert noise.held_back(TELL_EVERY_S - 1) == 0
    assert noise.held_back(TELL_EVERY_S) == 30 and noise.held_back(TELL_EVERY_S * 3) == 0
    for _ in range(25):
        noise.allows("10.0.0.9", TELL_EVERY_S)
    assert noise.held_back(TELL_EVERY_S + 1) == 0 and noise.held_back(TELL_EVERY_S * 2) == 5
