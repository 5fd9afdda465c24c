"""A fault with the line of the file that it is about, and a mark below the place, as compilers print them.

etc/rules/local_rules.xml:12: error: rule 100001: unknown element <mach>; expected <match>?
    <mach>failed</mach> <description>x</description>
    ^
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from garrison.analysis.source import Source, SourceFile
from garrison.ground.errors import Fault
from garrison.ground.log import printable

MOST_SHOWN = 100
BEFORE = 40
INDENT = "    "


def texts_of(source: Source) -> Mapping[str, list[bytes]]:
    """The lines of every file of a ruleset, by the path that faults name."""
    files: Iterable[SourceFile] = (*source.decoders, *source.rules)
    return {file.path: file.text.split(b"\n") for file in files}


def pointed(fault: Fault, texts: Mapping[str, list[bytes]]) -> str:
    """The fault, with its line and a mark where these are known."""
    lines = texts.get(fault.path, [])
    if not 1 <= fault.line <= len(lines):
        return str(fault)
    line = lines[fault.line - 1].rstrip(b"\r").replace(b"\t", b" ")
    column = fault.column or len(line) - len(line.lstrip()) + 1
    start = len(line) - len(line.lstrip()) if column <= MOST_SHOWN else column - 1 - BEFORE
    before, after = line[start : column - 1], line[column - 1 : start + MOST_SHOWN]
    shown = printable(before, MOST_SHOWN)
    rest = printable(after, MOST_SHOWN)
    return f"{fault}\n{INDENT}{shown}{rest}\n{INDENT}{' ' * len(shown)}^"
