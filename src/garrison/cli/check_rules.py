"""`garrison check-rules DIR`: every fault of a ruleset, printed as a compiler prints them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from garrison.analysis.compile import compile_program
from garrison.analysis.load import load_folder
from garrison.ground.errors import RuleError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `garrison check-rules`."""
    parser.add_argument("folder", metavar="DIR", help="a folder with decoders/, rules/ and lists/")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 1 when there is an error; warnings alone are 0."""
    folder = Path(arguments.folder)
    if not folder.is_dir():
        print(f"{folder}: not a folder", file=sys.stderr)
        return 1
    try:
        program = compile_program(load_folder(folder))
    except RuleError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        errors = sum(not fault.is_warning for fault in error.faults)
        print(f"{errors} errors, {len(error.faults) - errors} warnings: the ruleset does not load")
        return 1
    for warning in program.warnings:
        print(warning)
    print(f"{len(program.rules)} rules loaded, {len(program.warnings)} warnings")
    return 0
