"""Sets of places as numbers: bit n of the number says that place n is in. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def members(items: Sequence[Item], bits: int) -> list[Item]:
    """The items whose places are in `bits`, in order."""
    found = []
    while bits:
        lowest = bits & -bits
        found.append(items[lowest.bit_length() - 1])
        bits ^= lowest
    return found
