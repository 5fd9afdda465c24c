"""The private, forgiving XML dialect of ruleset files, and its variables. Pure: bytes in, elements out.

    <var name="PORT">22</var>
    <group name="sshd,"> <!-- text around comments joins --> <rule id="1"> <match>a\\<b $PORT</match> </rule> </group>

Several root elements; no entities, no trimming, `\\<` stays two bytes, comments run from `<!` to `-->` or `!>`.
An element with children keeps only the text after its last child.
Source: spec/analysis.md 3; spec/analysis-2-rules.md 1.4.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NamedTuple

from garrison.ground.errors import Fault, RuleError
from garrison.ground.log import printable

MAX_TEXT_BYTES = 20_480
MAX_DEPTH = 1_024
MAX_ATTRIBUTES = 48
MAX_VARIABLE_NAME_BYTES = 255
MOST_SHOWN = 10

_NAME = re.compile(rb"[^\s/>=<]*")
_BLANKS = re.compile(rb"\s*")
_COMMENT_END = re.compile(rb"-->|!>")
_VARIABLE_NAME_END = re.compile(rb"[$.|, ]|\Z")


class Spot(NamedTuple):
    """A place in a file; lines and columns (bytes) count from 1, 0 is none."""

    line: int
    column: int = 0


@dataclass(slots=True, eq=False)
class Element:
    """One element; `spot` is where its tag begins, names are as written."""

    name: str
    spot: Spot
    attributes: list[tuple[str, bytes]] = field(default_factory=list)
    text: bytes = b""
    children: list[Element] = field(default_factory=list)

    @property
    def line(self) -> int:
        """The line of its tag."""
        return self.spot.line

    def attribute(self, name: str) -> bytes | None:
        """The value of attribute `name` (without regard to case), None when it is absent."""
        for own, value in self.attributes:
            if own.lower() == name:
                return value
        return None


def read_elements(text: bytes, path: str) -> list[Element]:
    """The root elements of a file with variables filled in and their definitions gone.

    Raises `RuleError` with the one fault of form that stops the reading, or with all faults of variables.
    """
    roots = _Reader(text, path).read()
    variables = _Variables(path)
    roots = variables.apply(roots)
    if variables.faults:
        raise RuleError(variables.faults)
    return roots


class _Reader:
    def __init__(self, text: bytes, path: str) -> None:
        self._text = text
        self._path = path
        self._newlines = [found.start() for found in re.finditer(rb"\n", text)]

    def read(self) -> list[Element]:
        text = self._text
        roots: list[Element] = []
        open_elements: list[Element] = []
        pieces: list[list[bytes]] = []
        at = 0
        while (tag := text.find(b"<", at)) >= 0:
            if text.startswith(b"<!", tag):
                if pieces:
                    pieces[-1].append(text[at:tag])
                at = self._skip_comment(tag)
                continue
            if self._is_escaped(tag, at):
                if pieces:
                    pieces[-1].append(text[at : tag + 1])
                at = tag + 1
                continue
            if text.startswith(b"</", tag):
                at = self._close(tag, at, open_elements, pieces)
                continue
            element, at, is_closed = self._open(tag)
            (open_elements[-1].children if open_elements else roots).append(element)
            if pieces:
                pieces[-1].clear()
            if not is_closed:
                open_elements.append(element)
                pieces.append([])
                if len(open_elements) > MAX_DEPTH:
                    raise self._fault(tag, "elements nested too deep", f"at most {MAX_DEPTH} levels")
        if open_elements:
            name = open_elements[-1].name
            raise RuleError(
                [self._fault_at(open_elements[-1].spot, f"<{name}> is never closed", f"expected </{name}>")]
            )
        return roots

    def _skip_comment(self, tag: int) -> int:
        found = _COMMENT_END.search(self._text, tag + 2)
        if found is None and self._text.startswith(b"<![CDATA[", tag):
            raise self._fault(tag, "a CDATA section", "plain text, with \\< for a literal '<'")
        if found is None:
            raise self._fault(tag, "a comment is never closed", "expected '-->'")
        return found.end()

    def _is_escaped(self, tag: int, start: int) -> bool:
        backslashes = 0
        while tag - backslashes > start and self._text[tag - backslashes - 1] == 0x5C:
            backslashes += 1
        return backslashes % 2 == 1

    def _close(self, tag: int, at: int, open_elements: list[Element], pieces: list[list[bytes]]) -> int:
        end = self._text.find(b">", tag)
        if end < 0:
            raise self._fault(tag, "an end tag is never closed", "expected '>'")
        name = self._text[tag + 2 : end].strip().decode("utf-8", "replace")
        if not open_elements:
            raise self._fault(tag, f"</{name}> closes nothing", "no element is open here")
        element = open_elements.pop()
        if element.name != name:
            raise self._fault(tag, f"</{name}> where <{element.name}> is open", f"expected </{element.name}>")
        own = pieces.pop()
        own.append(self._text[at:tag])
        element.text = b"".join(own)
        if len(element.text) > MAX_TEXT_BYTES:
            raise self._fault(tag, f"the content of <{name}> is too long", f"at most {MAX_TEXT_BYTES} bytes")
        return end + 1

    def _open(self, tag: int) -> tuple[Element, int, bool]:
        """(element, position after its tag, whether it was `<x/>`)."""
        name = _NAME.match(self._text, tag + 1)
        if name and name[0].startswith(b"?"):
            raise self._fault(tag, f"<{printable(name[0], 20)} ...?>", "no such line: leave it out")
        if not name or not name[0]:
            raise self._fault(tag, "'<' that begins no element", "write \\< for a literal '<'")
        element = Element(name[0].decode("utf-8", "replace"), self._spot(tag))
        at = name.end()
        while True:
            at = self._after_blanks(at)
            here = self._text[at : at + 1]
            if here == b">":
                return element, at + 1, False
            if here == b"/" and self._text[at + 1 : at + 2] == b">":
                return element, at + 2, True
            at = self._attribute(at, element)

    def _attribute(self, at: int, element: Element) -> int:
        name = _NAME.match(self._text, at)
        end = name.end() if name else at
        if not name or not name[0] or self._text[end : end + 1] != b"=":
            raise self._fault(at, f"bad attribute in <{element.name}>", 'expected name="value"')
        word = name[0].decode("utf-8", "replace")
        start = self._after_blanks(end + 1)
        quote = self._text[start : start + 1]
        stop = self._text.find(quote, start + 1) if quote in (b'"', b"'") else -1
        if stop < 0:
            raise self._fault(
                at, f"attribute {word} of <{element.name}> has no quoted value", "expected quotes"
            )
        value = self._text[start + 1 : stop]
        if b">" in value:
            raise self._fault(at, f"'>' in the value of attribute {word}", "a value must not hold '>'")
        if any(own == word for own, _ in element.attributes):
            raise self._fault(at, f"attribute {word} twice in <{element.name}>", "each attribute once")
        if len(value) > MAX_TEXT_BYTES or len(element.attributes) >= MAX_ATTRIBUTES:
            raise self._fault(at, f"<{element.name}> has too long or too many attributes", "")
        element.attributes.append((word, value))
        return stop + 1

    def _after_blanks(self, at: int) -> int:
        found = _BLANKS.match(self._text, at)
        return found.end() if found else at

    def _spot(self, offset: int) -> Spot:
        before = bisect_right(self._newlines, offset - 1)
        return Spot(before + 1, offset - (self._newlines[before - 1] if before else -1))

    def _fault(self, offset: int, found: str, expected: str) -> RuleError:
        return RuleError([self._fault_at(self._spot(offset), found, expected)])

    def _fault_at(self, spot: Spot, found: str, expected: str) -> Fault:
        return Fault(path=self._path, line=spot.line, column=spot.column, found=found, expected=expected)


class _Variables:
    """`<var name="X">value</var>` and `$X` in what follows it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._values: dict[bytes, bytes] = {}
        self.faults: list[Fault] = []

    def apply(self, roots: list[Element]) -> list[Element]:
        """`roots` without definitions, at any depth, and with their values in the places of use."""
        whole = Element("", Spot(0), children=roots)
        waiting = [whole]
        while waiting:
            element = waiting.pop()
            if element.name.lower() == "var":
                self._define(element)
                continue
            if self._values:
                element.attributes = [(n, self._fill(v, element.spot)) for n, v in element.attributes]
                element.text = self._fill(element.text, element.spot)
            waiting.extend(reversed(element.children))
            if any(child.name.lower() == "var" for child in element.children):
                element.children = [child for child in element.children if child.name.lower() != "var"]
        return whole.children

    def _define(self, element: Element) -> None:
        if len(element.attributes) != 1 or element.attributes[0][0].lower() != "name":
            self._tell(element.spot, "<var> without a name", 'expected <var name="X"> and no other attribute')
            return
        name = element.attributes[0][1]
        if len(name) > MAX_VARIABLE_NAME_BYTES:
            self._tell(element.spot, "the name of a <var> is too long", "at most 255 bytes")
            return
        self._values[name.lower()] = element.text

    def _fill(self, text: bytes, spot: Spot) -> bytes:
        if len(text) <= 2 or b"$" not in text:
            return text
        pieces: list[bytes] = []
        at = added = 0
        while (dollar := text.find(b"$", at)) >= 0:
            pieces.append(text[at:dollar])
            found = _VARIABLE_NAME_END.search(text, dollar + 1)
            end = found.start() if found else len(text)
            name = text[dollar + 1 : end]
            if not name or name.startswith(b"("):
                pieces.append(text[dollar : dollar + 1])
                at = dollar + 1
                continue
            value = self._values.get(name.lower())
            if value is None:
                shown = printable(name, 80)
                known = ", ".join(f"${printable(each, 80)}" for each in sorted(self._values)[:MOST_SHOWN])
                self._tell(spot, f"unknown variable ${shown}", f"defined before it are {known}")
            pieces.append(value or b"")
            added += len(value or b"")
            if added > MAX_TEXT_BYTES:
                self._tell(
                    spot, "variables make this text too long", f"at most {MAX_TEXT_BYTES} bytes of them"
                )
                return b""
            at = end
        return b"".join([*pieces, text[at:]])

    def _tell(self, spot: Spot, found: str, expected: str) -> None:
        self.faults.append(
            Fault(path=self._path, line=spot.line, column=spot.column, found=found, expected=expected)
        )
