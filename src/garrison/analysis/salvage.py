"""What can still judge when files of a ruleset are broken: the rest of it, as if those files were not there. Pure.

The rest is well defined: rules that hang below a rule of a missing file are left out with a warning, as ever, and a file
that names a decoder of a missing file is broken itself and goes too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from garrison.analysis.compile import compile_program
from garrison.analysis.program import Program
from garrison.analysis.source import Source
from garrison.ground.errors import RuleError


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvage:
    """The program of what is left, and the paths of what had to go."""

    program: Program
    left_out: tuple[str, ...] = ()


def salvage(source: Source) -> Salvage:
    """The program of `source` without its broken files; an empty one when nothing is left."""
    left_out: list[str] = []
    while True:
        try:
            return Salvage(program=compile_program(source), left_out=tuple(left_out))
        except RuleError as error:
            broken = {fault.path for fault in error.faults if not fault.is_warning}
        left_out += sorted(broken.difference(left_out))
        before = len(source.decoders) + len(source.rules) + len(source.faults)
        source = replace(
            source,
            decoders=tuple(file for file in source.decoders if file.path not in broken),
            rules=tuple(file for file in source.rules if file.path not in broken),
            faults=tuple(fault for fault in source.faults if fault.is_warning),
        )
        if len(source.decoders) + len(source.rules) + len(source.faults) == before:
            return Salvage(program=Program(), left_out=tuple(left_out))
