"""Ruleset files from disk, in the order of spec/analysis.md 4. The one module here that reads files.

A node reads what `<ruleset>` names; `load_folder` reads a folder that holds a whole ruleset.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from garrison.analysis.osregex import BadPattern
from garrison.analysis.patterns import RegexPattern
from garrison.analysis.source import Source, SourceFile, Thresholds
from garrison.config.model import AlertsConfig, FolderConfig, RulesetConfig
from garrison.ground.errors import Fault, RuleError

MOST_FILE_BYTES = 64 * 1024 * 1024
STOCK_DECODERS, STOCK_RULES = FolderConfig(path="ruleset/decoders"), FolderConfig(path="ruleset/rules")


def load_folder(folder: Path) -> Source:
    """The ruleset of a folder: `decoders/`, `rules/`, `lists/` and, where it exists, `ruleset.json`."""
    settings = _settings(folder / "ruleset.json")
    faults: list[Fault] = []
    lists: dict[str, bytes] = {}
    for name, path in settings.get("lists", {}).items():
        _take_list(folder / str(path), str(name), lists, faults)
    if not settings:
        for path in sorted((folder / "lists").rglob("*")) if (folder / "lists").is_dir() else []:
            if path.is_file():
                _take_list(path, f"etc/lists/{path.relative_to(folder / 'lists')}", lists, faults)
    return Source(
        decoders=_files(
            folder, settings.get("decoder_dirs", ["decoders"]), settings.get("decoder_exclude", []), faults
        ),
        rules=_files(folder, settings.get("rule_dirs", ["rules"]), settings.get("rule_exclude", []), faults),
        lists=lists,
        thresholds=Thresholds(
            log_alert_level=int(settings.get("log_alert_level", 3)),
            email_alert_level=int(settings.get("email_alert_level", 12)),
        ),
        faults=tuple(faults),
    )


def _settings(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_bytes())
    except ValueError as error:
        raise RuleError(
            [Fault(path=str(path), line=0, found=f"not JSON: {error}", expected="an object")]
        ) from error
    if not isinstance(settings, dict):
        raise RuleError([Fault(path=str(path), line=0, found="not an object", expected="an object")])
    return settings


def _files(
    folder: Path, names: Iterable[str], excluded: Iterable[str], faults: list[Fault]
) -> tuple[SourceFile, ...]:
    left_out = set(excluded)
    found: list[Path] = []
    for name in names:
        found += [path for path in (folder / name).glob("*.xml") if path.name not in left_out]
    return _read_all(found, faults)


def _read_all(paths: Iterable[Path], faults: list[Fault], root: Path | None = None) -> tuple[SourceFile, ...]:
    files = []
    for path in sorted(dict.fromkeys(paths), key=lambda path: path.name.encode()):
        try:
            shown = (
                str(path.relative_to(root)) if root is not None and path.is_relative_to(root) else str(path)
            )
            files.append(SourceFile(path=shown, text=path.read_bytes()[:MOST_FILE_BYTES]))
        except OSError as error:
            faults.append(_missing(path, error))
    return tuple(files)


def _missing(path: Path, error: OSError) -> Fault:
    reason = error.strerror or str(error)
    return Fault(path=str(path), line=0, found=reason, expected="a readable file", is_warning=True)


def _take_list(path: Path, name: str, lists: dict[str, bytes], faults: list[Fault]) -> None:
    try:
        lists[name] = path.read_bytes()
    except OSError as error:
        faults.append(_missing(path, error))


def load_ruleset(config: RulesetConfig, alerts: AlertsConfig, root: Path) -> Source:
    """The ruleset that a node's configuration names; paths are relative to its home `root`."""
    faults: list[Fault] = []
    lists: dict[str, bytes] = {}
    for name in config.lists:
        plain = name.removesuffix(".cdb")
        path = plain if "/" in plain else f"ruleset/rules/{plain}"
        _take_list(root / path, plain, lists, faults)
    decoders = _selected(
        root, config.decoder_dirs or (STOCK_DECODERS,), config.decoder_include, config.decoder_exclude, faults
    )
    rules = _selected(
        root, config.rule_dirs or (STOCK_RULES,), config.rule_include, config.rule_exclude, faults
    )
    return Source(
        decoders=_read_all(decoders, faults, root),
        rules=_read_all(rules, faults, root),
        lists=lists,
        thresholds=Thresholds(
            log_alert_level=alerts.log_alert_level, email_alert_level=alerts.email_alert_level
        ),
        faults=tuple(faults),
    )


def _selected(
    root: Path,
    folders: Iterable[FolderConfig],
    included: Iterable[str],
    excluded: Iterable[str],
    faults: list[Fault],
) -> list[Path]:
    left_out = set(excluded)
    kind = "decoders" if folders == (STOCK_DECODERS,) else "rules"
    paths = [root / (name if "/" in name else f"ruleset/{kind}/{name}") for name in included]
    for folder in folders:
        pattern = _pattern(folder, faults)
        if pattern is None or not (root / folder.path).is_dir():
            continue
        for path in (root / folder.path).iterdir():
            name = f"{folder.path}/{path.name}"
            wanted = pattern.test(name.encode()) and not {name, path.name} & left_out
            if wanted and path.is_file() and not path.name.startswith("."):
                paths.append(path)
    return paths


def _pattern(folder: FolderConfig, faults: list[Fault]) -> RegexPattern | None:
    try:
        return RegexPattern(folder.pattern.encode())
    except BadPattern as error:
        found = f"pattern {folder.pattern!r} of folder {folder.path}: {error}"
        faults.append(Fault(path="<ruleset>", line=0, found=found, expected="an OS_Regex"))
        return None
