"""The ruleset of a node: from its files, or from the last good copy, or from what is left of the files.

A ruleset that loads is kept whole in `queue/ruleset/last-good.json`. While the node runs, a broken file leaves the
running program in place. At a start with a broken file the last good copy judges; only a node that never had a good
ruleset goes on with the files that are left. Either way `fault` says which file is broken, and the node's health with it.
See docs/decisions/010-a-broken-rule-file.md.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import orjson

from garrison.analysis.compile import compile_program
from garrison.analysis.load import load_ruleset
from garrison.analysis.program import Program
from garrison.analysis.salvage import salvage
from garrison.analysis.source import Source, SourceFile, Thresholds
from garrison.config.model import ManagerConfig
from garrison.ground.errors import Fault, RuleError, StoreError
from garrison.ground.files import write_atomic

log = logging.getLogger(__name__)

FORM = 1
MOST_COPY_BYTES = 512 << 20
MOST_TOLD = 50


class RulesetStore:
    """Makes the node's programs. `fault` is empty while the program is that of the files.

    `faults` are the errors of the files one by one, `PATH:LINE: error: ...`, at most MOST_TOLD.
    """

    def __init__(self, root: Path, copy: Path) -> None:
        self._root = root
        self._copy = copy
        self.fault = ""
        self.faults: tuple[str, ...] = ()

    def load(self, config: ManagerConfig) -> Program:
        """The program of the configured files, which are kept as the last good copy; raises `RuleError`.

        It may run in a thread: it reads, compiles and writes, and changes nothing but `fault`.
        """
        source = self._source(config)
        try:
            program = compile_program(source)
        except RuleError as error:
            self._tell(error)
            raise
        self.fault, self.faults = "", ()
        for warning in program.warnings[:MOST_TOLD]:
            log.warning("%s", warning)
        if len(program.warnings) > MOST_TOLD:
            log.warning("%d further warnings about the ruleset", len(program.warnings) - MOST_TOLD)
        self._keep(source)
        return program

    def first(self, config: ManagerConfig) -> Program:
        """The program to start with; it never fails for the rulesets' sake."""
        try:
            return self.load(config)
        except RuleError:
            fault = self.fault
        source = self._source(config)
        copy = self._kept(source.thresholds)
        if copy is not None:
            try:
                program = compile_program(copy)
            except RuleError:
                log.error("The last good copy of the ruleset does not load any more")
            else:
                self.fault = f"{fault}; the last good copy of the ruleset judges until it is mended"
                log.error("%s", self.fault)
                return program
        rest = salvage(source)
        self.fault = (
            f"{fault}; rules and decoders of {_listed(rest.left_out)} are left out until it is mended"
        )
        log.error("%s", self.fault)
        return rest.program

    def _source(self, config: ManagerConfig) -> Source:
        timeframe_s = config.internal.analysisd_default_timeframe_s
        return load_ruleset(config.ruleset, config.alerts, self._root, timeframe_s=timeframe_s)

    def _tell(self, error: RuleError) -> None:
        errors = [fault for fault in error.faults if not fault.is_warning]
        self.faults = tuple(str(each) for each in errors[:MOST_TOLD])
        for line in self.faults:
            log.error("%s", line)
        self.fault = f"the ruleset is broken ({_summary(errors)})"

    # -- the last good copy

    def _keep(self, source: Source) -> None:
        content = orjson.dumps(_as_json(source))
        try:
            if self._copy.is_file() and self._copy.read_bytes() == content:
                return
            self._copy.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            write_atomic(self._copy, content)
        except (OSError, StoreError) as error:
            log.warning("no copy of this good ruleset could be kept: %s", error)

    def _kept(self, thresholds: Thresholds) -> Source | None:
        """The last good copy with the thresholds of now; None where there is none that can be read."""
        try:
            if self._copy.stat().st_size > MOST_COPY_BYTES:
                return None
            return _from_json(orjson.loads(self._copy.read_bytes()), thresholds)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            log.warning("the last good copy of the ruleset cannot be read: %s", error)
            return None


def _as_json(source: Source) -> dict[str, Any]:
    """Texts are bytes of any kind: each byte travels as the character of its number."""

    def texts(files: tuple[SourceFile, ...]) -> list[list[str]]:
        return [[file.path, file.text.decode("latin-1")] for file in files]

    return {
        "form": FORM,
        "decoders": texts(source.decoders),
        "rules": texts(source.rules),
        "lists": {name: text.decode("latin-1") for name, text in source.lists.items()},
    }


def _from_json(value: Any, thresholds: Thresholds) -> Source:
    """The source; raises ValueError, TypeError or KeyError where `value` is no copy."""
    if value["form"] != FORM:
        raise ValueError(f"of form {value['form']!r}")

    def files(pairs: Any) -> tuple[SourceFile, ...]:
        return tuple(SourceFile(path=str(path), text=str(text).encode("latin-1")) for path, text in pairs)

    return Source(
        decoders=files(value["decoders"]),
        rules=files(value["rules"]),
        lists={str(name): str(text).encode("latin-1") for name, text in value["lists"].items()},
        thresholds=thresholds,
    )


def _summary(errors: list[Fault]) -> str:
    paths = list(dict.fromkeys(fault.path for fault in errors))
    count = f"{len(errors)} error{'s' if len(errors) > 1 else ''} in {_listed(tuple(paths))}"
    return f"{count}; first: {errors[0]}" if errors else "no fault is known"


def _listed(paths: tuple[str, ...]) -> str:
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(paths[:3]) + more
