"""The table in the package."""

from __future__ import annotations

import logging

import pytest

from garrison.alerts.attack_load import TABLE, attack_table, shown_mitre
from garrison.analysis.event import MitreMark


def test_the_table_is_whole_and_small() -> None:
    table = attack_table()
    assert len(table.tactics) == 14
    assert len(table.techniques) > 800
    assert all(found.tactics for found in table.techniques.values())
    assert TABLE.stat().st_size < 64 * 1024


def test_known_names() -> None:
    assert shown_mitre(MitreMark(ids=(b"T1110.001", b"T1021.004"))) == {
        "id": ["T1110.001", "T1021.004"],
        "tactic": ["Credential Access", "Lateral Movement"],
        "technique": ["Password Guessing", "SSH"],
    }


def test_an_unknown_id_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    shown_mitre.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert shown_mitre(MitreMark(ids=(b"T9\n\xff",))) is None
    assert [record.getMessage() for record in caplog.records] == [
        "ATT&CK: a rule names 'T9\\n\\udcff', which is not known"
    ]
