"""Which files make a ruleset, in what order, and what is said of those that are not there or not to be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from garrison.analysis import load
from garrison.analysis.load import load_folder, load_ruleset
from garrison.config.model import AlertsConfig, FolderConfig, RulesetConfig
from garrison.ground.errors import RuleError


def lay(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def rules_of(root: Path, **config: object) -> list[str]:
    source = load_ruleset(RulesetConfig(**config), AlertsConfig(), root)  # type: ignore[arg-type]
    return [file.path for file in source.rules]


def test_files_of_all_folders_are_sorted_by_bare_name(tmp_path: Path) -> None:
    lay(
        tmp_path,
        "ruleset/rules/0010-b.xml",
        "ruleset/rules/0100-a.xml",
        "etc/rules/0001-x.xml",
        "etc/rules/local.xml",
    )
    lay(
        tmp_path,
        "etc/rules/Upper.xml",
        "etc/rules/notes.txt",
        "etc/rules/sub/0000.xml",
        "etc/rules/.hidden.xml",
    )
    folders = (FolderConfig(path="ruleset/rules"), FolderConfig(path="etc/rules"))
    assert rules_of(tmp_path, rule_dirs=folders) == [
        "etc/rules/0001-x.xml",
        "ruleset/rules/0010-b.xml",
        "ruleset/rules/0100-a.xml",
        "etc/rules/Upper.xml",
        "etc/rules/local.xml",
    ]


def test_without_folders_the_stock_ones_are_read(tmp_path: Path) -> None:
    lay(tmp_path, "ruleset/rules/a.xml", "ruleset/decoders/b.xml", "etc/rules/c.xml")
    source = load_ruleset(RulesetConfig(), AlertsConfig(), tmp_path)
    assert [file.path for file in source.rules] == ["ruleset/rules/a.xml"]
    assert [file.path for file in source.decoders] == ["ruleset/decoders/b.xml"]


def test_included_files(tmp_path: Path) -> None:
    """A bare name is one of the stock folder of its kind, whatever folders are named; each file is read once."""
    lay(tmp_path, "ruleset/rules/a.xml", "ruleset/decoders/d.xml", "etc/rules/a.xml", "etc/rules/b.xml")
    config = RulesetConfig(
        rule_dirs=(FolderConfig(path="etc/rules"),),
        decoder_dirs=(FolderConfig(path="etc/decoders"),),
        rule_include=("a.xml", "etc/rules/b.xml", "missing.xml"),
        decoder_include=("d.xml",),
        rule_exclude=("b.xml",),
    )
    source = load_ruleset(config, AlertsConfig(), tmp_path)
    assert [file.path for file in source.rules] == [
        "ruleset/rules/a.xml",
        "etc/rules/a.xml",
        "etc/rules/b.xml",
    ]
    assert [file.path for file in source.decoders] == ["ruleset/decoders/d.xml"]
    assert [str(fault) for fault in source.faults] == [
        "ruleset/rules/missing.xml: warning: No such file or directory; a readable file"
    ]


@pytest.mark.parametrize(
    ("excluded", "left"),
    [
        ("a.xml", ["etc/rules/b.xml"]),
        ("etc/rules/a.xml", ["etc/rules/b.xml"]),
        ("rules/a.xml", ["etc/rules/a.xml", "etc/rules/b.xml"]),
    ],
)
def test_excluded_files(tmp_path: Path, excluded: str, left: list[str]) -> None:
    lay(tmp_path, "etc/rules/a.xml", "etc/rules/b.xml")
    folders = (FolderConfig(path="etc/rules"), FolderConfig(path="etc/nowhere"))
    assert rules_of(tmp_path, rule_dirs=folders, rule_exclude=(excluded,)) == left


def test_patterns_look_at_folder_and_name(tmp_path: Path) -> None:
    lay(tmp_path, "etc/rules/a.xml", "etc/rules/axml", "etc/rules/a.xml.bak", "etc/rules/site-b.conf")
    assert rules_of(tmp_path, rule_dirs=(FolderConfig(path="etc/rules"),)) == ["etc/rules/a.xml"]
    site = FolderConfig(path="etc/rules", pattern="^etc/rules/site-")
    assert rules_of(tmp_path, rule_dirs=(site,)) == ["etc/rules/site-b.conf"]
    source = load_ruleset(
        RulesetConfig(rule_dirs=(FolderConfig(path="etc/rules", pattern="("),)), AlertsConfig(), tmp_path
    )
    assert [fault.is_warning for fault in source.faults] == [False]


def test_lists(tmp_path: Path) -> None:
    lay(tmp_path, "etc/lists/a", "ruleset/rules/bare", "etc/lists/b")
    config = RulesetConfig(lists=("etc/lists/a.cdb", "bare", "etc/lists/b.cdb.old", "etc/lists/gone"))
    source = load_ruleset(config, AlertsConfig(), tmp_path)
    assert dict(source.lists) == {
        "etc/lists/a": b"etc/lists/a",
        "bare": b"ruleset/rules/bare",
        "ruleset/rules/bare": b"ruleset/rules/bare",
        "etc/lists/b": b"etc/lists/b",
    }
    assert [fault.is_warning for fault in source.faults] == [True]


def test_what_is_no_regular_file_does_not_hold_up(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    os.mkfifo(tmp_path / "etc/pipe.xml")
    source = load_ruleset(RulesetConfig(rule_include=("etc/pipe.xml",)), AlertsConfig(), tmp_path)
    assert [str(fault) for fault in source.faults] == [
        "etc/pipe.xml: warning: not a regular file; a readable file"
    ]


def test_a_file_that_is_too_large_is_not_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "MOST_FILE_BYTES", 10)
    lay(tmp_path, "etc/rules/a.xml")
    source = load_ruleset(
        RulesetConfig(rule_dirs=(FolderConfig(path="etc/rules"),)), AlertsConfig(), tmp_path
    )
    assert [str(fault) for fault in source.faults] == [
        "etc/rules/a.xml: error: the file is too large; at most 10 bytes"
    ]


def test_a_folder_with_settings(tmp_path: Path) -> None:
    lay(
        tmp_path,
        "decoders/d.xml",
        "mine/b.xml",
        "mine/a.xml",
        "rules/c.xml",
        "lists/l",
        "lists/l.cdb",
        "lists/.x",
    )
    assert [file.path for file in load_folder(tmp_path).rules] == [str(tmp_path / "rules/c.xml")]
    assert list(load_folder(tmp_path).lists) == ["etc/lists/l"]
    (tmp_path / "ruleset.json").write_text(
        '{"rule_dirs": ["mine", "rules"], "rule_exclude": ["a.xml"], "lists": {"etc/lists/z": "lists/l"}, '
        '"log_alert_level": 5, "email_alert_level": 9}'
    )
    source = load_folder(tmp_path)
    assert [Path(file.path).name for file in source.rules] == ["b.xml", "c.xml"]
    assert dict(source.lists) == {"etc/lists/z": b"lists/l"}
    assert (source.thresholds.log_alert_level, source.thresholds.email_alert_level) == (5, 9)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "not JSON"),
        ("[]", "not an object"),
        ('{"lists": []}', "lists is []"),
        ('{"rule_dirs": "rules"}', "rule_dirs is 'rules'"),
        ('{"log_alert_level": "3"}', "log_alert_level is '3'"),
        ('{"log_alert_level": true}', "log_alert_level is True"),
        ('{"email_alert_level": 99}', "email_alert_level is 99"),
    ],
)
def test_settings_that_are_wrong(tmp_path: Path, text: str, found: str) -> None:
    (tmp_path / "ruleset.json").write_text(text)
    with pytest.raises(RuleError) as error:
        load_folder(tmp_path)
    assert error.value.faults[0].found.startswith(found)
