"""Labels of agents as alerts show them. Pure.

    "env.tier":prod         shown
    !"owner":ana            hidden: only shown with `analysisd.show_hidden_labels=1`
    #"_agent_ip":10.0.0.5   the system's: never shown

These are the lines of an agent's keepalive; the manager's own labels come from its configuration.
Source: spec/agent-channel.md 5; spec/analysis-3-outputs.md 2.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

Labels = tuple[tuple[str, str], ...]
"""Pairs of dotted name and text."""


MOST_KNOWN = 2_048
"""Lines up to this length are remembered with what is shown of them; longer ones are read each time."""


def labels_of_keepalive(text: str, *, shows_hidden: bool = False) -> Labels | None:
    """What is shown of the label lines `text`; None without a label, empty when all are hidden."""
    read = _known_labels if len(text) <= MOST_KNOWN else _read_labels
    return read(text, shows_hidden)


def _read_labels(text: str, shows_hidden: bool) -> Labels | None:
    found = []
    for line in text.splitlines():
        is_hidden = line.startswith('!"')
        key, quote, value = line.removeprefix("!").removeprefix('"').partition('":')
        if quote and line.startswith(('"', '!"')):
            found.append((key, value, is_hidden))
    return shown_labels(found, shows_hidden=shows_hidden)


def shown_labels(labels: Iterable[tuple[str, str, bool]], *, shows_hidden: bool) -> Labels | None:
    """The same for (name, text, whether it is hidden); names that begin with `_` are the system's."""
    own = [each for each in labels if not each[0].startswith("_")]
    if not own:
        return None
    return tuple((key, value) for key, value, is_hidden in own if shows_hidden or not is_hidden)


_known_labels = lru_cache(maxsize=4_096)(_read_labels)
