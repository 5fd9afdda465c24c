"""Decoders in loading order become two lists of roots with children. Pure.

Source: spec/analysis.md 6.1, 6.3; spec/analysis-1-decoding.md 4.6.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from garrison.analysis.decoder_file import DecoderText
from garrison.analysis.program import AFTER_REGEX, DecoderForest, DecoderNode
from garrison.analysis.reading import Reading, shown

INTERNAL_NAMES = frozenset(
    [b"rootcheck", b"syscheck_integrity_changed", b"syscheck_new_entry", b"syscheck_deleted"]
    + [
        b"syscheck_registry_%s_%s" % (k, c)
        for k in (b"key", b"value")
        for c in (b"modified", b"added", b"deleted")
    ]
    + [b"hostinfo_new", b"hostinfo_modified", b"syscollector", b"ciscat", b"windows_eventchannel", b"sca"]
)


class ForestBuilder:
    """Takes decoders one by one, in loading order."""

    def __init__(self) -> None:
        self._forest = DecoderForest()
        self._roots: dict[bytes, list[DecoderNode]] = {}
        self._own_named: set[int] = set()
        self._children: list[DecoderNode] = []

    def add(self, decoder: DecoderText, reading: Reading) -> None:
        """Places `decoder`; what forbids it is noted in `reading`."""
        node = decoder.node
        assert node is not None
        if decoder.parent is None:
            (self._forest.unnamed if node.program_name is None else self._forest.named).append(node)
            self._roots.setdefault(node.written_name, []).append(node)
            return
        parents = self._roots.get(decoder.parent)
        if not parents:
            reading.error(
                decoder.line,
                f"parent {shown(decoder.parent)!r} of decoder {shown(decoder.name)!r} is unknown",
                "a decoder without <parent> of that name must stand before",
            )
            return
        if not decoder.uses_own_name:
            node.card = replace(node.card, name=decoder.parent)
        for parent in parents:
            self._adopt(parent, node, decoder, reading)

    def _adopt(self, parent: DecoderNode, node: DecoderNode, decoder: DecoderText, reading: Reading) -> None:
        earlier = [child for child in parent.children if child.written_name == node.written_name]
        if node.regex_offset == AFTER_REGEX and not any(e.prematch or e.regex for e in earlier):
            reading.error(
                decoder.line,
                "offset after_regex without an earlier decoder of the same name",
                "add one or drop it",
            )
            return
        if earlier:
            if node.prematch is not None or node.first_seen is not None:
                reading.error(
                    decoder.line,
                    f"decoder {shown(decoder.name)!r} continues an earlier one and has <prematch> or <fts>",
                    "only <regex> or <plugin_decoder> are possible, or another name",
                )
                return
            if any(each.regex is None and each.plugin is None for each in (*earlier, node)):
                reading.error(
                    decoder.line,
                    f"decoders of one name {shown(decoder.name)!r} without <regex>",
                    "each of them needs <regex> or <plugin_decoder>",
                )
                return
            for each in earlier:
                each.goes_on = True
        parent.children.append(node)

    def forest(self) -> DecoderForest:
        """All roots."""
        return self._forest


def decoder_names(forest: DecoderForest) -> frozenset[bytes]:
    """Every name that `decoded_as` may use."""
    return INTERNAL_NAMES | frozenset(node.card.name for node in all_nodes(forest))


def all_nodes(forest: DecoderForest) -> Iterable[DecoderNode]:
    """Roots and their children; a child of several roots comes several times."""
    for root in (*forest.named, *forest.unnamed):
        yield root
        yield from root.children
