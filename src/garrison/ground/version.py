"""Our own version, and the level of the agents' protocol that we speak."""

from __future__ import annotations

GARRISON = "0.1.0"
"""Version of this product; the one place where it stands (pyproject repeats it, a test compares)."""

PROTOCOL = "4.14.7"
"""Newest level of the agents' protocol that we speak; shown where tools compare versions."""
