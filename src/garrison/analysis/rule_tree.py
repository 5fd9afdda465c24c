"""Rule texts in loading order become a tree with links between composite rules and what they count. Pure.

Source: spec/analysis.md 10; spec/analysis-2-rules.md 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from garrison.analysis import osmatch
from garrison.analysis.program import Rule, RuleNode, Search, Test
from garrison.analysis.reading import Reading, shown
from garrison.analysis.rule_making import RuleMaker, weight
from garrison.analysis.rule_text import RuleText
from garrison.analysis.source import Thresholds

ROOT_IDS = 10
_KEPT = ("if_sid", "if_level", "if_group", "matched_sid", "matched_group")
"""What an overwriting rule cannot change."""


class TreeBuilder:
    """Takes rules one by one, in loading order."""

    def __init__(
        self,
        thresholds: Thresholds,
        decoder_names: frozenset[bytes],
        lists: Mapping[str, Mapping[bytes, bytes]],
    ) -> None:
        self._make = RuleMaker(thresholds, lists)
        self._decoder_names = decoder_names
        self._roots: list[RuleNode] = []
        self._nodes: list[RuleNode] = []
        self._places: dict[int, tuple[list[RuleNode], RuleNode | None]] = {}
        self._by_id: dict[int, list[RuleNode]] = {}
        self._texts: dict[int, RuleText] = {}
        self._weights: dict[int, int] = {}
        self._feeds: dict[int, list[int]] = {}
        self._sid_windows: dict[int, int] = {}
        self._searched: dict[int, int | None] = {}
        self._windows = 0
        self._broken: set[int] = set()
        self.rules: list[Rule] = []

    def miss(self, ids: Iterable[int]) -> None:
        """These rules are left out and told as such: that they are missing needs no further word."""
        self._broken.update(ids)

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
        reading.about = f"rule {text.id}"
        self._add(text, reading)
        reading.about = ""

    def _add(self, text: RuleText, reading: Reading) -> None:
        known = self._texts.get(text.id)
        if known is not None and not text.overwrites:
            first = f"it is defined at {known.path}:{known.spot.line}, which stays"
            reading.warn(text.spot, "defined twice, this one is left out", f'{first}; or overwrite="yes"')
            return
        if not self._has_decoders(text, reading):
            return
        lookups = self._make.lookups(text, reading)
        if lookups is None:
            self._broken.add(text.id)
            return
        if known is not None and text.id >= ROOT_IDS:
            self._overwrite(text, lookups, reading)
            return
        if text.overwrites and known is None:
            reading.warn(
                text.spot, "overwrites nothing, it is taken as a new rule", "an id that is loaded before"
            )
        self._place_new(text, lookups, reading)

    def _has_decoders(self, text: RuleText, reading: Reading) -> bool:
        missing = [(name, spot) for name, spot in text.decoders if name not in self._decoder_names]
        for name, spot in missing:
            reading.error(
                spot, f"decoder {shown(name)!r} is unknown", "the exact name of a decoder that is loaded"
            )
            self._broken.add(text.id)
        return not missing

    # -- placing ----------------------------------------------------------------------------------------------------

    def _place_new(self, text: RuleText, lookups: tuple[Test, ...], reading: Reading) -> None:
        number = len(self.rules)
        self._weights[number] = weight(text)
        rule = self._make.rule(text, number, lookups, None, shows_frequency=text.is_composite)
        parents = self._parents(text, rule, reading)
        if not parents and text.id >= ROOT_IDS:
            return
        self.rules.append(rule)
        self._feeds[number] = []
        if text.id < ROOT_IDS:
            self._insert(RuleNode(rule), None)
        for parent in parents:
            rule.category = parent.rule.category
            self._insert(RuleNode(rule), parent)
        self._texts.setdefault(text.id, text)
        rule.search = self._search(text, rule)

    def _parents(self, text: RuleText, rule: Rule, reading: Reading) -> list[RuleNode]:
        """Where the rule hangs; none with a warning noted. What is written first here wins."""
        sids, group = text.if_sid, text.if_group
        if sids is None and group is None and text.matched_group is not None:
            group = text.matched_group
        if sids is None and group is None and text.matched_sid is not None:
            sids = (text.matched_sid,)
        spot = text.parent_spot
        if text.id < ROOT_IDS:
            return []
        if sids is not None:
            return self._of_ids(text, sids, reading)
        if text.if_level is not None:
            wanted = text.if_level * 100
            found = [node for node in self._nodes if self._weights[node.rule.number] >= wanted > 0]
            if not found:
                reading.warn(
                    spot, "no rule of that level or more: the rule is left out", "an earlier rule; at least 1"
                )
            return found
        if group is not None:
            fits = osmatch.compile_word_match(group)
            found = [node for node in self._nodes if fits(node.rule.card.groups)]
            if not found:
                what = f"no rule before it has a group like {shown(group)!r}"
                reading.warn(spot, f"{what}: the rule is left out", "a part of the groups of an earlier rule")
            return found
        root = next((node for node in self._roots if node.rule.category == rule.category), None)
        if root is None:
            found_text = f"there is no root (a rule below {ROOT_IDS}) of category {rule.category}: the rule is left out"
            reading.warn(text.spot, found_text, "a parent by <if_sid>, or the file with the roots")
        return [] if root is None else [root]

    def _of_ids(self, text: RuleText, sids: tuple[int, ...], reading: Reading) -> list[RuleNode]:
        parents = [node for sid in sids for node in self._nodes_of(sid)]
        missing = [sid for sid in sids if sid not in self._by_id and sid not in self._broken]
        if missing:
            several = "s" if len(missing) > 1 else ""
            found = (
                f"its parent{several} {', '.join(map(str, missing))} {'are' if several else 'is'} not loaded"
            )
            expected = "a rule that is loaded before: its file sorts first, or it stands above"
            reading.warn(text.parent_spot, found + ("" if parents else ": the rule is left out"), expected)
        if not parents:
            self._broken.add(text.id)
        return parents

    def _nodes_of(self, sid: int) -> list[RuleNode]:
        """The places of a rule that a search from the roots finds; see `_is_found`."""
        found = self._by_id.get(sid, [])
        return found if len(found) < 2 else [node for node in found if self._is_found(node)]

    def _is_found(self, node: RuleNode) -> bool:
        """False behind a sibling of the same id: the search leaves siblings, and what is below them, at the first."""
        sid, step = node.rule.card.id, node
        while True:
            siblings, parent = self._places[id(step)]
            for each in siblings:
                if each is step:
                    break
                if each.rule.card.id == sid:
                    return False
            if parent is None:
                return True
            step = parent

    def _insert(self, node: RuleNode, parent: RuleNode | None) -> None:
        siblings = self._roots if parent is None else parent.children
        weight = self._weights[node.rule.number]
        place = next(
            (at for at, each in enumerate(siblings) if self._weights[each.rule.number] < weight),
            len(siblings),
        )
        siblings.insert(place, node)
        self._places[id(node)] = (siblings, parent)
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
        self._searched[rule.number] = window
        return self._make.search(text, window) if text.searches else None

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
        old, first = nodes[0].rule, self._texts[text.id]
        self._weights[old.number] = weight(text)
        rule = self._make.rule(text, old.number, lookups, old, shows_frequency=old.number in self._searched)
        if old.number in self._searched and text.searches:
            rule.search = self._make.search(text, self._searched[old.number])
        for name in _KEPT:
            before, after = getattr(first, name), getattr(text, name)
            if after is not None and after != before:
                word = name.replace("matched", "if_matched")
                expected = f"it is written at {first.path}:{first.spot.line}"
                reading.warn(
                    text.parent_spot, f"{word} cannot be overwritten: the rule keeps its place", expected
                )
        for node in nodes:
            node.rule = rule
        self.rules[old.number] = rule

    def link(self) -> None:
        """Says each rule which windows its events go to, after all rules are in."""
        for rule in self.rules:
            own = self._sid_windows.get(rule.card.id)
            rule.feeds = (own,) if own is not None else tuple(self._feeds[rule.number])
