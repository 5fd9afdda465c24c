"""Rule texts in loading order become a tree with links between composite rules and what they count. Pure.

Source: spec/analysis.md 10.
"""

from __future__ import annotations

from collections.abc import Mapping

from garrison.analysis import cdb, osmatch
from garrison.analysis.description import describer
from garrison.analysis.event import Event, RuleCard
from garrison.analysis.program import Likeness, Rule, RuleNode, Search, Test
from garrison.analysis.reading import Reading
from garrison.analysis.rule_file import ListCondition, RuleText
from garrison.analysis.source import Thresholds

ROOT_IDS = 10
_LEVEL_ZERO = 9_900


class TreeBuilder:
    """Takes rules one by one, in loading order."""

    def __init__(
        self,
        thresholds: Thresholds,
        decoder_names: frozenset[bytes],
        lists: Mapping[str, Mapping[bytes, bytes]],
    ) -> None:
        self._thresholds = thresholds
        self._decoder_names = decoder_names
        self._lists = lists
        self._roots: list[RuleNode] = []
        self._nodes: list[RuleNode] = []
        self._by_id: dict[int, list[RuleNode]] = {}
        self._texts: dict[int, RuleText] = {}
        self._weights: dict[int, int] = {}
        self._feeds: dict[int, list[int]] = {}
        self._sid_windows: dict[int, int] = {}
        self._windows = 0
        self.rules: list[Rule] = []

    @property
    def roots(self) -> list[RuleNode]:
        """The root nodes in the order of trial."""
        return self._roots

    @property
    def windows(self) -> int:
        """How many lists of earlier events the rules read."""
        return self._windows

    def add(self, text: RuleText, reading: Reading) -> None:
        """Places `text`; what forbids it is noted in `reading`."""
        if text.is_skipped:
            return
        if text.decoded_as is not None and text.decoded_as not in self._decoder_names:
            name = text.decoded_as.decode("utf-8", "replace")
            reading.error(
                text.line, f"decoder '{name}' of rule {text.id} is unknown", "a decoder that is loaded"
            )
            return
        lookups = self._lookups(text, reading)
        if lookups is None:
            return
        if text.id in self._texts and text.id >= ROOT_IDS:
            if text.overwrites:
                self._overwrite(text, lookups, reading)
            else:
                reading.warn(
                    text.line, f"rule {text.id} is defined twice", 'the first one stays; or overwrite="yes"'
                )
            return
        if text.overwrites and text.id >= ROOT_IDS:
            reading.warn(text.line, f"rule {text.id} overwrites nothing", "it is taken as a new rule")
        self._place_new(text, lookups, reading)

    # -- placing ----------------------------------------------------------------------------------------------------

    def _place_new(self, text: RuleText, lookups: tuple[Test, ...], reading: Reading) -> None:
        number = len(self.rules)
        self._weights[number] = _weight(text)
        rule = self._make(text, number, lookups, None)
        parents = self._parents(text, rule, reading)
        if parents is None:
            return
        self.rules.append(rule)
        self._feeds[number] = []
        if not parents and text.id < ROOT_IDS:
            self._insert(self._roots, RuleNode(rule))
        for parent in parents:
            rule.category = parent.rule.category
            self._insert(parent.children, RuleNode(rule))
        self._texts[text.id] = text
        rule.search = self._search(text, rule)

    def _parents(self, text: RuleText, rule: Rule, reading: Reading) -> list[RuleNode] | None:
        if text.id < ROOT_IDS:
            return []
        sids = text.if_sid
        group = text.if_group
        if sids is None and group is None and text.matched_sid is not None:
            sids = (text.matched_sid,)
        if sids is not None:
            return self._of_ids(text, sids, reading)
        if text.if_level is not None:
            wanted = text.if_level * 100
            return [node for node in self._nodes if self._weights[node.rule.number] >= wanted]
        if group is None and text.matched_group is not None:
            group = text.matched_group
        if group is not None:
            fits = osmatch.compile_word_match(group)
            fitting = {groups for groups in {node.rule.card.groups for node in self._nodes} if fits(groups)}
            return [node for node in self._nodes if node.rule.card.groups in fitting]
        root = next((node for node in self._roots if node.rule.category == rule.category), None)
        if root is None:
            reading.warn(
                text.line, f"rule {text.id} has no root of category {rule.category}", "it is left out"
            )
            return None
        return [root]

    def _of_ids(self, text: RuleText, sids: tuple[int, ...], reading: Reading) -> list[RuleNode] | None:
        parents: list[RuleNode] = []
        for sid in sids:
            found = self._by_id.get(sid, [])
            if not found:
                reading.warn(
                    text.line, f"rule {sid}, which rule {text.id} names, is not loaded yet", "an earlier rule"
                )
            parents += found
        if not parents:
            reading.warn(text.line, f"rule {text.id} has no parent", "it is left out")
            return None
        return parents

    def _insert(self, siblings: list[RuleNode], node: RuleNode) -> None:
        weight = self._weights[node.rule.number]
        place = next(
            (at for at, each in enumerate(siblings) if self._weights[each.rule.number] < weight),
            len(siblings),
        )
        siblings.insert(place, node)
        self._nodes.append(node)
        self._by_id.setdefault(node.rule.card.id, []).append(node)

    # -- composite rules ----------------------------------------------------------------------------------------------

    def _search(self, text: RuleText, rule: Rule) -> Search | None:
        if not text.is_composite:
            return None
        window: int | None = None
        if text.matched_sid is not None:
            window = self._window_of(text.matched_sid)
        elif text.matched_group is not None:
            window = self._new_window()
            fits = osmatch.compile_match(text.matched_group).test
            for each in self.rules:
                if fits(each.card.groups):
                    nodes = sum(node.rule is each for node in self._by_id.get(each.card.id, []))
                    self._feeds[each.number] += [window] * nodes
        return _make_search(text, window)

    def _window_of(self, sid: int) -> int | None:
        if sid not in self._sid_windows:
            if sid not in self._by_id:
                return self._new_window()
            self._sid_windows[sid] = self._new_window()
        return self._sid_windows[sid]

    def _new_window(self) -> int:
        self._windows += 1
        return self._windows - 1

    # -- overwriting --------------------------------------------------------------------------------------------------

    def _overwrite(self, text: RuleText, lookups: tuple[Test, ...], reading: Reading) -> None:
        nodes = self._by_id[text.id]
        old = nodes[0].rule
        rule = self._make(text, old.number, lookups, old)
        if old.search is not None and text.is_composite:
            rule.search = _make_search(text, old.search.window)
        for name in ("if_sid", "if_level", "if_group", "matched_sid", "matched_group"):
            before, after = getattr(self._texts[text.id], name), getattr(text, name)
            if after is not None and after != before:
                reading.warn(text.line, f"rule {text.id} keeps its place", f"{name} cannot be overwritten")
        for node in nodes:
            node.rule = rule
        self.rules[old.number] = rule

    # -- one rule -----------------------------------------------------------------------------------------------------

    def _make(self, text: RuleText, number: int, lookups: tuple[Test, ...], old: Rule | None) -> Rule:
        description = text.description or b""
        category = old.category if old is not None else text.category or "syslog"
        return Rule(
            number=number,
            card=self._card(text, description),
            category=category,
            decoded_as=text.decoded_as,
            tests=tuple(condition.test for condition in text.conditions),
            conditions=tuple(text.conditions),
            keeps_difference=text.keeps_difference,
            asks_first_seen=text.asks_first_seen,
            lookups=lookups,
            is_silent=text.is_silent,
            ignore_s=text.ignore_s,
            describe=describer(description),
        )

    def _card(self, text: RuleText, description: bytes) -> RuleCard:
        level = _weight(text) if text.sorts_last else text.level
        mails = level >= self._thresholds.email_alert_level or "alert_by_email" in text.options
        logs = level >= self._thresholds.log_alert_level or "log_alert" in text.options
        frequency = (text.frequency if text.frequency is not None else 2) if text.is_composite else None
        return RuleCard(
            id=text.id,
            level=level,
            description=description,
            groups=text.groups,
            path=text.path,
            line=text.line,
            frequency=frequency,
            timeframe_s=text.timeframe_s,
            is_logged=logs and "no_log" not in text.options,
            is_mailed=mails and "no_email_alert" not in text.options,
            shows_full_log="no_full_log" not in text.options,
            shows_counter="no_counter" not in text.options,
            allows_response="no_ar" not in text.options,
            cve=text.cve,
            info=text.info,
            mitre=text.mitre,
        )

    def _lookups(self, text: RuleText, reading: Reading) -> tuple[Test, ...] | None:
        tests: list[Test] = []
        for condition in text.lists:
            table = self._lists.get(condition.name)
            if table is None:
                table = self._lists.get(condition.name.removesuffix(".cdb"))
            if table is None:
                expected = "a <list> of exactly that name in <ruleset>"
                reading.warn(
                    condition.line, f"list '{condition.name}' of rule {text.id} is not configured", expected
                )
                return None
            tests.append(_list_test(condition, table))
        return tuple(tests)

    def link(self) -> None:
        """Says each rule which windows its events go to, after all rules are in."""
        for rule in self.rules:
            own = self._sid_windows.get(rule.card.id)
            rule.feeds = (own,) if own is not None else tuple(self._feeds[rule.number])


def _weight(text: RuleText) -> int:
    """What siblings are sorted by, falling: level 0 first, then high to low, rules of accuracy 0 last."""
    if text.sorts_last:
        return text.level or 99
    return text.level * 100 or _LEVEL_ZERO


def _make_search(text: RuleText, window: int | None) -> Search:
    return Search(
        window=window,
        needed=max(0, (text.frequency or 2) - 2),
        timeframe_s=text.timeframe_s,
        pattern=text.matched_regex,
        likeness=Likeness(
            same=tuple(sorted(text.same)),
            different=tuple(sorted(text.different)),
            same_fields=tuple(name.lower() for name in text.same_fields),
            different_fields=tuple(name.lower() for name in text.different_fields),
            crosses_agents=text.crosses_agents,
        ),
    )


def _list_test(condition: ListCondition, table: Mapping[bytes, bytes]) -> Test:
    value, holds = condition.value, cdb.look_up(condition.lookup, table, condition.check)

    def test(event: Event) -> bool:
        found = value(event)
        return found is not None and holds(found)

    return test
