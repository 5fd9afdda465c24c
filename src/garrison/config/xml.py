"""`ossec.conf` as elements with line numbers. Pure.

The file is XML with several root elements, which the standard library's expat reads behind one root of ours. What checks
a file and what uses it is this one reader (security classes T11).

Two habits of existing files that strict XML forbids are taken as their authors mean them: `--` inside a comment, and a
bare `&` (`a && b`). Everything that could expand or hide content is refused: document types, entities, CDATA, processing
instructions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from garrison.ground.errors import ConfigError, Fault
from garrison.ground.log import printable

MOST_BYTES = 1024 * 1024
MOST_DEPTH = 32
MOST_ELEMENTS = 20_000
MOST_ATTRIBUTES = 48

_DECLARATION = re.compile(r"\s{0,1000}<\?xml[^>]{0,1000}\?>")
_BARE_AMPERSAND = re.compile(r"&(?!#?[0-9A-Za-z_.:-]{1,64};)")
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

    def leaves(self) -> Iterator[Element]:
        """This element and all below it that hold text and no elements: the options that are set."""
        if not self.children and self.text:
            yield self
        for child in self.children:
            yield from child.leaves()


class _Refused(Exception):
    """Raised inside expat's callbacks; carries what stands there and what would be right."""


class _Builder:
    def __init__(self, parser: Any) -> None:
        self._parser = parser
        self._texts: list[list[str]] = []
        self._count = 0
        self.open: list[Element] = []
        self.root: Element | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        element = Element(name, self._parser.CurrentLineNumber, attributes)
        if self.open:
            self.open[-1].children.append(element)
        else:
            self.root = element
        self.open.append(element)
        self._texts.append([])
        self._count += 1
        if len(self.open) > MOST_DEPTH:
            raise _Refused("elements are nested too deeply", f"at most {MOST_DEPTH - 1} levels")
        if self._count > MOST_ELEMENTS:
            raise _Refused("too many elements", f"at most {MOST_ELEMENTS - 1}")
        if len(attributes) > MOST_ATTRIBUTES:
            raise _Refused("too many attributes", f"at most {MOST_ATTRIBUTES} an element")

    def end(self, name: str) -> None:
        element = self.open.pop()
        element.raw = "".join(self._texts.pop())
        element.text = element.raw.strip()

    def data(self, text: str) -> None:
        self._texts[-1].append(text)

    def refuse_instruction(self, *_: object) -> None:
        raise _Refused("a processing instruction", "configuration files have none")


def decode_xml(text: str, path: str) -> Element:
    """An element whose children are the roots of `text`, and whose text stands beside them.

    `ConfigError` with the line where it is broken.
    """
    if len(text) > MOST_BYTES:
        raise _fault(path, 0, "the file is too large", f"at most {MOST_BYTES} bytes")
    text = _BARE_AMPERSAND.sub("&amp;", _without_comments(_without_declaration(text), path))
    parser = expat.ParserCreate("utf-8")
    builder = _Builder(parser)
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.ProcessingInstructionHandler = builder.refuse_instruction
    try:
        parser.Parse(f"<{_ROOT}>{text}</{_ROOT}>".encode("utf-8", "surrogatepass"), True)
    except _Refused as refusal:
        raise _fault(path, parser.CurrentLineNumber, *refusal.args) from None
    except expat.ExpatError as error:
        found = expat.ErrorString(error.code)
        expected = _hint(found, builder.open)
        raise _fault(path, error.lineno, f"not well-formed XML: {found}", expected) from None
    assert builder.root is not None
    return builder.root


def _without_declaration(text: str) -> str:
    """`text` without byte-order mark and `<?xml ...?>`; lines stay where they are."""
    text = text.removeprefix("\ufeff")
    match = _DECLARATION.match(text)
    return "\n" * match.group().count("\n") + text[match.end() :] if match else text


def _without_comments(text: str, path: str) -> str:
    """`text` without its comments; lines stay where they are. Every other `<!` is refused."""
    parts, at = [], 0
    while (start := text.find("<!", at)) >= 0:
        line = text.count("\n", 0, start) + 1 if not text.startswith("<!--", start) else 0
        if line:
            raise _fault(path, line, *_declaration(text[start : start + 9].upper()))
        end = text.find("-->", start + 4)
        if end < 0:
            line = text.count("\n", 0, start) + 1
            raise _fault(path, line, "a comment that does not end", "--> behind it")
        parts += [text[at:start], "\n" * text.count("\n", start, end)]
        at = end + 3
    return "".join([*parts, text[at:]])


def _declaration(begin: str) -> tuple[str, str]:
    if begin.startswith("<!DOCTYPE"):
        return "a document type declaration", "configuration files have none, and no entities"
    if begin.startswith("<!ENTITY"):
        return "an entity declaration", "write the value itself"
    if begin.startswith("<![CDATA["):
        return "a CDATA section", "plain text, with &lt; for <"
    return "a declaration", "comments are <!-- so -->"


def _hint(found: str, still_open: list[Element]) -> str:
    if "mismatched" in found:
        if len(still_open) > 1:
            element = still_open[-1]
            return f"</{printable(element.name, 60)}> of line {element.line} comes first"
        return "nothing is open here"
    if "entity" in found:
        return "only &lt; &gt; &amp; &quot; &apos; are known"
    if "invalid token" in found:
        return "&lt; for a < that begins no element; names of letters; values in quotes"
    return ""


def _fault(path: str, line: int, found: str, expected: str) -> ConfigError:
    return ConfigError([Fault(path=path, line=line, found=found, expected=expected)])
