"""Ruleset texts become a program; all faults are told at once. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from garrison.analysis import cdb
from garrison.analysis.decoder_file import read_decoder_file
from garrison.analysis.decoder_tree import ForestBuilder, all_nodes, decoder_names
from garrison.analysis.prefilter import Gate, GateBook, Prefilter
from garrison.analysis.program import DecoderForest, Program, Rule
from garrison.analysis.reading import Reading
from garrison.analysis.rule_file import read_rule_file
from garrison.analysis.rule_index import index_tree
from garrison.analysis.rule_tree import TreeBuilder
from garrison.analysis.source import Source
from garrison.ground.errors import Fault, RuleError

_ANY_DECODER = re.compile(rb"""<decoder\b[^>]*?\bname=["']([^"'<>]+)["']""", re.IGNORECASE)
"""Decoders of a file that cannot be used: that they are missing is told once, not for each rule that names them."""


def compile_program(source: Source, *, filters: bool = True) -> Program:
    """The program of `source`; raises `RuleError` with every fault. Tolerated ones are `Program.warnings`.

    `filters` False leaves out the over-all look at logs; verdicts are the same.
    """
    faults: list[Fault] = list(source.faults)
    missing: set[bytes] = set()
    forest = ForestBuilder()
    for file in source.decoders:
        reading = Reading(file.path)
        for decoder in read_decoder_file(file.text, reading):
            if decoder.node is not None:
                forest.add(decoder, reading)
        faults += reading.in_order
        if reading.has_errors:
            missing.update(found[1] for found in _ANY_DECODER.finditer(file.text))
    names = decoder_names(forest.forest())
    lists = {name: cdb.read_list(text) for name, text in source.lists.items()}
    tree = TreeBuilder(source.thresholds, names | missing, lists)
    largest = 0
    for file in source.rules:
        reading = Reading(file.path)
        rules = read_rule_file(file.text, reading)
        tree.miss(reading.broken)
        for rule in rules:
            tree.add(rule, reading)
            largest = max(largest, rule.frequency or 0)
        faults += reading.in_order
    if any(not fault.is_warning for fault in faults):
        raise RuleError(faults)
    tree.link()
    prefilter = _gate_everything(forest.forest(), tree.rules) if filters else None
    index_tree(tree.roots)
    return Program(
        decoders=forest.forest(),
        roots=tree.roots,
        rules=tree.rules,
        windows=tree.windows,
        prefilter=prefilter,
        largest_frequency=largest,
        log_alert_level=source.thresholds.log_alert_level,
        decoder_names=names,
        lists=lists,
        warnings=tuple(faults),
    )


def _gate_everything(forest: DecoderForest, rules: Iterable[Rule]) -> Prefilter | None:
    """Numbers the gates of decoders and rules; None where the library that looks for them is missing."""
    if not Prefilter.is_available():
        return None
    book = GateBook()
    for node in all_nodes(forest):
        if node.prematch is not None:
            node.gate = book.add(node.prematch.required())
            node.first_bytes = node.prematch.first_bytes() if not node.prematch_is_after_parent else None
        if node.regex is not None:
            node.regex_gate = book.add(node.regex.required())
    for rule in rules:
        looks = (each.pattern for each in rule.conditions if each.subject == "log" and not each.negated)
        required = (pattern.required() for pattern in looks if pattern is not None)
        rule.gate = book.add(max(required, key=_telling, default=frozenset()))
    return Prefilter(book.gates)


def _telling(texts: Gate) -> tuple[int, int]:
    """Orders what patterns require by how seldom it is there: long texts, and few of them."""
    return min(map(len, texts), default=0), -len(texts)
