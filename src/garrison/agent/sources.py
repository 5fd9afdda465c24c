"""What every source of events shares: its surroundings, its filter, and commands without a shell. Pure."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from garrison.agent.commands import Log
from garrison.agent.outgoing import Outgoing
from garrison.config.model import LocalfileConfig
from garrison.ground.clock import Clock

LOGCOLLECTOR = "wazuh-logcollector"

Tell = Callable[[Log], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all sources of one agent share."""

    clock: Clock
    tell: Tell
    hostname: str
    offer: Callable[[Outgoing], bool]
    """Puts an event into the ring; False when it was full and the event is lost."""
    room: Callable[[], int]
    """How many events may be offered now: 0 while the ring is full or the manager is away."""


class Filter:
    """`<restrict>` and `<ignore>` of one source. Raises ValueError for a pattern that is none."""

    def __init__(self, config: LocalfileConfig) -> None:
        try:
            self._restrict = [re.compile(os.fsencode(pattern)) for pattern in config.restrict]
            self._ignore = [re.compile(os.fsencode(pattern)) for pattern in config.ignore]
        except re.error as error:
            raise ValueError(str(error)) from error

    def passes(self, text: bytes) -> bool:
        """True when every `restrict` is found in `text`, and no `ignore`."""
        return all(one.search(text) for one in self._restrict) and not any(
            one.search(text) for one in self._ignore
        )


def pipeline(command: str) -> list[list[str]]:
    """The programs and arguments of a command, joined by `|` alone. Raises ValueError for other shell syntax."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split = True
    stages: list[list[str]] = [[]]
    for word in lexer:
        if word == "|":
            stages.append([])
        elif word and all(char in "|&;<>()" for char in word):
            raise ValueError(f"'{word}' needs a shell, and commands are run without one")
        else:
            stages[-1].append(word)
    if not all(stages):
        raise ValueError("a program is missing")
    return stages
