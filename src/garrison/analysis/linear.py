"""Searches whose time grows with the length of a text and no faster, whatever the expression. Pure computing, by RE2.

    find = finder(rb"user=[^ ]+ from")
    find(subject)      ->  where the leftmost match begins, -1 for none

Ordinary engines are faster on short texts, and on long ones as slow as the square or the cube of the length: this one
is for long ones. Where the library is missing nobody searches: `finder` gives None, and callers go on more slowly.
Source: docs/decisions/008-pattern-engines.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

try:
    import re2
except ImportError:  # a platform without the wheel
    re2 = None

MOST_MEMORY_BYTES = 256 << 10
"""For each expression, of which a ruleset has thousands; a search that needs more goes on more slowly."""

Finder = Callable[[bytes], int]
Search = Callable[[bytes], Any]
"""Gives None or a match with `start()`, `end()` and `groups()`."""

_ALIKE = re.compile(rb"(?:[^\\\x80-\xff]|\\[dDwWsSbBAztnrf]|\\[^\w\x80-\xff])*+", re.DOTALL)
_NOT_ALIKE = re.compile(rb"\{,|\[:\^|\(\?[a-zA-Z]*[xJn]")
"""What PCRE2 and RE2 write and mean alike, and what only looks so."""


def finder(source: bytes) -> Finder | None:
    """The search for an expression over bytes; None where there is none. The end of the text is `\\Z` or `\\z`."""
    search = _compiled(source.replace(rb"\Z", rb"\z"), is_dot_all=True, captures=False)
    if search is None:
        return None

    def find(subject: bytes) -> int:
        found = search(subject)
        return -1 if found is None else int(found.start())

    return find


def search_like_pcre2(source: bytes) -> Search | None:
    """The search that gives the match which PCRE2 gives, for what both libraries write and mean alike; else None.

    It holds for subjects without a vertical tab and without a newline at their end: there the two part.
    """
    if not _ALIKE.fullmatch(source) or _NOT_ALIKE.search(source):
        return None
    return _compiled(source, is_dot_all=False, captures=True)


def _compiled(source: bytes, *, is_dot_all: bool, captures: bool) -> Search | None:
    if re2 is None:
        return None
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.dot_nl = is_dot_all
    options.max_mem = MOST_MEMORY_BYTES
    options.log_errors = False
    options.never_capture = not captures
    try:
        return cast(Search, re2.compile(source, options).search)
    except re2.error:
        return None
