"""A log meets the decoders: one root is chosen, then one child, then fields are extracted. Pure.

Source: spec/analysis.md 6.2 to 6.5; spec/analysis-1-decoding.md 4.7 to 4.13.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from garrison.analysis.bits import members
from garrison.analysis.event import Event
from garrison.analysis.fields import MAX_DYNAMIC_FIELDS, add_dynamic
from garrison.analysis.patterns import PCRE2, Pattern
from garrison.analysis.plugins import PLUGINS
from garrison.analysis.prefilter import NO_GATE
from garrison.analysis.program import (
    AFTER_PARENT,
    AFTER_PREMATCH,
    DecoderForest,
    DecoderNode,
    OrderWord,
)

MAX_REMEMBERED_PROGRAMS = 4_096
MOST_REMEMBERED_BYTES = 128
"""Longer names of programs are none that come twice."""
FEW = 2
"""So many roots are tried without looking anything up."""

NO_BYTE = -1
"""Stands for the first byte of an empty log."""


class Decoding:
    """The decoders of a program, with a bounded memory of which roots fit which program name."""

    def __init__(self, forest: DecoderForest) -> None:
        self._forest = forest
        self._by_program: dict[bytes, Roots] = {}
        self._unnamed = Roots(forest.unnamed)

    def decode(self, event: Event, hits: Collection[int] | None, *, follows_byte: bool) -> DecoderNode | None:
        """Fills `event`; the decoder it ends with, None when no root fits.

        `hits` are the open gates of the log; None when nobody looked, which takes longer and gives the same.
        """
        program = event.program_name
        roots = self._unnamed if program is None else self._fitting(program)
        attempt = self.begin(event, hits, follows_byte)
        for root in roots.nodes if hits is None else roots.candidates(event.log, hits):
            if attempt.enters(root):
                return attempt.run(root)
        return None

    def begin(self, event: Event, hits: Collection[int] | None, follows_byte: bool) -> Attempt:
        """The way of one event through the decoders; whoever wants to watch it hands out one that notes its steps."""
        return Attempt(event, hits, follows_byte)

    def _fitting(self, program: bytes) -> Roots:
        found = self._by_program.get(program)
        if found is None:
            found = Roots(
                [root for root in self._forest.named if root.program_name and root.program_name.test(program)]
            )
            if len(program) > MOST_REMEMBERED_BYTES:
                return found
            if len(self._by_program) >= MAX_REMEMBERED_PROGRAMS:
                self._by_program.clear()
            self._by_program[program] = found
        return found


class Roots:
    """Roots in the order of trial; of many, those that a log's gates and first byte leave."""

    def __init__(self, nodes: Sequence[DecoderNode]) -> None:
        self.nodes = nodes
        self._ungated = 0
        self._gated: dict[int, int] = {}
        self._by_first_byte: dict[int, int] = {}
        for at, root in enumerate(nodes):
            if root.gate == NO_GATE:
                self._ungated |= 1 << at
            else:
                self._gated[root.gate] = self._gated.get(root.gate, 0) | 1 << at

    def candidates(self, log: bytes, hits: Collection[int]) -> Sequence[DecoderNode]:
        """Those that may fit `log`, whose open gates are `hits`."""
        if len(self.nodes) <= FEW:
            return self.nodes
        first = log[0] if log else NO_BYTE
        bits = self._by_first_byte.get(first)
        if bits is None:
            bits = self._by_first_byte[first] = self._beginning_with(first)
        gated = self._gated
        is_open = self._ungated
        for gate in gated.keys() & hits:
            is_open |= gated[gate]
        return members(self.nodes, bits & is_open)

    def _beginning_with(self, byte: int) -> int:
        lowered = byte if byte == NO_BYTE else bytes([byte]).lower()[0]
        bits = 0
        for at, root in enumerate(self.nodes):
            if root.first_bytes is None or lowered in root.first_bytes:
                bits |= 1 << at
        return bits


