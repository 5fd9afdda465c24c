"""CDB lists: keys with values, and the ways in which rules look something up. Pure.

    key:value            "key with : in it":"value"        the first line of a key counts

Source: spec/analysis.md 4.1, 9.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from garrison.analysis.patterns import MatchPattern

MOST_LINE_BYTES = 65_534

Table = Mapping[bytes, bytes]

LOOKUPS = (
    "match_key",
    "not_match_key",
    "match_key_value",
    "address_match_key",
    "not_address_match_key",
    "address_match_key_value",
)


def read_list(text: bytes) -> dict[bytes, bytes]:
    """The table of a list's text; lines that are none are passed over."""
    table: dict[bytes, bytes] = {}
    for raw in text.split(b"\n"):
        line = raw.partition(b"\r")[0][:MOST_LINE_BYTES]
        pair = _pair(line)
        if pair is not None:
            table.setdefault(*pair)
    return table


def _pair(line: bytes) -> tuple[bytes, bytes] | None:
    quote = line.find(b'"')
    if 0 <= quote < line.find(b":"):
        key, closed, rest = line[quote + 1 :].partition(b'"')
        if not closed:
            return None
    else:
        place = line.find(b":")
        if place < 0:
            return None
        key, rest = line[:place], line[place:]
    _, colon, value = rest.partition(b":")
    if not colon:
        return None
    if b'"' in value:
        _, _, quoted = value.partition(b'"')
        value, closed, _ = quoted.partition(b'"')
        if not closed:
            return None
    return key, value


def address_keys(value: bytes) -> list[bytes]:
    """The keys under which an address is looked up: itself, then its prefixes that end in a dot, the longest first."""
    keys = [value]
    place = len(value)
    while (place := value.rfind(b".", 0, place)) >= 0:
        keys.append(value[: place + 1])
    return keys


def look_up(kind: str, table: Table, check: MatchPattern | None) -> Callable[[bytes], bool]:
    """The test of a present field's value. Without `check` no value fits."""

    def value_fits(found: bytes | None) -> bool:
        return found is not None and check is not None and check.test(found)

    def by_address(value: bytes) -> bytes | None:
        return next((table[key] for key in address_keys(value) if key in table), None)

    tests: dict[str, Callable[[bytes], bool]] = {
        "match_key": lambda value: value in table,
        "not_match_key": lambda value: value not in table,
        "match_key_value": lambda value: value_fits(table.get(value)),
        "address_match_key": lambda value: by_address(value) is not None,
        "not_address_match_key": lambda value: by_address(value) is None,
        "address_match_key_value": lambda value: not value_fits(by_address(value)),
    }
    return tests[kind]
