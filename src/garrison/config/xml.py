"""`ossec.conf` as elements with line numbers. Pure.

The file is XML with several root elements, which the standard library's expat reads behind one root of ours. Entities and
document types are refused: nothing in a configuration is ever expanded. What checks a file and what uses it is this one
reader (security classes T11).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from garrison.ground.errors import ConfigError, Fault

MOST_BYTES = 4 * 1024 * 1024
MOST_DEPTH = 32

_DECLARATION = re.compile(r"^\ufeff?\s*<\?xml[^>]*\?>")
_ROOT = "configuration-of-garrison"


@dataclass(slots=True)
class Element:
    """One element: its own text (`raw`, and `text` without blanks at its ends), its children, its first line."""

    name: str
    line: int
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)
    raw: str = ""
    text: str = ""

    def named(self, name: str) -> list[Element]:
        """The children of that name, in order."""
        return [child for child in self.children if child.name == name]


class _Refused(Exception):
    """Raised inside expat's callbacks; carries what stands there and what would be right."""


class _Builder:
    def __init__(self, parser: Any) -> None:
        self._parser = parser
        self._open: list[Element] = []
        self.root: Element | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        element = Element(name, self._parser.CurrentLineNumber, attributes)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)
        if len(self._open) > MOST_DEPTH:
            raise _Refused("elements are nested too deeply", f"at most {MOST_DEPTH - 1} levels")

    def end(self, name: str) -> None:
        element = self._open.pop()
        element.text = element.raw.strip()

    def data(self, text: str) -> None:
        self._open[-1].raw += text

    def refuse_doctype(self, *_: object) -> None:
        raise _Refused("a document type declaration", "configuration files have none, and no entities")

    def refuse_entity(self, *_: object) -> None:
        raise _Refused("an entity declaration", "write the value itself")


def decode_xml(text: str, path: str) -> list[Element]:
    """The root elements of `text`; `ConfigError` with the line where it is broken."""
    if len(text) > MOST_BYTES:
        raise _fault(path, 0, "the file is too large", f"at most {MOST_BYTES} bytes")
    text = _DECLARATION.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)
    parser = expat.ParserCreate("utf-8")
    builder = _Builder(parser)
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = builder.refuse_doctype
    parser.EntityDeclHandler = builder.refuse_entity
    try:
        parser.Parse(f"<{_ROOT}>{text}</{_ROOT}>".encode("utf-8", "surrogatepass"), True)
    except _Refused as refusal:
        raise _fault(path, parser.CurrentLineNumber, *refusal.args) from None
    except expat.ExpatError as error:
        found = expat.ErrorString(error.code)
        raise _fault(path, error.lineno, f"not well-formed XML: {found}", _hint(found)) from None
    assert builder.root is not None
    return builder.root.children


def _hint(found: str) -> str:
    if "mismatched" in found:
        return "every element is closed by its own name"
    if "undefined entity" in found or "syntax" in found:
        return "only &lt; &gt; &amp; &quot; &apos; are known"
    return ""


def _fault(path: str, line: int, found: str, expected: str) -> ConfigError:
    return ConfigError([Fault(path=path, line=line, found=found, expected=expected)])
