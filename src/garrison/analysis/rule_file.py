"""Rule files become rule texts: every attribute and element checked, nothing placed yet. Pure.

    <group name="sshd,"> <rule id="100001" level="5"> <match>failed</match> <description>x</description> </rule> </group>

Source: spec/analysis.md 9; spec/analysis-2-rules.md 1.4, 1.5, 2.1.
"""

from __future__ import annotations

import re

from garrison.analysis import conditions
from garrison.analysis.program import Condition
from garrison.analysis.reading import Reading, shown
from garrison.analysis.rule_draft import Draft, finish
from garrison.analysis.rule_options import read_option
from garrison.analysis.rule_text import RuleText, definition_of
from garrison.analysis.syntax import Element, read_elements
from garrison.ground.errors import RuleError

MOST_ID_DIGITS = 6
MOST_LEVEL = 16
LEAST_FREQUENCY, MOST_FREQUENCY = 2, 9_999

_CUT_DIGITS = {"maxsize": 4, "timeframe": 5, "ignore": 6, "accuracy": 4}
"""Numbers of which only so many digits count."""

_KNOWN = ("id", "level", "maxsize", "frequency", "timeframe", "ignore", "accuracy", "noalert", "overwrite")
_NUMBER = re.compile(rb"[0-9]+")
_ANY_RULE = re.compile(rb"""<rule\b[^>]*?\bid=["']([0-9]{1,6})["']""", re.IGNORECASE)
"""Rules of a file that cannot be read: that they are missing is told once."""


def read_rule_file(text: bytes, reading: Reading) -> list[RuleText]:
    """The rules of a file in order; faults go to `reading`. A file of no bytes is a good one."""
    try:
        roots = read_elements(text, reading.path)
    except RuleError as error:
        reading.faults += error.faults
        reading.broken.update(int(found[1]) for found in _ANY_RULE.finditer(text))
        return []
    if text and not roots:
        reading.error(1, "a file without a <group>", 'expected <group name="a,b,">, or a file of no bytes')
    rules: list[RuleText] = []
    for root in roots:
        if root.name.lower() != "group":
            found = f"unknown root element <{shown(root.name)}>"
            reading.error(root.spot, found, 'expected <group name="a,b,"> or <var name="X">')
        else:
            rules += _read_group(root, reading)
    return rules


def _read_group(root: Element, reading: Reading) -> list[RuleText]:
    if len(root.attributes) != 1 or root.attributes[0][0].lower() != "name":
        expected = 'expected <group name="a,b,"> and no other attribute'
        reading.error(root.spot, "<group> without its name, or with more than that", expected)
        return []
    rules = []
    for child in root.children:
        if child.name.lower() != "rule":
            reading.error(child.spot, f"unknown element <{shown(child.name)}> in a group", "expected <rule>")
            continue
        rule = _read_rule(child, root.attributes[0][1], reading)
        if rule is not None:
            rules.append(rule)
    if not root.children:
        reading.error(root.spot, "a group without rules", "expected at least one <rule>")
    return rules


def _read_rule(element: Element, groups: bytes, reading: Reading) -> RuleText | None:
    """The rule; None where it has an error."""
    before = len(reading.faults)
    rule = RuleText(id=0, level=0, path=reading.path, spot=element.spot, groups=groups)
    _read_attributes(element, rule, reading)
    draft = Draft(rule, reading)
    if not element.children:
        reading.error(element.spot, "a rule without any element", "expected <description> at least")
    for child in element.children:
        read_option(child, draft)
    if not rule.is_skipped and element.children:
        finish(draft)
    rule.definition = definition_of(groups, element)
    reading.about = ""
    is_good = all(fault.is_warning for fault in reading.faults[before:])
    if not is_good or rule.is_skipped:
        reading.broken.add(rule.id)
    return rule if is_good else None


def _read_attributes(element: Element, rule: RuleText, reading: Reading) -> None:
    given = {name.lower(): value for name, value in element.attributes}
    identity = given.get("id")
    if identity is not None and _NUMBER.fullmatch(identity) and len(identity) <= MOST_ID_DIGITS:
        rule.id = int(identity)
        reading.about = f"rule {rule.id}"
    elif identity is not None:
        reading.error(
            element.spot, f'id="{shown(identity)}" of a rule', f"a number of at most {MOST_ID_DIGITS} digits"
        )
    for name in ("id", "level"):
        if name not in given:
            reading.error(element.spot, f"<rule> without {name}", f'expected {name}="NUMBER"')
    for name, value in given.items():
        if name in ("level", "frequency", *_CUT_DIGITS):
            _read_number(name, value, element, rule, reading)
        elif name == "overwrite":
            if value not in (b"yes", b"no"):
                reading.error(element.spot, f'overwrite="{shown(value)}"', "yes or no")
            rule.overwrites = value == b"yes"
        elif name == "noalert":
            if value not in (b"0", b"1"):
                reading.warn(element.spot, f'noalert="{shown(value)}" has no effect', "0 or 1")
            rule.is_silent = value == b"1"
        elif name != "id":
            found = f"unknown attribute {shown(name)} of <rule>"
            reading.error(element.spot, found, f"known are {', '.join(_KNOWN)}")


def _read_number(name: str, value: bytes, element: Element, rule: RuleText, reading: Reading) -> None:
    least, most = {"level": (0, MOST_LEVEL), "frequency": (LEAST_FREQUENCY, MOST_FREQUENCY)}.get(
        name, (0, None)
    )
    number = int(value[: _CUT_DIGITS.get(name, 20)]) if _NUMBER.fullmatch(value) else -1
    if number < least or (most is not None and number > most):
        expected = "a number" if most is None else f"a number from {least} to {most}"
        reading.error(element.spot, f'{name}="{shown(value)}"', expected)
    elif name == "level":
        rule.level = number
    elif name == "frequency":
        rule.frequency = number
    elif name == "timeframe":
        rule.timeframe_s = number
    elif name == "ignore":
        rule.ignore_s = number
    elif name == "accuracy":
        rule.sorts_last = number == 0
    elif number:
        test = conditions.at_least(number)
        rule.conditions.append(Condition(test=test, option="maxsize", line=element.line, text=b"%d" % number))
