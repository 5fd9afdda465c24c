"""The page about the ruleset says what the rules say."""

from __future__ import annotations

from tests.ruleset.page import PAGE, page


def test_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: python -m tests.ruleset.page"
