"""One rule text becomes one rule: its card, its tests, its search; where it hangs is not decided here. Pure.

Source: spec/analysis.md 9, 10.1; spec/analysis-2-rules.md 6.2, 8.
"""

from __future__ import annotations

from collections.abc import Mapping

from garrison.analysis import cdb
from garrison.analysis.description import describer
from garrison.analysis.event import Event, RuleCard
from garrison.analysis.program import Likeness, Rule, Search, Test
from garrison.analysis.reading import Reading
from garrison.analysis.rule_text import ListCondition, RuleText
from garrison.analysis.source import Thresholds

KEPT_LISTS = 2
_LEVEL_ZERO = 9_900


class RuleMaker:
    """Makes rules with the levels and the lists of one ruleset."""

    def __init__(self, thresholds: Thresholds, lists: Mapping[str, Mapping[bytes, bytes]]) -> None:
        self._thresholds = thresholds
        self._lists = lists

    def rule(
        self,
        text: RuleText,
        number: int,
        lookups: tuple[Test, ...],
        old: Rule | None,
        *,
        shows_frequency: bool,
    ) -> Rule:
        """The rule of `text` with `number`; `old` is what it overwrites. Its place and its search come later."""
        description = text.description or b""
        return Rule(
            number=number,
            card=self._card(text, description, shows_frequency=shows_frequency),
            category=old.category if old is not None else text.category or "syslog",
            decoded_as=text.decoded_as,
            tests=tuple(condition.test for condition in text.conditions),
            conditions=tuple(text.conditions),
            keeps_difference=text.keeps_difference,
            asks_first_seen=text.asks_first_seen,
            lookups=lookups,
            is_silent=text.is_silent,
            ignore_s=text.ignore_s,
            describe=describer(description),
            definition=(old.definition if old is not None else b"") + text.definition,
        )

    def _card(self, text: RuleText, description: bytes, *, shows_frequency: bool) -> RuleCard:
        flags = _flags(text, self._thresholds)
        return RuleCard(
            id=text.id,
            level=weight(text) if text.sorts_last else text.level,
            description=description,
            groups=text.groups,
            path=text.path,
            line=text.spot.line,
            frequency=(text.frequency or 2) if shows_frequency else None,
            timeframe_s=self._timeframe_s(text),
            is_logged="log" in flags,
            is_mailed="mail" in flags,
            shows_full_log="no_full_log" not in flags,
            shows_counter="no_counter" not in flags,
            allows_response="no_ar" not in flags,
            cve=text.cve,
            info=text.info,
            mitre=text.mitre,
        )

    def _timeframe_s(self, text: RuleText) -> int:
        return self._thresholds.timeframe_s if text.timeframe_s is None else text.timeframe_s

    def search(self, text: RuleText, window: int | None) -> Search:
        """The look at earlier events that `text` asks for, in the list `window` (None: in all of them)."""
        return Search(
            window=window,
            needed=max(0, (text.frequency or 2) - 2),
            timeframe_s=self._timeframe_s(text),
            pattern=text.matched_regex,
            likeness=Likeness(
                same=tuple(sorted(text.same)),
                different=tuple(sorted(text.different)),
                same_fields=tuple(name.lower() for name in text.same_fields),
                different_fields=tuple(name.lower() for name in text.different_fields),
                crosses_agents=text.crosses_agents,
            ),
        )

    def lookups(self, text: RuleText, reading: Reading) -> tuple[Test, ...] | None:
        """The tests of the lists; None, with a warning, where a list is not configured."""
        tests: list[Test] = []
        for condition in text.lists:
            table = self._lists.get(condition.name)
            if table is None:
                table = self._lists.get(condition.name.removesuffix(".cdb"))
            if table is None:
                found = f"list {condition.name!r} is not configured: the rule is left out"
                reading.warn(condition.spot, found, "a <list> of exactly that name in <ruleset>")
                return None
            tests.append(_list_test(condition, table))
        for condition in text.lists[:-KEPT_LISTS]:
            found = f"<list> {condition.name!r} has no effect"
            reading.warn(condition.spot, found, f"only the last {KEPT_LISTS} <list> of a rule count")
        return tuple(tests[-KEPT_LISTS:])


def weight(text: RuleText) -> int:
    """What siblings are sorted by, falling: level 0 first, then high to low, rules of accuracy 0 last."""
    if text.sorts_last:
        return text.level or 99
    return text.level * 100 or _LEVEL_ZERO


def _flags(text: RuleText, thresholds: Thresholds) -> set[str]:
    """The options in effect, `log` and `mail` among them.

    Each option changes what those before it left; one that takes away `log` or `mail` also takes away `no_counter`.
    """
    flags: set[str] = set()
    if text.level >= thresholds.log_alert_level:
        flags.add("log")
    if text.level >= thresholds.email_alert_level:
        flags.add("mail")
    for option in text.options:
        if option in ("log_alert", "alert_by_email"):
            flags.add("log" if option == "log_alert" else "mail")
        elif option in ("no_log", "no_email_alert"):
            name = "log" if option == "no_log" else "mail"
            if name in flags:
                flags -= {name, "no_counter"}
        else:
            flags.add(option)
    return flags


def _list_test(condition: ListCondition, table: Mapping[bytes, bytes]) -> Test:
    value, holds = condition.value, cdb.look_up(condition.lookup, table, condition.check)

    def test(event: Event) -> bool:
        found = value(event)
        return found is not None and holds(found)

    return test
