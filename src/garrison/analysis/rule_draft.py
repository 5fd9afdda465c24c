"""A rule on its way from elements to a `RuleText`: what comes in pieces is gathered here and made whole at the end. Pure.

Source: spec/analysis-2-rules.md 2.2, 2.4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from garrison.analysis import conditions
from garrison.analysis.osregex import BadPattern
from garrison.analysis.patterns import OSMATCH, OSREGEX, Pattern, compile_pattern
from garrison.analysis.program import Condition
from garrison.analysis.reading import Reading, shown
from garrison.analysis.rule_mitre import Marks
from garrison.analysis.rule_text import RuleText
from garrison.analysis.syntax import Spot

PATTERNS = (
    "match regex program_name hostname id url status action protocol system_name data extra_data location srcport "
    "dstport user srcgeoip dstgeoip"
).split()
"""Elements that hold a pattern, by the name of what it looks at."""

_IDS = re.compile(rb"[0-9, ]+")
_NUMBER = re.compile(rb"[0-9]+")


@dataclass(slots=True)
class Pieces:
    """The pieces of an element that may be written several times."""

    spot: Spot
    text: bytes = b""
    language: str = OSMATCH
    negated: bool = False


@dataclass(slots=True)
class Networks:
    """All `<srcip>` or `<dstip>` of a rule."""

    spot: Spot
    texts: list[str] = field(default_factory=list)
    found: list[conditions.Network | None] = field(default_factory=list)
    negated: bool = False


@dataclass(slots=True)
class Draft:
    """A rule on its way from elements to a `RuleText`. `single` holds conditions of which the last one counts."""

    rule: RuleText
    reading: Reading
    pieces: dict[str, Pieces] = field(default_factory=dict)
    networks: dict[str, Networks] = field(default_factory=dict)
    single: dict[str, Condition] = field(default_factory=dict)
    marks: Marks = field(default_factory=Marks)
    fields: int = 0

    def text(self, name: str) -> bytes | None:
        """The joined text of an element, None where it is not written."""
        pieces = self.pieces.get(name)
        return None if pieces is None else pieces.text

    def skip(self, spot: Spot, found: str, expected: str) -> None:
        """The rule is left out, which is tolerated."""
        self.reading.warn(spot, f"{found}: the rule is left out", expected)
        self.rule.is_skipped = True


def compile_noted(source: bytes, language: str, spot: Spot, what: str, reading: Reading) -> Pattern | None:
    """The pattern; None with an error noted where it does not compile."""
    try:
        return compile_pattern(source, language)
    except BadPattern as error:
        reading.error(spot, f"{what} does not compile as {language}: {error}", f"here: {shown(source)}")
        return None


def finish(draft: Draft) -> None:
    """Joins the pieces and checks what only the whole rule tells."""
    rule, reading = draft.rule, draft.reading
    _finish_parents(draft)
    if rule.is_skipped:
        return
    rule.description = draft.text("description")
    if rule.description is None:
        reading.error(rule.spot, "a rule without a description", "expected <description>")
    groups = draft.text("group")
    if groups is not None:
        rule.groups = (rule.groups + groups).replace(b"\n", b"")
    rule.info, rule.cve, rule.mitre = draft.text("info"), draft.text("cve"), draft.marks.mark()
    wants_earlier = (
        rule.same or rule.different or rule.same_fields or rule.different_fields or rule.crosses_agents
    )
    if (wants_earlier or (rule.frequency or 0) > 2) and not (rule.is_composite or rule.keeps_difference):
        found = "frequency, same_* or different_* without earlier events to look at"
        reading.error(rule.spot, found, "add <if_matched_sid>, <if_matched_group> or <if_matched_regex>")
    _finish_patterns(draft)
    rule.conditions += draft.single.values()
    _finish_networks(draft)


def _finish_parents(draft: Draft) -> None:
    rule = draft.rule
    sids = draft.pieces.get("if_sid")
    if sids is not None:
        rule.parent_spot = sids.spot
        if _IDS.fullmatch(sids.text) and _NUMBER.search(sids.text):
            rule.if_sid = tuple(int(word[:10]) for word in _NUMBER.findall(sids.text))
        else:
            draft.skip(sids.spot, f"<if_sid> is {shown(sids.text)!r}", "ids with commas or blanks between")
    for name in ("if_level", "if_group", "if_matched_group"):
        if name in draft.pieces and sids is None:
            rule.parent_spot = draft.pieces[name].spot
    level = draft.text("if_level")
    rule.if_level = int(level[:10]) if level else None
    rule.if_group = draft.text("if_group")
    rule.matched_group = draft.text("if_matched_group")
    regex = draft.pieces.get("if_matched_regex")
    if regex is not None:
        rule.matched_regex = compile_noted(
            regex.text, OSREGEX, regex.spot, "<if_matched_regex>", draft.reading
        )


def _finish_patterns(draft: Draft) -> None:
    for name in PATTERNS:
        pieces = draft.pieces.get(name)
        if pieces is None:
            continue
        pattern = compile_noted(pieces.text, pieces.language, pieces.spot, f"<{name}>", draft.reading)
        if pattern is None:
            continue
        if name in ("match", "regex"):
            test, subject = conditions.fits_log(pattern, negated=pieces.negated), "log"
        else:
            test = conditions.fits(conditions.value_of(name), pattern, negated=pieces.negated)
            subject = name
        draft.rule.conditions.append(
            Condition(
                test=test,
                option=name,
                line=pieces.spot.line,
                text=pattern.source,
                subject=subject,
                pattern=pattern,
                negated=pieces.negated,
            )
        )


def _finish_networks(draft: Draft) -> None:
    for name, networks in draft.networks.items():
        test = conditions.in_networks(conditions.static(name), networks.found, negated=networks.negated)
        draft.rule.conditions.append(
            Condition(
                test=test,
                option=name,
                line=networks.spot.line,
                text=",".join(networks.texts).encode(),
                subject=name,
                negated=networks.negated,
            )
        )
