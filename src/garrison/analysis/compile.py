"""Ruleset texts become a program; all faults are told at once. Pure."""

from __future__ import annotations

from garrison.analysis import cdb
from garrison.analysis.decoder_file import read_decoder_file
from garrison.analysis.decoder_tree import ForestBuilder, decoder_names
from garrison.analysis.program import Program
from garrison.analysis.reading import Reading
from garrison.analysis.rule_file import read_rule_file
from garrison.analysis.rule_tree import TreeBuilder
from garrison.analysis.source import Source
from garrison.ground.errors import Fault, RuleError


def compile_program(source: Source) -> Program:
    """The program of `source`; raises `RuleError` with every fault. Tolerated ones are `Program.warnings`."""
    faults: list[Fault] = list(source.faults)
    forest = ForestBuilder()
    for file in source.decoders:
        reading = Reading(file.path)
        for decoder in read_decoder_file(file.text, reading):
            if decoder.node is not None:
                forest.add(decoder, reading)
        faults += reading.faults
    names = decoder_names(forest.forest())
    lists = {name: cdb.read_list(text) for name, text in source.lists.items()}
    tree = TreeBuilder(source.thresholds, names, lists)
    largest = 0
    for file in source.rules:
        reading = Reading(file.path)
        for rule in read_rule_file(file.text, reading):
            tree.add(rule, reading)
            largest = max(largest, rule.frequency or 0)
        faults += reading.faults
    if any(not fault.is_warning for fault in faults):
        raise RuleError(faults)
    tree.link()
    return Program(
        decoders=forest.forest(),
        roots=tree.roots,
        rules=tree.rules,
        windows=tree.windows,
        largest_frequency=largest,
        log_alert_level=source.thresholds.log_alert_level,
        decoder_names=names,
        lists=lists,
        warnings=tuple(faults),
    )
