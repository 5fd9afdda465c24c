"""Ruleset files from disk, in the order of spec/analysis.md 4. The one module here that reads files."""

from __future__ import annotations

from pathlib import Path

from garrison.analysis.source import Source


def load_folder(folder: Path) -> Source:
    """The ruleset of a folder: `decoders/`, `rules/`, `lists/` and, where it exists, `ruleset.json`."""
    raise NotImplementedError
