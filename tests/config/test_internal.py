"""The internal options: every one at its bounds, and what is said of the rest."""

from __future__ import annotations

import pytest

from garrison.config.internal import TABLE, UNUSED, override
from garrison.config.model import InternalOptions
from garrison.config.parse import parse_manager
from garrison.config.reading import Faults

DEFAULTS = InternalOptions()


@pytest.mark.parametrize("name", TABLE)
def test_an_option_at_its_bounds(name: str) -> None:
    field, least, most = TABLE[name]
    assert least <= getattr(DEFAULTS, field) <= most
    apart = "agent.normal_level=0\n" if name == "agent.warn_level" else "agent.warn_level=100\n"
    for value in (least, most):
        faults = Faults("f")
        changed = override(DEFAULTS, f"{apart}{name} = {value}\r\n", faults)
        assert getattr(changed, field) == value and faults.all == []
    for bad in (str(most + 1), "-1", "x", "", "9" * 5000, "²", "1 2"):
        faults = Faults("f")
        assert getattr(override(DEFAULTS, f"\n{name}={bad}", faults), field) == getattr(DEFAULTS, field)
        (fault,) = faults.errors
        assert fault.line == 2 and fault.expected == f"a whole number from {least} to {most}"


@pytest.mark.parametrize("name", UNUSED)
def test_an_option_without_use_is_still_checked(name: str) -> None:
    least, most = UNUSED[name]
    faults = Faults("f")
    assert override(DEFAULTS, f"{name}={least}\n{name}={most}\n{name}={most + 1}", faults) == DEFAULTS
    assert [(fault.line, fault.is_warning) for fault in faults.all] == [(3, False)]


def test_what_has_no_effect_is_told_of_the_operator_s_own_file_alone() -> None:
    text = "# stock\n\nanalysisd.debug=0\nremoted.verify_msgid=1\n"
    own, stock = "h/etc/local_internal_options.conf", "h/etc/internal_options.conf"
    warnings = parse_manager("<ossec_config/>", internal={stock: text, own: text}).warnings
    assert [(fault.path, fault.line, fault.found) for fault in warnings] == [
        (own, 3, "analysisd.debug has no effect here"),
        (own, 4, "remoted.verify_msgid has no effect here"),
    ]


def test_levels_must_be_apart_and_lines_must_be_options() -> None:
    faults = Faults("f")
    override(DEFAULTS, "agent.normal_level=90\nnonsense\n=1\na.b.c=1", faults)
    assert [fault.found for fault in faults.all] == [
        "not an option", "not an option", "not an option", "agent.normal_level is not below agent.warn_level",
    ]  # fmt: skip
