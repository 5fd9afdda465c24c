"""Where the reference data lies, when it is there: beside the checkout, or where GARRISON_REFERENCE says.

Tests that need it skip with a clear word where it is absent; nothing of it is copied into the project.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from garrison.analysis.compile import compile_program
from garrison.analysis.load import load_folder
from garrison.analysis.program import Program

ROOT = Path(os.environ.get("GARRISON_REFERENCE", Path(__file__).resolve().parents[3] / "shared"))


def reference_path(relative: str) -> Path:
    """The file or folder below the reference data; skips the calling test where it is absent."""
    path = ROOT / relative
    if not path.exists():
        pytest.skip(f"reference data not present: {relative} (set GARRISON_REFERENCE to its folder)")
    return path


@cache
def full_program() -> Program:
    """The full reference ruleset, compiled once a process; skips the calling test where it is absent."""
    return compile_program(load_folder(reference_path("ruleset/full")))


def vectors(relative: str) -> Any:
    """The parsed JSON of `spec/vectors/RELATIVE`."""
    return json.loads(reference_path(f"spec/vectors/{relative}").read_text("utf-8"))
