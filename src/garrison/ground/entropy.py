"""Chance, as a thing that is handed in. Tests hand in a seeded one."""

from __future__ import annotations

import secrets
from typing import Protocol


class Entropy(Protocol):
    """Where keys, nonces and jitter come from."""

    def bytes(self, count: int) -> bytes:
        """`count` unpredictable bytes."""
        ...

    def below(self, bound: int) -> int:
        """A number in [0, bound)."""
        ...


class SystemEntropy:
    """The operating system's generator, fit for keys."""

    def bytes(self, count: int) -> bytes:
        return secrets.token_bytes(count)

    def below(self, bound: int) -> int:
        return secrets.randbelow(bound)
