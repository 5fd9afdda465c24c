"""Ruleset texts become a program; all faults are told at once. Pure."""

from __future__ import annotations

from garrison.analysis.program import Program
from garrison.analysis.source import Source


def compile_program(source: Source) -> Program:
    """The program of `source`; raises `RuleError` with every fault. Tolerated ones are `Program.warnings`."""
    raise NotImplementedError
