"""How much peers may make this node write into its log. Pure.

A source may cause a burst of lines, all of them together a larger one; what is held back is counted and told now and
then, so that a flood is seen and does not fill the disk. A source is an IPv4 address, or an IPv6 network of 64 bits,
which one host has to itself. Source: security class T8.
"""

from __future__ import annotations

from garrison.ground.log import RateLimit

TELL_EVERY_S = 60.0


class Noise:
    """Lines about peers."""

    def __init__(self) -> None:
        self._of_source = RateLimit(burst=20, per_s=2)
        self._of_all = RateLimit(burst=200, per_s=20)
        self._told = 0
        self._told_at = 0.0

    def allows(self, source: str, now: float) -> bool:
        """True when a line that `source` causes may be written."""
        key = source[:19] if ":" in source else source
        return self._of_source.allows(key, now) and self._of_all.allows("", now)

    def held_back(self, now: float) -> int:
        """How many lines were held back since this was last told; 0 while it is too early to tell again."""
        count = self._of_source.held_back + self._of_all.held_back
        if count == self._told or now - self._told_at < TELL_EVERY_S:
            return 0
        since, self._told, self._told_at = count - self._told, count, now
        return since
