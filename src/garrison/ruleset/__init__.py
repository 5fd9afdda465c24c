"""The starter ruleset: decoders and rules of our own, for machines that bring none. Data, and where it lies.

`FOLDER` has the layout that every ruleset folder has: `decoders/*.xml`, `rules/*.xml`.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
