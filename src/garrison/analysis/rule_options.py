"""What stands inside a `<rule>`: one reader for each element. Pure.

Texts of most elements may be written in pieces, `<match>a|</match> <match>b</match>`: they are joined without anything
between, and `type` and `negate` of the last piece count.
Source: spec/analysis-2-rules.md 2.2 to 2.4, 5.5; spec/analysis.md 9.2, 9.3.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from garrison.analysis import cdb, conditions
from garrison.analysis.conditions import BadCondition
from garrison.analysis.patterns import OSMATCH, OSREGEX, STRING, MatchPattern
from garrison.analysis.program import Condition, Test
from garrison.analysis.reading import CATEGORIES, LANGUAGES, Reading, language_of, shown
from garrison.analysis.rule_draft import PATTERNS, Draft, Networks, Pieces, compile_noted
from garrison.analysis.rule_text import LIKENESS, ListCondition
from garrison.analysis.syntax import Element

MOST_FIRST_BYTES, MOST_PIECE_BYTES = 2_047, 2_048
MOST_FIELDS = 256

TEXTS = "description group info cve if_sid if_level if_group if_matched_group if_matched_regex".split()
FLAGS = "alert_by_email no_email_alert log_alert no_log no_ar no_full_log no_counter".split()
INFO_TYPES = (b"text", b"link", b"cve", b"osvdb")
RESERVED_FIELDS = frozenset(
    b"srcip dstip srcgeoip dstgeoip srcport dstport user srcuser dstuser url id data extra_data status protocol "
    b"system_name action".split()
)
LIST_FIELDS = (
    "srcip srcport dstip dstport url id hostname program_name status action protocol system_name data extra_data"
).split()

_LANGUAGE = {"regex": OSREGEX, "action": STRING}
_NUMBER = re.compile(rb"[0-9]+")
_NO_EFFECT = {
    "same_agent": "events of one agent are compared anyway; <global_frequency/> compares those of all",
    "not_same_agent": "<global_frequency/> compares events of all agents",
}


def read_option(child: Element, draft: Draft) -> None:
    """Takes one element of a rule into `draft`."""
    name = child.name.lower()
    if name in PATTERNS or name in TEXTS:
        _piece(name, child, draft)
    elif name in _READERS:
        _READERS[name](child, draft)
    elif name in _NO_EFFECT:
        draft.reading.warn(child.spot, f"<{child.name}> has no effect", _NO_EFFECT[name])
    elif not _likeness(child, draft):
        draft.reading.error(child.spot, f"unknown element <{shown(child.name)}>", _close_to(child.name))


def _close_to(name: str) -> str:
    """What an unknown element may have been meant to be."""
    low = name.lower().replace("-", "_")
    known = {*PATTERNS, *TEXTS, *_READERS, *_NO_EFFECT}
    known |= {prefix + word for prefix, words, exact, _ in LIKENESS for word in (*words, *exact)}
    if low in known:
        return f"expected <{low}>, written exactly so"
    best = min(known, key=lambda each: (_distance(low, each), each))
    return f"expected <{best}>?" if _distance(low, best) <= 2 else "see the list of rule elements"


def _distance(one: str, other: str) -> int:
    """How many letters differ, up to 3."""
    if abs(len(one) - len(other)) > 2 or len(one) > 40:
        return 3
    row = list(range(len(other) + 1))
    for at, mine in enumerate(one, 1):
        before, row[0] = row[0], at
        for place, theirs in enumerate(other, 1):
            before, row[place] = (
                row[place],
                min(row[place] + 1, row[place - 1] + 1, before + (mine != theirs)),
            )
    return min(row[-1], 3)


# -- elements in pieces -------------------------------------------------------------------------------------------


def _piece(name: str, child: Element, draft: Draft) -> None:
    reading, text = draft.reading, child.text
    if name == "description":
        text = text.replace(b"\n", b" ", 1)
    elif name == "info":
        _check_info(child, reading)
    elif name == "if_level" and not _NUMBER.fullmatch(text):
        draft.skip(child.spot, f"<if_level> is {shown(text)!r}", "a number")
    pieces = draft.pieces.get(name)
    most = MOST_FIRST_BYTES if pieces is None and name != "group" else MOST_PIECE_BYTES
    if len(text) > most or (pieces is not None and len(pieces.text) > MOST_PIECE_BYTES):
        found = f"<{child.name}> is too long"
        reading.error(child.spot, found, f"at most {most} bytes; another <{name}> may carry on")
        return
    if pieces is None:
        pieces = draft.pieces[name] = Pieces(child.spot)
    pieces.text += text
    if name in PATTERNS:
        pieces.language = language_of(child, _LANGUAGE.get(name, OSMATCH), LANGUAGES, reading)
        pieces.negated = _negation(child, reading)


def _check_info(child: Element, reading: Reading) -> None:
    for name, value in child.attributes:
        if name.lower() != "type" or value not in INFO_TYPES:
            known = b", ".join(INFO_TYPES).decode()
            reading.warn(child.spot, f'{shown(name)}="{shown(value)}" of <info>', f"type, one of {known}")


def _negation(child: Element, reading: Reading) -> bool:
    value = child.attribute("negate")
    if value is not None and value.lower() not in (b"yes", b"no"):
        reading.warn(child.spot, f'negate="{shown(value)}"', "yes or no; taken as no")
    return value is not None and value.lower() == b"yes"


# -- elements with a reader each ----------------------------------------------------------------------------------


def _decoded_as(child: Element, draft: Draft) -> None:
    draft.rule.decoders.append((child.text, child.spot))


def _category(child: Element, draft: Draft) -> None:
    known = [category for category in CATEGORIES if category != "host-information"]
    word = child.text.decode("latin-1")
    if word in known:
        draft.rule.category = word
    else:
        draft.reading.error(
            child.spot, f"<category> is {shown(child.text)!r}", f"known are {', '.join(known)}"
        )


def _network(child: Element, draft: Draft) -> None:
    text = child.text.decode("latin-1")
    try:
        network = conditions.read_network(text)
    except BadCondition as error:
        draft.reading.error(child.spot, f"<{child.name}> is {shown(child.text)!r}", str(error))
        return
    found = draft.networks.setdefault(child.name.lower(), Networks(child.spot))
    found.texts.append(text)
    found.found.append(network)
    found.negated = _negation(child, draft.reading)
    if text.startswith("!"):
        draft.reading.warn(child.spot, f"the ! of <{child.name}> has no effect", 'negate="yes" inverts')


def _field(child: Element, draft: Draft) -> None:
    name, reading = child.attribute("name"), draft.reading
    draft.fields += 1
    if not name:
        reading.error(child.spot, "<field> without a name", 'expected <field name="NAME">')
        return
    if name.lower() in RESERVED_FIELDS:
        word = shown(name)
        known = word in PATTERNS or word in ("srcip", "dstip")
        expected = f"use <{word}>" if known else "use <user>, which looks at dstuser, else srcuser"
        reading.error(child.spot, f'<field name="{word}"> is a static field', expected)
        return
    if draft.fields > MOST_FIELDS:
        reading.error(child.spot, "too many <field> elements", f"at most {MOST_FIELDS}")
        return
    language = language_of(child, OSREGEX, LANGUAGES, reading)
    negated = _negation(child, reading)
    pattern = compile_noted(child.text, language, child.spot, f'<field name="{shown(name)}">', reading)
    if pattern is not None:
        draft.rule.conditions.append(
            Condition(
                test=conditions.fits(conditions.dynamic(name), pattern, negated=negated),
                option="field",
                line=child.line,
                text=child.text,
                subject=name.lower(),
                pattern=pattern,
                negated=negated,
            )
        )


def _list(child: Element, draft: Draft) -> None:
    reading = draft.reading
    given = {name.lower(): value for name, value in child.attributes}
    name, check = given.get("field"), given.get("check_value")
    lookup = given.get("lookup", b"match_key").decode("latin-1").lower()
    if not name:
        reading.error(child.spot, "<list> without a field", 'expected <list field="NAME">')
    if lookup not in cdb.LOOKUPS:
        reading.error(
            child.spot, f'lookup="{shown(lookup)}" of <list>', f"known are {', '.join(cdb.LOOKUPS)}"
        )
    for wrong in given.keys() - {"field", "lookup", "check_value"}:
        found = f"unknown attribute {shown(wrong)} of <list>"
        reading.error(child.spot, found, "known are field, lookup, check_value")
    if not name or lookup not in cdb.LOOKUPS:
        return
    if lookup == "address_match_key_value":
        found = f"lookup {lookup} holds where the value does NOT match, or the key is missing"
        reading.warn(child.spot, found, "as it always did; address_match_key asks for the key alone")
    if lookup.endswith("_value") and check is None:
        reading.warn(child.spot, f"lookup {lookup} without check_value", 'expected check_value="PATTERN"')
    word = name.decode("latin-1").lower()
    value: conditions.Value
    if word == "user":
        value = conditions.source_user
    elif word in LIST_FIELDS:
        value = conditions.value_of(word)
    else:
        value = conditions.dynamic(name.lstrip(b" ").partition(b" ")[0])
    pattern = MatchPattern(check) if check is not None else None
    path = child.text.decode("utf-8", "surrogateescape")
    draft.rule.lists.append(ListCondition(path, child.spot, lookup, value, pattern))


def _clock(read: Callable[[str], Test]) -> Callable[[Element, Draft], None]:
    def take(child: Element, draft: Draft) -> None:
        try:
            _keep(read(child.text.decode("latin-1")), child, draft)
        except BadCondition as error:
            draft.reading.error(child.spot, f"<{child.name}> is {shown(child.text)!r}", str(error))

    return take


def _compiled(child: Element, draft: Draft) -> None:
    test = conditions.COMPILED.get(child.text.decode("latin-1"))
    if test is None:
        known = ", ".join(conditions.COMPILED)
        draft.reading.error(child.spot, f"<compiled_rule> is {shown(child.text)!r}", f"known are {known}")
    else:
        _keep(test, child, draft)


def _keep(test: Test, child: Element, draft: Draft) -> None:
    name = child.name.lower()
    draft.single[name] = Condition(test=test, option=name, line=child.line, text=child.text)


def _matched_sid(child: Element, draft: Draft) -> None:
    if _NUMBER.fullmatch(child.text):
        draft.rule.matched_sid = int(child.text[:10])
        draft.rule.parent_spot = child.spot
    else:
        draft.skip(child.spot, f"<if_matched_sid> is {shown(child.text)!r}", "one id")


def _options(child: Element, draft: Draft) -> None:
    word = child.text.decode("latin-1")
    if word in FLAGS:
        draft.rule.options.append(word)
        return
    expected = f"one of {', '.join(FLAGS)}; one in each <options>"
    draft.reading.error(child.spot, f"<options> is {shown(child.text)!r}", expected)


def _ignore(child: Element, draft: Draft) -> None:
    if not all(word.strip(b" ") for word in child.text.split(b",")):
        expected = (
            "words with commas between: user, srcip, dstip, id, location, data, name or a dynamic field"
        )
        draft.reading.error(child.spot, f"<{child.name}> is {shown(child.text)!r}", expected)
    elif child.name.lower() == "check_if_ignored":
        found = "<check_if_ignored> never held anything back in the reference, nor does it here"
        draft.reading.warn(child.spot, found, 'the attribute ignore="SECONDS" does')


def _mitre(child: Element, draft: Draft) -> None:
    draft.marks.take(child, draft.reading)


def _fts(child: Element, draft: Draft) -> None:
    draft.rule.asks_first_seen = True


def _difference(child: Element, draft: Draft) -> None:
    draft.rule.keeps_difference = True


def _all_agents(child: Element, draft: Draft) -> None:
    draft.rule.crosses_agents = True


_READERS: dict[str, Callable[[Element, Draft], None]] = {
    "decoded_as": _decoded_as,
    "category": _category,
    "srcip": _network,
    "dstip": _network,
    "field": _field,
    "list": _list,
    "time": _clock(conditions.read_time),
    "weekday": _clock(conditions.read_weekdays),
    "compiled_rule": _compiled,
    "if_matched_sid": _matched_sid,
    "options": _options,
    "ignore": _ignore,
    "check_if_ignored": _ignore,
    "mitre": _mitre,
    "if_fts": _fts,
    "check_diff": _difference,
    "global_frequency": _all_agents,
}


def _likeness(child: Element, draft: Draft) -> bool:
    """True when the element is one of `same_*`, `different_*`, `not_same_*`."""
    rule, name = draft.rule, child.name
    for prefix, words, exact, is_same in LIKENESS:
        if name.lower().startswith(prefix):
            rest = name[len(prefix) :]
            meaning = words.get(rest.lower())
            if meaning is None and name.startswith(prefix):
                meaning = exact.get(rest)
            if meaning == "field":
                (rule.same_fields if is_same else rule.different_fields).append(child.text)
            elif meaning is not None:
                (rule.same if is_same else rule.different).add(meaning)
            return meaning is not None
    return False
