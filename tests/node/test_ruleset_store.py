"""A broken rule file does not take down a node: what judges then, and what is said."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from garrison.config.model import AlertsConfig, FolderConfig, ManagerConfig, RulesetConfig
from garrison.ground.errors import RuleError
from garrison.node.ruleset_store import RulesetStore

CONFIG = ManagerConfig(
    ruleset=RulesetConfig(
        rule_dirs=(FolderConfig(path="ruleset/rules"), FolderConfig(path="etc/rules")),
        decoder_dirs=(FolderConfig(path="etc/decoders"),),
        lists=("etc/lists/l",),
    )
)
ROOT = '<group name="g,"><rule id="1" level="0" noalert="1"><description>r\xe9</description></rule></group>'
MINE = """<group name="g,">
<rule id="100001" level="5"><list field="hostname" lookup="not_match_key">etc/lists/l</list><description>x</description></rule>
</group>"""
BROKEN = MINE.replace("</group>", "<rule></group>")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name, text in (
        ("ruleset/rules/0.xml", ROOT),
        ("etc/rules/local_rules.xml", MINE),
        ("etc/lists/l", "a:\xff\n"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(text.encode("latin-1"))
    return tmp_path


def store_of(home: Path) -> RulesetStore:
    return RulesetStore(home, home / "queue/ruleset/last-good.json")


def ids(program: object) -> list[int]:
    return [rule.card.id for rule in program.rules]  # type: ignore[attr-defined]


def mend(home: Path, text: str) -> None:
    (home / "etc/rules/local_rules.xml").write_text(text)


def test_a_good_ruleset(home: Path) -> None:
    store = store_of(home)
    assert (ids(store.first(CONFIG)), store.fault) == ([1, 100001], "")


def test_while_the_node_runs_a_broken_file_is_refused_and_told(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = store_of(home)
    store.first(CONFIG)
    mend(home, BROKEN)
    with pytest.raises(RuleError):
        store.load(CONFIG)
    assert store.fault.startswith(
        "the ruleset is broken (1 error in etc/rules/local_rules.xml; first: etc/rules/local_"
    )
    assert any(
        record.levelno == logging.ERROR and "local_rules.xml:3" in record.message for record in caplog.records
    )
    mend(home, MINE)
    store.load(CONFIG)
    assert store.fault == ""


def test_a_start_with_a_broken_file_goes_on_with_the_last_good_copy(home: Path) -> None:
    store_of(home).first(CONFIG)
    mend(home, BROKEN)
    store = store_of(home)
    program = store.first(CONFIG)
    assert ids(program) == [1, 100001]
    assert "local_rules.xml" in store.fault and "the last good copy of the ruleset judges" in store.fault
    raised = ManagerConfig(
        ruleset=CONFIG.ruleset, alerts=AlertsConfig(log_alert_level=9, email_alert_level=9)
    )
    again = store_of(home).first(raised)
    assert (again.log_alert_level, again.rules[1].card.is_logged) == (9, False)
    mend(home, MINE.replace("100001", "100002"))
    store.load(CONFIG)
    assert (store.fault, ids(store_of(home).first(CONFIG))) == ("", [1, 100002])


def test_the_very_first_start_leaves_the_broken_file_out(home: Path) -> None:
    mend(home, BROKEN)
    store = store_of(home)
    assert ids(store.first(CONFIG)) == [1]
    assert "rules and decoders of etc/rules/local_rules.xml are left out until it is mended" in store.fault


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"form":2}', b'{"form":1,"decoders":[1],"rules":[],"lists":{}}']
)
def test_a_copy_that_cannot_be_read_is_as_none(home: Path, content: bytes) -> None:
    mend(home, BROKEN)
    (home / "queue/ruleset").mkdir(parents=True)
    (home / "queue/ruleset/last-good.json").write_bytes(content)
    store = store_of(home)
    assert ids(store.first(CONFIG)) == [1] and "left out" in store.fault


def test_a_copy_that_does_not_load_any_more_is_as_none(home: Path) -> None:
    mend(home, BROKEN)
    (home / "queue/ruleset").mkdir(parents=True)
    bad = b'{"form":1,"decoders":[],"rules":[["a.xml","<nonsense>"]],"lists":{}}'
    (home / "queue/ruleset/last-good.json").write_bytes(bad)
    assert ids(store_of(home).first(CONFIG)) == [1]


def test_a_copy_that_cannot_be_kept_hinders_nothing(home: Path) -> None:
    (home / "queue").write_text("no folder")
    store = store_of(home)
    assert (ids(store.first(CONFIG)), store.fault) == ([1, 100001], "")