class Attempt:
    """One event on its way through the decoders. Positions are offsets into the log.

    `_left_over` are the captures of the last PCRE2 pattern that ran: a PCRE2 regex that matches without a
    group of its own hands those on.
    """

    __slots__ = (
        "_after_parent",
        "_after_prematch",
        "_event",
        "_follows_byte",
        "_hits",
        "_left_over",
        "_log",
    )

    def __init__(self, event: Event, hits: Collection[int] | None, follows_byte: bool) -> None:
        self._event = event
        self._log = event.log
        self._hits = hits
        self._follows_byte = follows_byte
        self._left_over: tuple[bytes, ...] = ()
        self._after_parent: int | None = None
        self._after_prematch: int | None = None

    def enters(self, root: DecoderNode) -> bool:
        """Whether `root` is the one; where its prematch ended is noted."""
        position = 0
        program = root.program_name
        if program is not None and program.language == PCRE2:
            found = program.extract(self._event.program_name or b"")
            self._left_over = found.captures if found is not None else ()
        if root.prematch is not None:
            if not self._is_open(root):
                return False
            end = self._after_match(root.prematch, 0)
            if end is None:
                return False
            position = end
        self._after_prematch = position
        return True

    def run(self, root: DecoderNode) -> DecoderNode:
        """The event's decoder; all fields are extracted."""
        event = self._event
        owner = root
        after_root = self._after_prematch or 0
        if not root.children:
            event.decoder, event.category = root.card, root.category
            if root.regex is not None or root.plugin is not None:
                self._extract((root,), 0, root, after_root, None)
            return root
        place, after_child = self._choose(root, after_root)
        if place is not None and root.children[place].prematch is not None:
            owner = root.children[place]
            self._after_parent = after_root
            self._after_prematch = after_child
        event.decoder, event.category = owner.card, owner.category
        if place is not None:
            self._extract(root.children, place, owner, after_root, after_child)
        return owner

    def _is_open(self, node: DecoderNode) -> bool:
        return self._hits is None or node.gate == NO_GATE or node.gate in self._hits

    def _after_match(self, pattern: Pattern, start: int) -> int | None:
        """The position behind a match of `pattern` in the log from `start` on; None without a match."""
        subject = self._log[start:] if start else self._log
        if pattern.language == PCRE2:
            found = pattern.extract(subject)
            if found is None:
                return None
            if found.captures:
                self._left_over = found.captures
            return self._behind(found.last, start, len(subject))
        self._left_over = ()
        last = pattern.find(subject)
        return None if last is None else self._behind(last, start, len(subject))

    def _behind(self, last: int, start: int, length: int) -> int:
        if last < 0 and start == 0:
            return 0 if self._follows_byte else length
        return start + last + (1 if last < length else 0)

    def _choose(self, root: DecoderNode, after_root: int) -> tuple[int | None, int | None]:
        """(place of the child that is taken, position after its prematch)."""
        children = root.children
        place = 0
        while place < len(children):
            child = children[place]
            if child.prematch is None:
                return place, after_root
            end = self.child_end(child, child.prematch, after_root)
            if end is not None:
                return place, end
            place += 1
            if child.goes_on:
                while place < len(children) and children[place].goes_on:
                    place += 1
                place += 1
        return None, None

    def child_end(self, child: DecoderNode, prematch: Pattern, after_root: int) -> int | None:
        """The position behind the prematch of `child`; None where it does not fit."""
        if prematch.language != PCRE2:
            self._left_over = ()
        if not self._is_open(child):
            return None
        return self._after_match(prematch, after_root if child.prematch_is_after_parent else 0)

    def _extract(
        self,
        nodes: Collection[DecoderNode] | list[DecoderNode],
        place: int,
        owner: DecoderNode,
        after_parent: int,
        after_prematch: int | None,
    ) -> None:
        nodes = list(nodes) if not isinstance(nodes, list) else nodes
        previous: int | None = None
        while place < len(nodes):
            node = nodes[place]
            if node.plugin is not None:
                PLUGINS[node.plugin](self._event, self._plugin_input(owner), owner)
            elif node.regex is not None:
                if len(self._event.dynamic) >= MAX_DYNAMIC_FIELDS:
                    return
                start = 0
                if node.regex_offset is not None:
                    if node.regex_offset == AFTER_PARENT:
                        start = after_parent
                    elif node.regex_offset == AFTER_PREMATCH or previous is None:
                        start = after_prematch or 0
                    else:
                        start = previous
                end = self.assign(node, start)
                if end is not None:
                    previous = end
            else:
                return
            if not node.goes_on:
                return
            place += 1

    def _plugin_input(self, owner: DecoderNode) -> bytes | None:
        if owner.plugin_offset is None:
            return self._log
        start = self._after_prematch if owner.plugin_offset == AFTER_PREMATCH else None
        if owner.plugin_offset == AFTER_PARENT:
            start = self._after_parent
        return None if start is None else self._log[start:]

    def assign(self, node: DecoderNode, start: int) -> int | None:
        """Runs the regex of `node`; the position behind it, None without a match."""
        pattern = node.regex
        assert pattern is not None
        if self._hits is not None and node.regex_gate != NO_GATE and node.regex_gate not in self._hits:
            if pattern.language != PCRE2:
                self._left_over = ()
            return None
        subject = self._log[start:] if start else self._log
        found = pattern.extract(subject)
        if pattern.language != PCRE2:
            self._left_over = ()
        if found is None:
            return None
        captures = found.captures
        if pattern.language == PCRE2:
            captures = captures or self._left_over
            self._left_over = ()
        for word, value in zip(node.order, captures, strict=False):
            _set_field(self._event, word, value)
        return self._behind(found.last, start, len(subject))


def _set_field(event: Event, word: OrderWord, value: bytes) -> None:
    if word.static is not None:
        event.static[word.static] = value
    else:
        add_dynamic(event, word.name, value)
