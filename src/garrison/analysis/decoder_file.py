"""One decoder file: XML elements to decoder nodes, every fault noted. Pure.

    <decoder name="sshd-failed"> <parent>sshd</parent> <prematch>^Failed </prematch>
      <regex offset="after_prematch">^(\\S+) for (\\S+) from (\\S+) port </regex> <order>id,user,srcip</order> </decoder>

Source: spec/analysis.md 6; spec/analysis-1-decoding.md 4.1 to 4.5.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from garrison.analysis.event import DecoderCard
from garrison.analysis.osregex import BadPattern
from garrison.analysis.patterns import OSMATCH, OSREGEX, PCRE2, Pattern, compile_pattern
from garrison.analysis.plugins import PLUGINS
from garrison.analysis.program import (
    AFTER_PARENT,
    AFTER_PREMATCH,
    AFTER_REGEX,
    DecoderNode,
    FirstSeen,
    OrderWord,
)
from garrison.analysis.reading import CATEGORIES, LANGUAGES, Reading, language_of, shown
from garrison.analysis.syntax import Element, read_elements
from garrison.ground.errors import RuleError

MAX_PATTERN_BYTES = 1_023
MAX_ORDER_WORDS = 256

STATIC_WORDS = {
    b"srcuser": "srcuser",
    b"dstuser": "dstuser",
    b"user": "dstuser",
    b"srcip": "srcip",
    b"dstip": "dstip",
    b"srcport": "srcport",
    b"dstport": "dstport",
    b"protocol": "protocol",
    b"action": "action",
    b"id": "id",
    b"url": "url",
    b"data": "data",
    b"extra_data": "extra_data",
    b"status": "status",
    b"system_name": "system_name",
}
FIRST_SEEN_WORDS = {
    b"name": "name",
    b"srcuser": "srcuser",
    b"dstuser": "dstuser",
    b"user": "dstuser",
    b"srcip": "srcip",
    b"dstip": "dstip",
    b"id": "id",
    b"location": "location",
    b"data": "data",
    b"extra_data": "data",
    b"system_name": "system_name",
}
_OFFSETS = (AFTER_PARENT, AFTER_PREMATCH, AFTER_REGEX)
_COMMA = re.compile(rb"(?<!\\),")


@dataclass(slots=True)
class _Text:
    """A pattern while its pieces are collected; the language of the last piece counts."""

    pieces: list[bytes] = field(default_factory=list)
    language: str = OSREGEX
    offset: str | None = None
    line: int = 0


@dataclass(slots=True)
class DecoderText:
    """One `<decoder>` as read; `node` becomes part of the program."""

    name: bytes
    line: int
    path: str
    parent: bytes | None = None
    uses_own_name: bool = False
    node: DecoderNode | None = None


def read_decoder_file(text: bytes, reading: Reading) -> list[DecoderText]:
    """The decoders of a file, in order; those with faults are left out."""
    try:
        elements = read_elements(text, reading.path)
    except RuleError as error:
        reading.faults.extend(error.faults)
        return []
    found = []
    for element in elements:
        if element.name.lower() == "var":
            continue
        if element.name.lower() != "decoder":
            reading.error(element.line, f"<{element.name}> in a decoder file", "expected <decoder> or <var>")
            continue
        before = len(reading.faults)
        decoder = _DecoderReader(element, reading).read()
        if not any(not fault.is_warning for fault in reading.faults[before:]):
            found.append(decoder)
    return found


class _DecoderReader:
    def __init__(self, element: Element, reading: Reading) -> None:
        self._element = element
        self._reading = reading
        self._texts: dict[str, _Text] = {}
        self._parent: bytes | None = None
        self._order: bytes | None = None
        self._plugin: str | None = None
        self._plugin_offset: str | None = None
        self._category = "syslog"
        self._first_seen: list[tuple[bytes, int, bool]] = []
        self._comment: bytes | None = None
        self._accumulates = self._uses_own_name = self._discards_null = self._joins_arrays = False

    def read(self) -> DecoderText:
        element = self._element
        name = self._name()
        self._reading.about = f"decoder {shown(name)}" if name else ""
        if not element.children:
            self._error(
                element.line, "a <decoder> without content", "expected <prematch>, <program_name> or <parent>"
            )
        for child in element.children:
            self._option(child)
        self._check()
        decoder = DecoderText(name, element.line, self._reading.path, self._parent, self._uses_own_name)
        decoder.node = self._node(name)
        self._reading.about = ""
        return decoder

    def _error(self, line: int, found: str, expected: str = "") -> None:
        self._reading.error(line, found, expected)

    def _name(self) -> bytes:
        attributes = self._element.attributes
        if not attributes or attributes[0][0].lower() != "name":
            self._error(self._element.line, "a <decoder> without a name", 'expected <decoder name="...">')
            return b""
        for extra, _ in attributes[1:]:
            if extra.lower() != "status" or len(attributes) > 2:
                self._error(
                    self._element.line, f"attribute {extra} of <decoder>", "only name and status are known"
                )
        return attributes[0][1]

    def _option(self, child: Element) -> None:
        option = child.name.lower()
        if child.name == "type":
            self._category = child.text.decode("latin-1")
            if self._category not in CATEGORIES:
                self._error(child.line, f"type {shown(child.text)!r}", f"known are {', '.join(CATEGORIES)}")
        elif option in ("program_name", "prematch", "regex"):
            self._pattern_piece(option, child)
        elif option == "parent":
            self._parent = self._joined(self._parent, child)
        elif option == "order":
            self._order = child.text
        elif option == "plugin_decoder":
            self._plugin_option(child)
        elif option == "fts":
            self._first_seen.append((child.text, child.line, self._order is not None))
        elif option == "ftscomment":
            self._comment = self._joined(self._comment, child)
        elif option == "accumulate":
            self._accumulates = True
        elif option == "use_own_name":
            self._uses_own_name = self._uses_own_name or child.text == b"true"
        elif option in ("json_null_field", "json_array_structure"):
            self._json_option(option, child)
        else:
            self._error(child.line, f"unknown element <{child.name}> in a decoder")

    def _joined(self, before: bytes | None, child: Element) -> bytes:
        """The content of an element that stands several times."""
        text = (before or b"") + child.text
        if len(text) > MAX_PATTERN_BYTES:
            self._error(
                child.line, f"<{child.name}> is too long", f"at most {MAX_PATTERN_BYTES} bytes in all"
            )
        return text

    def _pattern_piece(self, option: str, child: Element) -> None:
        is_first = option not in self._texts
        text = self._texts.setdefault(option, _Text(line=child.line))
        text.pieces.append(child.text)
        default, allowed = (OSMATCH, LANGUAGES) if option == "program_name" else (OSREGEX, (OSREGEX, PCRE2))
        text.language = language_of(child, default, allowed, self._reading)
        offset = child.attribute("offset")
        if offset is None or option == "program_name":
            return
        if not is_first:
            self._error(child.line, f"offset on a later <{child.name}>", "only the first one may carry it")
            return
        word = offset.lower().decode("latin-1")
        if option == "prematch" and word in (AFTER_PREMATCH, AFTER_REGEX):
            self._error(child.line, f"offset {word} of <prematch>", "only after_parent is possible")
        elif word not in _OFFSETS:
            self._reading.warn(
                child.line, f"unknown offset {shown(offset)!r}", f"known are {', '.join(_OFFSETS)}"
            )
        else:
            text.offset = word

    def _plugin_option(self, child: Element) -> None:
        self._plugin = child.text.decode("latin-1")
        if self._plugin not in PLUGINS:
            self._error(
                child.line, f"unknown plugin {shown(child.text)!r}", f"known are {', '.join(PLUGINS)}"
            )
        offset = child.attribute("offset")
        if offset is not None:
            word = offset.lower().decode("latin-1")
            self._plugin_offset = word
            if word not in _OFFSETS:
                self._error(
                    child.line, f"unknown offset {shown(offset)!r}", f"known are {', '.join(_OFFSETS)}"
                )

    def _json_option(self, option: str, child: Element) -> None:
        word = child.text.lower()
        if option == "json_null_field":
            self._discards_null = word == b"discard"
            if word not in (b"string", b"discard"):
                self._reading.warn(
                    child.line, f"{option} {shown(child.text)!r}", "string is used; or discard"
                )
        else:
            self._joins_arrays = word == b"csv"
            if word not in (b"array", b"csv"):
                self._reading.warn(child.line, f"{option} {shown(child.text)!r}", "array is used; or csv")

    def _check(self) -> None:
        line = self._element.line
        texts = self._texts
        has_parent = self._parent is not None
        if not has_parent and "prematch" not in texts and "program_name" not in texts:
            self._error(
                line, "a decoder that nothing selects", "expected <parent>, <prematch> or <program_name>"
            )
        if ("regex" in texts) != (self._order is not None):
            self._error(line, "<regex> and <order> go together", "one of them is missing")
        if self._plugin is not None and ("regex" in texts or self._order is not None):
            self._error(line, "<plugin_decoder> beside <regex> or <order>", "only one of them is possible")
        offsets = [text.offset for text in texts.values()] + [self._plugin_offset]
        if AFTER_PARENT in offsets and not has_parent:
            self._error(line, "offset after_parent without <parent>")
        regex = texts.get("regex")
        if regex is not None and regex.offset == AFTER_PREMATCH:
            if not has_parent:
                regex.offset = AFTER_PARENT
            elif "prematch" not in texts:
                self._error(line, "offset after_prematch without <prematch>")
        if regex is not None and regex.offset == AFTER_REGEX and not has_parent:
            self._error(line, "offset after_regex without <parent>")
        if self._plugin_offset == AFTER_PREMATCH and "prematch" not in texts:
            self._error(line, "plugin offset after_prematch without <prematch>")

    def _node(self, name: bytes) -> DecoderNode:
        order = self._order_words()
        regex = self._texts.get("regex")
        prematch = self._texts.get("prematch")
        return DecoderNode(
            card=DecoderCard(
                name=name, parent=self._parent, accumulates=self._accumulates, fts_comment=self._comment
            ),
            written_name=name,
            path=self._reading.path,
            line=self._element.line,
            category=self._category,
            program_name=self._pattern("program_name"),
            prematch=self._pattern("prematch"),
            prematch_is_after_parent=prematch is not None and prematch.offset == AFTER_PARENT,
            regex=self._pattern("regex"),
            regex_offset=regex.offset if regex else None,
            order=order,
            plugin=self._plugin,
            plugin_offset=self._plugin_offset,
            first_seen=self._first_seen_words(order),
            discards_null=self._discards_null,
            joins_arrays=self._joins_arrays,
        )

    def _pattern(self, option: str) -> Pattern | None:
        text = self._texts.get(option)
        if text is None:
            return None
        source = b"".join(text.pieces)
        if len(source) > MAX_PATTERN_BYTES:
            self._error(text.line, f"<{option}> is too long", f"at most {MAX_PATTERN_BYTES} bytes in all")
            return None
        try:
            return compile_pattern(source, text.language)
        except BadPattern as error:
            self._error(text.line, f"<{option}> does not compile: {error}", f"as {text.language}")
            return None

    def _order_words(self) -> tuple[OrderWord, ...]:
        if self._order is None:
            return ()
        words = [_word(piece) for piece in _COMMA.split(self._order)]
        if len(words) > MAX_ORDER_WORDS:
            self._error(self._element.line, "too many words in <order>", f"at most {MAX_ORDER_WORDS}")
        if not all(words):
            self._error(self._element.line, "an empty word in <order>", "expected names with a comma between")
        return tuple(OrderWord(STATIC_WORDS.get(word), word) for word in words)

    def _first_seen_words(self, order: tuple[OrderWord, ...]) -> FirstSeen | None:
        words: set[str] = set()
        marked: set[bytes] = set()
        for text, line, is_after_order in self._first_seen:
            marked.clear()  # fixed words of several elements add up, fields of `order` do not
            for piece in _COMMA.split(text):
                word = _word(piece)
                if not word:
                    self._error(line, "an empty word in <fts>", "expected names with a comma between")
                elif word in FIRST_SEEN_WORDS:
                    words.add(FIRST_SEEN_WORDS[word])
                elif is_after_order:
                    if not any(o.static is None and o.name.lower() == word.lower() for o in order):
                        self._error(
                            line, f"{shown(word)!r} in <fts>", "expected a field of this decoder's <order>"
                        )
                    marked.add(word.lower())
        if not words and not marked:
            return None
        if "regex" not in self._texts:
            self._error(self._element.line, "<fts> without <regex>")
        dynamic = tuple(o.name for o in order if o.static is None and o.name.lower() in marked)
        return FirstSeen(words=frozenset(words), dynamic=dynamic)


def _word(piece: bytes) -> bytes:
    """A word of a comma list: without leading blanks, cut at the first blank, `\\,` is a comma."""
    return piece.lstrip(b" ").partition(b" ")[0].replace(b"\\,", b",")
