"""Where the walkthrough plays: commands are shown as a person would type them, run, and their output printed.

Every wait is on a condition with a limit; every process that is started is ended by its id.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MOST_LINES_SHOWN = 40


class Failed(Exception):
    """The walkthrough did not go as it must; the text says what was seen."""


@dataclass(slots=True)
class Stage:
    """Prints, runs, waits and measures."""

    folder: Path
    quiet: bool = False
    timings: list[tuple[str, float]] = field(default_factory=list)
    _step: str = ""
    _began: float = 0.0

    def step(self, title: str) -> None:
        """A new step of the story; the one before it is timed."""
        self.end_step()
        self._step, self._began = title, time.monotonic()
        self.say(f"\n{self._bold(f'== {len(self.timings) + 1}. {title}')}")

    def end_step(self) -> None:
        """Ends the present step."""
        if self._step:
            self.timings.append((self._step, time.monotonic() - self._began))
            self._step = ""

    def say(self, text: str) -> None:
        """One or more lines of the story."""
        print(text, flush=True)

    def _bold(self, text: str) -> str:
        return f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text

    def run(self, *words: str | Path, expect: int | None = 0, show: bool = True) -> str:
        """Runs a command and shows it with its output; `Failed` unless it ends with status `expect`."""
        command = [str(word) for word in words]
        if show:
            self.say(self._bold(f"$ {self._shown(command)}"))
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        output = done.stdout + done.stderr
        if show and output:
            lines = output.rstrip("\n").split("\n")
            self.say("\n".join(lines[:MOST_LINES_SHOWN]))
            if len(lines) > MOST_LINES_SHOWN:
                self.say(f"... {len(lines) - MOST_LINES_SHOWN} more lines")
        if expect is not None and done.returncode != expect:
            raise Failed(
                f"{self._shown(command)} ended with status {done.returncode}, not {expect}:\n{output}"
            )
        return done.stdout

    def run_together(self, commands: Sequence[Sequence[str | Path]]) -> None:
        """Runs commands side by side, as one would in several terminals, and shows each with its output."""
        running = [
            subprocess.Popen(
                [str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            for words in commands
        ]
        for words, process in zip(commands, running, strict=True):
            output, _ = process.communicate(timeout=90)
            self.say(self._bold(f"$ {self._shown([str(word) for word in words])}"))
            self.say(output.rstrip("\n"))
            if process.returncode != 0:
                raise Failed(f"{words[0]} ended with status {process.returncode}")

    def _shown(self, command: Sequence[str]) -> str:
        """The command as one would type it from the folder in which the demo was started."""
        here = f"{Path.cwd()}/"
        return shlex.join(word.removeprefix(here) for word in command)

    def wait(self, what: str, condition: Callable[[], bool], within_s: float = 30.0) -> float:
        """Seconds until `condition` held; `Failed` when it did not within the limit."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > within_s:
                raise Failed(f"not within {within_s:g} s: {what}")
            time.sleep(0.05)
        return time.monotonic() - began
