"""Rule files become rule texts: every attribute and element checked, nothing placed yet. Pure.

Source: spec/analysis.md 5, 9.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from garrison.analysis import cdb, conditions
from garrison.analysis.conditions import BadCondition
from garrison.analysis.event import MitreMark
from garrison.analysis.osregex import BadPattern
from garrison.analysis.patterns import OSMATCH, OSREGEX, STRING, MatchPattern, Pattern, compile_pattern
from garrison.analysis.program import Condition, Test
from garrison.analysis.reading import CATEGORIES, LANGUAGES, Reading, language_of, shown
from garrison.analysis.syntax import Element, read_elements
from garrison.ground.errors import RuleError

MOST_PATTERN_BYTES = 2_048
MOST_FIELDS = 256
MOST_FREQUENCY = 9_999

FIELD_TESTS = (
    "program_name hostname id url status action protocol system_name data extra_data location srcport dstport "
    "user srcgeoip dstgeoip"
).split()
RESERVED_FIELDS = frozenset(
    b"srcip dstip srcgeoip dstgeoip srcport dstport user srcuser dstuser url id data extra_data status protocol "
    b"system_name action".split()
)
OPTIONS = "alert_by_email no_email_alert log_alert no_log no_ar no_full_log no_counter".split()
_LIKE = (
    "srcip source_ip dstip srcport src_port dstport dst_port protocol action id url data extra_data status "
    "system_name srcgeoip dstgeoip location srcuser user"
).split()
_LIKE_NAMES = {"source_ip": "srcip", "src_port": "srcport", "dst_port": "dstport", "user": "dstuser"}
_LIST_FIELDS = (
    "srcip srcport dstip dstport url id hostname program_name status action protocol system_name data extra_data"
).split()

_IDS = re.compile(r"\s*\d+\s*(?:[,\s]\s*\d+\s*)*")
_NUMBER = re.compile(r"\d+")


@dataclass(slots=True)
class ListCondition:
    """One `<list>`: resolved when the lists are known."""

    name: str
    line: int
    lookup: str
    value: conditions.Value
    check: MatchPattern | None


@dataclass(slots=True, eq=False)
class RuleText:
    """One `<rule>` as written, checked as far as it can be alone."""

    id: int
    level: int
    path: str
    line: int
    groups: bytes
    sorts_last: bool = False
    description: bytes | None = None
    category: str | None = None
    decoded_as: bytes | None = None
    conditions: list[Condition] = field(default_factory=list)
    lists: list[ListCondition] = field(default_factory=list)
    if_sid: tuple[int, ...] | None = None
    if_level: int | None = None
    if_group: bytes | None = None
    matched_sid: int | None = None
    matched_group: bytes | None = None
    matched_regex: Pattern | None = None
    frequency: int | None = None
    timeframe_s: int = 360
    ignore_s: int = 0
    is_silent: bool = False
    overwrites: bool = False
    same: set[str] = field(default_factory=set)
    different: set[str] = field(default_factory=set)
    same_fields: list[bytes] = field(default_factory=list)
    different_fields: list[bytes] = field(default_factory=list)
    crosses_agents: bool = False
    keeps_difference: bool = False
    asks_first_seen: bool = False
    options: set[str] = field(default_factory=set)
    info: bytes | None = None
    cve: bytes | None = None
    mitre: MitreMark | None = None
    is_skipped: bool = False

    @property
    def is_composite(self) -> bool:
        """True when the rule searches earlier events."""
        return (
            self.matched_sid is not None or self.matched_group is not None or self.matched_regex is not None
        )


def read_rule_file(text: bytes, reading: Reading) -> list[RuleText]:
    """The rules of a file in order; faults go to `reading`."""
    try:
        roots = read_elements(text, reading.path)
    except RuleError as error:
        reading.faults += error.faults
        return []
    rules: list[RuleText] = []
    for root in roots:
        name = root.name.lower()
        if name == "var":
            continue
        if name != "group":
            reading.error(root.line, f"unknown root element <{root.name}>", 'expected <group name="...">')
            continue
        rules += _read_group(root, reading)
    return rules


def _read_group(root: Element, reading: Reading) -> list[RuleText]:
    if len(root.attributes) != 1 or root.attributes[0][0].lower() != "name":
        reading.error(
            root.line, "<group> without its name", 'expected <group name="a,b,"> and no other attribute'
        )
        return []
    rules = []
    for child in root.children:
        if child.name.lower() != "rule":
            reading.error(child.line, f"unknown element <{child.name}> in a group", "expected <rule>")
            continue
        rule = _RuleReader(child, root.attributes[0][1], reading).read()
        if rule is not None:
            rules.append(rule)
    if not root.children:
        reading.error(root.line, "a group without rules", "expected at least one <rule>")
    return rules


@dataclass(slots=True)
class _Text:
    """The pieces of an element that may be written several times; type and negation of the last one count."""

    line: int
    pieces: list[bytes] = field(default_factory=list)
    language: str = OSMATCH
    negated: bool = False


class _RuleReader:
    def __init__(self, element: Element, groups: bytes, reading: Reading) -> None:
        self._element = element
        self._reading = reading
        self._texts: dict[str, _Text] = {}
        self._networks: dict[str, tuple[list[str], bool, int]] = {}
        self._fields = 0
        self._mitre_ids: list[bytes] = []
        self._mitre_pairs: list[tuple[bytes, bytes]] = []
        self._rule = RuleText(id=0, level=0, path=reading.path, line=element.line, groups=groups)

    def read(self) -> RuleText | None:
        errors = self._error_count()
        self._attributes()
        for child in self._element.children:
            self._option(child)
        self._finish()
        return self._rule if self._error_count() == errors else None

    def _error_count(self) -> int:
        return sum(not fault.is_warning for fault in self._reading.faults)

    def _error(self, line: int, found: str, expected: str = "") -> None:
        where = f" in rule {self._rule.id}" if self._rule.id else ""
        self._reading.error(line, found + where, expected)

    # -- attributes -------------------------------------------------------------------------------------------------

    def _attributes(self) -> None:
        line = self._element.line
        given = {name.lower(): value for name, value in self._element.attributes}
        numbers = {
            "id": (0, 999_999),
            "level": (0, 16),
            "maxsize": (0, 10**9),
            "frequency": (2, MOST_FREQUENCY),
            "timeframe": (0, 99_999),
            "ignore": (0, 999_999),
            "accuracy": (0, 10**9),
        }
        found: dict[str, int] = {}
        for name, value in given.items():
            text = value.decode("latin-1").strip()
            if name in numbers:
                least, most = numbers[name]
                if not _NUMBER.fullmatch(text) or not least <= int(text) <= most:
                    self._error(
                        line, f"attribute {name} is {shown(value)!r}", f"a number from {least} to {most}"
                    )
                else:
                    found[name] = int(text)
            elif name == "overwrite":
                if text not in ("yes", "no"):
                    self._error(line, f"attribute overwrite is {shown(value)!r}", "yes or no")
                self._rule.overwrites = text == "yes"
            elif name == "noalert":
                if text not in ("0", "1"):
                    self._reading.warn(line, f"attribute noalert is {shown(value)!r}", "0 or 1")
                self._rule.is_silent = text == "1"
            else:
                known = ", ".join([*numbers, "overwrite", "noalert"])
                self._error(line, f"unknown attribute {name} of <rule>", f"known are {known}")
        for name in ("id", "level"):
            if name not in given:
                self._error(line, f"<rule> without {name}", f'expected {name}="NUMBER"')
        rule = self._rule
        rule.id, rule.level = found.get("id", 0), found.get("level", 0)
        rule.frequency = found.get("frequency")
        rule.timeframe_s = found.get("timeframe", 360)
        rule.ignore_s = found.get("ignore", 0)
        rule.sorts_last = found.get("accuracy") == 0
        if found.get("maxsize"):
            least = found["maxsize"]
            test = conditions.at_least(least)
            condition = Condition(test=test, option="maxsize", line=line, text=b"%d" % least)
            rule.conditions.append(condition)

    # -- elements ---------------------------------------------------------------------------------------------------

    def _option(self, child: Element) -> None:
        name = child.name.lower()
        plain: dict[str, Callable[[Element], None]] = {
            "description": self._description,
            "group": self._group,
            "decoded_as": self._decoded_as,
            "category": self._category,
            "field": self._field,
            "list": self._list,
            "time": self._time,
            "weekday": self._weekday,
            "if_sid": self._if_sid,
            "if_level": self._if_level,
            "if_group": self._if_group,
            "if_matched_sid": self._matched_sid,
            "if_matched_group": self._matched_group,
            "if_matched_regex": self._matched_regex,
            "compiled_rule": self._compiled,
            "options": self._options,
            "info": self._info,
            "cve": self._cve,
            "mitre": self._mitre,
        }
        if name in plain:
            plain[name](child)
        elif name in ("match", "regex") or name in FIELD_TESTS:
            self._pattern_piece(name, child)
        elif name in ("srcip", "dstip"):
            self._network(name, child)
        elif name == "if_fts":
            self._rule.asks_first_seen = True
        elif name == "check_diff":
            self._rule.keeps_difference = True
        elif name == "global_frequency":
            self._rule.crosses_agents = True
        elif name in ("ignore", "check_if_ignored"):
            self._reading.warn(
                child.line, f"<{child.name}> has no effect", "it never equaled in the reference either"
            )
        elif name in ("same_agent", "not_same_agent"):
            self._reading.warn(
                child.line, f"<{child.name}> has no effect", "events of one agent are compared anyway"
            )
        elif not self._likeness(name, child):
            self._error(child.line, f"unknown element <{child.name}>", "")

    def _description(self, child: Element) -> None:
        text = child.text.replace(b"\n", b" ", 1)
        self._rule.description = (self._rule.description or b"") + text

    def _group(self, child: Element) -> None:
        self._rule.groups += child.text.replace(b"\n", b"")

    def _decoded_as(self, child: Element) -> None:
        self._rule.decoded_as = child.text

    def _category(self, child: Element) -> None:
        word = child.text.decode("latin-1")
        if word not in CATEGORIES or word == "host-information":
            self._error(child.line, f"category {shown(child.text)!r}", f"known are {', '.join(CATEGORIES)}")
        else:
            self._rule.category = word

    def _pattern_piece(self, name: str, child: Element) -> None:
        text = self._texts.setdefault(name, _Text(line=child.line))
        if len(child.text) > MOST_PATTERN_BYTES - (not text.pieces):
            self._error(child.line, f"<{child.name}> is too long", f"at most {MOST_PATTERN_BYTES - 1} bytes")
            return
        text.pieces.append(child.text)
        default, allowed = OSMATCH, LANGUAGES
        if name == "regex":
            default = OSREGEX
        elif name == "action":
            default = STRING
        text.language = language_of(child, default, allowed, self._reading)
        text.negated = self._negation(child)

    def _negation(self, child: Element) -> bool:
        value = child.attribute("negate")
        if value is None:
            return False
        word = value.decode("latin-1").lower()
        if word not in ("yes", "no"):
            self._reading.warn(child.line, f"negate is {shown(value)!r}", "yes or no; taken as no")
        return word == "yes"

    def _network(self, name: str, child: Element) -> None:
        texts, _, line = self._networks.get(name, ([], False, child.line))
        texts.append(child.text.decode("latin-1"))
        self._networks[name] = (texts, self._negation(child), line)

    def _field(self, child: Element) -> None:
        name = child.attribute("name")
        self._fields += 1
        if not name:
            self._error(child.line, "<field> without a name", 'expected <field name="NAME">')
            return
        if name.lower() in RESERVED_FIELDS:
            word = shown(name)
            self._error(child.line, f"<field name={word!r}> is a static field", f"use <{word}>")
            return
        if self._fields > MOST_FIELDS:
            self._error(child.line, "too many <field> elements", f"at most {MOST_FIELDS}")
            return
        language = language_of(child, OSREGEX, LANGUAGES, self._reading)
        pattern = self._compile(child.text, language, child.line, f"<field name={shown(name)!r}>")
        if pattern is not None:
            negated = self._negation(child)
            condition = Condition(
                test=conditions.fits(conditions.dynamic(name), pattern, negated=negated),
                option="field",
                line=child.line,
                text=child.text,
                subject=name.lower(),
                pattern=pattern,
                negated=negated,
            )
            self._rule.conditions.append(condition)

    def _compile(self, source: bytes, language: str, line: int, what: str) -> Pattern | None:
        try:
            return compile_pattern(source, language)
        except BadPattern as error:
            self._error(line, f"{what} does not compile: {error}", f"as {language}")
            return None

    def _list(self, child: Element) -> None:
        name = child.attribute("field")
        lookup = (child.attribute("lookup") or b"match_key").decode("latin-1")
        check = child.attribute("check_value")
        known = {"field", "lookup", "check_value"}
        wrong = [attribute for attribute, _ in child.attributes if attribute.lower() not in known]
        if not name or lookup not in cdb.LOOKUPS or wrong:
            expected = f'<list field="NAME" lookup="...">, lookup one of {", ".join(cdb.LOOKUPS)}'
            self._error(child.line, "<list> that cannot be looked up", expected)
            return
        if lookup == "address_match_key_value":
            self._reading.warn(
                child.line, "address_match_key_value holds where the value does NOT match", "as ever"
            )
        word = name.decode("latin-1")
        value = conditions.source_user if word == "user" else conditions.dynamic(name)
        if word in _LIST_FIELDS:
            value = conditions.value_of(word)
        pattern = MatchPattern(check) if check else None
        self._rule.lists.append(
            ListCondition(child.text.decode("utf-8", "replace"), child.line, lookup, value, pattern)
        )

    def _time(self, child: Element) -> None:
        self._clock_test(child, conditions.read_time)

    def _weekday(self, child: Element) -> None:
        self._clock_test(child, conditions.read_weekdays)

    def _clock_test(self, child: Element, read: Callable[[str], Test]) -> None:
        try:
            test = read(child.text.decode("latin-1"))
        except BadCondition as error:
            self._error(child.line, f"<{child.name}> is {shown(child.text)!r}", str(error))
            return
        self._plain(test, child)

    def _plain(self, test: Test, child: Element) -> None:
        self._rule.conditions.append(
            Condition(test=test, option=child.name.lower(), line=child.line, text=child.text)
        )

    def _if_sid(self, child: Element) -> None:
        text = child.text.decode("latin-1")
        if not _IDS.fullmatch(text):
            self._skip(child, "ids with commas between")
            return
        ids = tuple(int(word) for word in _NUMBER.findall(text))
        self._rule.if_sid = (self._rule.if_sid or ()) + ids

    def _skip(self, child: Element, expected: str) -> None:
        self._reading.warn(
            child.line, f"<{child.name}> is {shown(child.text)!r}: rule {self._rule.id} is left out", expected
        )
        self._rule.is_skipped = True

    def _if_level(self, child: Element) -> None:
        text = child.text.decode("latin-1").strip()
        if _NUMBER.fullmatch(text):
            self._rule.if_level = int(text)
        else:
            self._skip(child, "a number")

    def _if_group(self, child: Element) -> None:
        self._rule.if_group = (self._rule.if_group or b"") + child.text

    def _matched_sid(self, child: Element) -> None:
        text = child.text.decode("latin-1").strip()
        if _NUMBER.fullmatch(text):
            self._rule.matched_sid = int(text)
        else:
            self._skip(child, "one id")

    def _matched_group(self, child: Element) -> None:
        self._rule.matched_group = (self._rule.matched_group or b"") + child.text

    def _matched_regex(self, child: Element) -> None:
        self._rule.matched_regex = self._compile(child.text, OSREGEX, child.line, "<if_matched_regex>")

    def _compiled(self, child: Element) -> None:
        test = conditions.COMPILED.get(child.text.decode("latin-1"))
        if test is None:
            self._error(
                child.line,
                f"compiled_rule {shown(child.text)!r}",
                f"known are {', '.join(conditions.COMPILED)}",
            )
        else:
            self._plain(test, child)

    def _options(self, child: Element) -> None:
        word = child.text.decode("latin-1")
        if word not in OPTIONS:
            self._error(child.line, f"option {shown(child.text)!r}", f"known are {', '.join(OPTIONS)}")
        self._rule.options.add(word)

    def _info(self, child: Element) -> None:
        self._rule.info = (self._rule.info or b"") + child.text

    def _cve(self, child: Element) -> None:
        self._rule.cve = (self._rule.cve or b"") + child.text

    def _mitre(self, child: Element) -> None:
        ids = [each.text for each in child.children if each.name.lower() == "id"]
        tactics = [each.text for each in child.children if each.name.lower() == "tacticid"]
        techniques = [each.text for each in child.children if each.name.lower() == "techniqueid"]
        if ids and (tactics or techniques):
            self._reading.warn(
                child.line, "<mitre> mixes ids with tactics and techniques", "one form; it is left out"
            )
        elif ids:
            self._mitre_ids += [each for each in ids if each not in self._mitre_ids]
        elif len(tactics) == len(techniques) == 1:
            self._mitre_pairs.append((tactics[0], techniques[0]))
        else:
            self._reading.warn(child.line, "<mitre> without ids", "<id>T1110</id>")

    def _likeness(self, name: str, child: Element) -> bool:
        for prefix, names, dynamic in (
            ("same_", self._rule.same, self._rule.same_fields),
            ("different_", self._rule.different, self._rule.different_fields),
            ("not_same_", self._rule.different, self._rule.different_fields),
        ):
            word = name.removeprefix(prefix)
            if word == name:
                continue
            if word == "field":
                dynamic.append(child.text)
                return True
            if word in _LIKE:
                names.add(_LIKE_NAMES.get(word, word))
                return True
        return False

    # -- the whole --------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        rule, line = self._rule, self._element.line
        if rule.description is None:
            self._error(line, "rule without a description", "expected <description>")
        self._finish_patterns()
        self._finish_networks()
        if self._mitre_pairs:
            rule.mitre = MitreMark(pairs=tuple(dict.fromkeys(self._mitre_pairs)))
        elif self._mitre_ids:
            rule.mitre = MitreMark(ids=tuple(self._mitre_ids))
        wants_context = (
            rule.same or rule.different or rule.same_fields or rule.different_fields or rule.crosses_agents
        )
        has_frequency = rule.frequency is not None and rule.frequency > 2
        if (wants_context or has_frequency) and not (rule.is_composite or rule.keeps_difference):
            self._error(line, "frequency or same_* without earlier events", "add an <if_matched_...> element")

    def _finish_patterns(self) -> None:
        rule = self._rule
        for name, text in self._texts.items():
            pattern = self._compile(b"".join(text.pieces), text.language, text.line, f"<{name}>")
            if pattern is None:
                continue
            if name in ("match", "regex"):
                test, subject = conditions.fits_log(pattern, negated=text.negated), "log"
            else:
                test, subject = (
                    conditions.fits(conditions.value_of(name), pattern, negated=text.negated),
                    name,
                )
            rule.conditions.append(
                Condition(
                    test=test,
                    option=name,
                    line=text.line,
                    text=pattern.source,
                    subject=subject,
                    pattern=pattern,
                    negated=text.negated,
                )
            )

    def _finish_networks(self) -> None:
        for name, (texts, negated, line) in self._networks.items():
            try:
                networks = [conditions.read_network(text) for text in texts]
            except BadCondition as error:
                self._error(line, f"<{name}> is no address", str(error))
                continue
            test = conditions.in_networks(conditions.static(name), networks, negated=negated)
            text = ",".join(texts).encode()
            self._rule.conditions.append(
                Condition(test=test, option=name, line=line, text=text, subject=name, negated=negated)
            )
