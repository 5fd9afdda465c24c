"""Ruleset files from disk, in the order of spec/analysis.md 4. The one module here that reads the ruleset's files.

A node reads what `<ruleset>` names; `load_folder` reads a folder that holds a whole ruleset.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from garrison.analysis.osregex import BadPattern
from garrison.analysis.patterns import RegexPattern
from garrison.analysis.source import Source, SourceFile, Thresholds
from garrison.config.model import AlertsConfig, FolderConfig, RulesetConfig
from garrison.ground.errors import Fault, RuleError

MOST_FILE_BYTES = 64 * 1024 * 1024
MOST_LEVEL = 16
STOCK = {"decoders": "ruleset/decoders", "rules": "ruleset/rules"}

_SETTINGS: dict[str, type[Any]] = {
    "decoder_dirs": list,
    "rule_dirs": list,
    "decoder_exclude": list,
    "rule_exclude": list,
    "lists": dict,
    "log_alert_level": int,
    "email_alert_level": int,
    "cluster": dict,
}


def load_folder(folder: Path) -> Source:
    """The ruleset of a folder: `decoders/`, `rules/`, `lists/` and, where it exists, `ruleset.json`.

    Raises `RuleError` where `ruleset.json` is wrong, or the folder holds no ruleset at all.
    """
    if not any((folder / name).exists() for name in ("decoders", "rules", "ruleset.json")):
        found = "holds no ruleset" if folder.is_dir() else "no such folder"
        wanted = "a folder with decoders/, rules/ or ruleset.json"
        raise RuleError([Fault(path=str(folder), line=0, found=found, expected=wanted)])
    settings = _settings(folder / "ruleset.json")
    faults: list[Fault] = []
    lists: dict[str, bytes] = {}
    if "lists" in settings:
        for name, path in settings["lists"].items():
            _take_list(folder / str(path), (str(name),), lists, faults)
    elif (folder / "lists").is_dir():
        for path in sorted((folder / "lists").rglob("*")):
            if path.is_file() and path.suffix != ".cdb" and not path.name.startswith("."):
                _take_list(path, (f"etc/lists/{path.relative_to(folder / 'lists')}",), lists, faults)
    shipped = Thresholds()
    return Source(
        decoders=_files(folder, settings, "decoder", faults),
        rules=_files(folder, settings, "rule", faults),
        lists=lists,
        thresholds=Thresholds(
            log_alert_level=settings.get("log_alert_level", shipped.log_alert_level),
            email_alert_level=settings.get("email_alert_level", shipped.email_alert_level),
        ),
        faults=tuple(faults),
    )


def _settings(path: Path) -> dict[str, Any]:
    """What `ruleset.json` sets; empty without one."""
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise _bad_settings(path, f"not JSON: {error}", "an object") from error
    if not isinstance(settings, dict):
        raise _bad_settings(path, "not an object", "an object")
    for name, kind in _SETTINGS.items():
        value: Any = settings.get(name, kind())
        if not isinstance(value, kind) or isinstance(value, bool):
            raise _bad_settings(path, f"{name} is {value!r:.80}", f"a value of type {kind.__name__}")
        if kind is int and not 0 <= value <= MOST_LEVEL:
            raise _bad_settings(path, f"{name} is {value}", f"a level from 0 to {MOST_LEVEL}")
    return settings


def _bad_settings(path: Path, found: str, expected: str) -> RuleError:
    return RuleError([Fault(path=str(path), line=0, found=found, expected=expected)])


def _files(folder: Path, settings: dict[str, Any], kind: str, faults: list[Fault]) -> tuple[SourceFile, ...]:
    left_out = set(map(str, settings.get(f"{kind}_exclude", [])))
    found: list[Path] = []
    for name in settings.get(f"{kind}_dirs", [f"{kind}s"]):
        inside = (folder / str(name)).glob("*.xml")
        found += [path for path in inside if path.name not in left_out and not path.name.startswith(".")]
    return _read_all(found, faults)


def _read_all(paths: Iterable[Path], faults: list[Fault], root: Path | None = None) -> tuple[SourceFile, ...]:
    """The files sorted by their bare names; of equal names the one that was named first comes first."""
    files = []
    for path in sorted(dict.fromkeys(paths), key=lambda path: path.name.encode("utf-8", "surrogateescape")):
        shown = _shown(path, root)
        text = _read(path, shown, faults)
        if text is not None:
            files.append(SourceFile(path=shown, text=text))
    return tuple(files)


def _shown(path: Path, root: Path | None) -> str:
    return str(path.relative_to(root)) if root is not None and path.is_relative_to(root) else str(path)


def _read(path: Path, shown: str, faults: list[Fault]) -> bytes | None:
    """The content of a regular file; None with a fault. A file that is missing is tolerated, one that is cut is not."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        faults.append(_missing(shown, error.strerror or str(error)))
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            faults.append(_missing(shown, "not a regular file"))
            return None
        text = file.read(MOST_FILE_BYTES + 1)
    if len(text) > MOST_FILE_BYTES:
        expected = f"at most {MOST_FILE_BYTES} bytes"
        faults.append(Fault(path=shown, line=0, found="the file is too large", expected=expected))
        return None
    return text


def _missing(shown: str, reason: str) -> Fault:
    return Fault(path=shown, line=0, found=reason, expected="a readable file", is_warning=True)


def _take_list(path: Path, names: Iterable[str], lists: dict[str, bytes], faults: list[Fault]) -> None:
    text = _read(path, str(path), faults)
    if text is not None:
        lists.update((name, text) for name in names if name not in lists)


def load_ruleset(
    config: RulesetConfig, alerts: AlertsConfig, root: Path, *, timeframe_s: int = Thresholds().timeframe_s
) -> Source:
    """The ruleset that a node's configuration names; paths are relative to its home `root`."""
    faults: list[Fault] = []
    lists: dict[str, bytes] = {}
    for name in config.lists:
        plain = name.partition(".cdb")[0]
        path = plain if "/" in plain else f"{STOCK['rules']}/{plain}"
        _take_list(root / path, (plain, path), lists, faults)
    decoders = _selected(
        root, "decoders", config.decoder_dirs, config.decoder_include, config.decoder_exclude, faults
    )
    rules = _selected(root, "rules", config.rule_dirs, config.rule_include, config.rule_exclude, faults)
    return Source(
        decoders=_read_all(decoders, faults, root),
        rules=_read_all(rules, faults, root),
        lists=lists,
        thresholds=Thresholds(
            log_alert_level=alerts.log_alert_level,
            email_alert_level=alerts.email_alert_level,
            timeframe_s=timeframe_s,
        ),
        faults=tuple(faults),
    )


def _selected(
    root: Path,
    kind: str,
    folders: Iterable[FolderConfig],
    included: Iterable[str],
    excluded: Iterable[str],
    faults: list[Fault],
) -> list[Path]:
    """The files of one kind: those that are included by name, then those of the folders but for the excluded."""
    left_out = set(excluded)
    paths = [root / (name if "/" in name else f"{STOCK[kind]}/{name}") for name in included]
    for folder in folders or (FolderConfig(path=STOCK[kind]),):
        pattern = _pattern(folder, faults)
        if pattern is None or not (root / folder.path).is_dir():
            continue
        for path in sorted((root / folder.path).iterdir()):
            name = f"{folder.path}/{path.name}"
            wanted = (
                pattern.test(name.encode("utf-8", "surrogateescape")) and not {name, path.name} & left_out
            )
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
