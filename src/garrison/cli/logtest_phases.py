"""What the log test prints: three phases, as operators know them. Pure.

Source: spec/analysis-3-outputs.md 8.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def phases_text(output: Mapping[str, Any], *, alert: bool, debug: Sequence[str] | None = None) -> str:
    """The phases of one reply's `output`; `debug` are the texts of `rules_debug`."""
    header = dict(output.get("predecoder", {}))
    lines = ["**Phase 1: Completed pre-decoding."]
    if "full_log" in output:
        lines.append(_line("full event", output["full_log"]))
    lines += _named(header, ("timestamp", "hostname", "program_name"))
    lines += ["", "**Phase 2: Completed decoding."]
    decoder = dict(output.get("decoder", {}))
    if decoder:
        lines += _named(decoder, ("name", "parent"))
        lines += _flat(output.get("data", {}))
    else:
        lines.append("\tNo decoder matched.")
    if debug is not None:
        lines += ["", "**Rule debugging:"]
        lines += [("\t\t" if text.startswith("*") else "\t") + text for text in debug]
    rule = dict(output.get("rule", {}))
    if rule:
        lines += ["", "**Phase 3: Completed filtering (rules)."]
        lines += _named(rule, ("id", "level", "description", "groups", "firedtimes"))
        if alert:
            lines.append("**Alert to be generated.")
    return "\n".join(lines)


def _named(members: dict[str, Any], first: Sequence[str]) -> list[str]:
    """The members named `first` in that order, then the others by name."""
    lines = [_line(name, members.pop(name)) for name in first if name in members]
    return lines + _flat(members)


def _flat(members: Mapping[str, Any], prefix: str = "") -> list[str]:
    lines: list[str] = []
    for name, value in sorted(members.items()):
        if isinstance(value, dict):
            lines += _flat(value, f"{prefix}{name}.")
        else:
            lines.append(_line(prefix + name, value))
    return lines


def _line(name: str, value: object) -> str:
    text = f"\t{name}: '{value}'"
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def warnings_text(messages: Sequence[str]) -> str:
    """The warnings of a reply with an empty line behind; empty without any."""
    lines = [f"** Wazuh-Logtest: {text}" for text in messages if text.startswith("WARNING")]
    return "\n".join([*lines, ""]) if lines else ""


def verdict_of(output: Mapping[str, Any]) -> list[str]:
    """Rule, level and decoder as a unit test names them; empty where there is none."""
    rule = output.get("rule", {})
    decoder = output.get("decoder", {})
    return [str(rule.get("id", "")), str(rule.get("level", "")), str(decoder.get("name", ""))]
