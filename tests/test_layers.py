"""The import table of docs/architecture.md, held against the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src/garrison"

ALLOWED = {
    "ground": set(),
    "wire": {"ground"},
    "config": {"ground"},
    "analysis": {"ground", "wire", "config"},
    "alerts": {"ground", "wire", "config", "analysis"},
    "fabric": {"ground", "wire", "config"},
    "registry": {"ground", "wire", "config", "analysis", "alerts", "fabric"},
    "shared": {"ground", "wire", "config", "analysis", "alerts", "fabric"},
    "channel": {"ground", "wire", "config", "analysis", "alerts", "fabric", "registry", "shared"},
    "enrollment": {"ground", "wire", "config", "analysis", "alerts", "fabric", "registry", "shared"},
    "cluster": {"ground", "wire", "config", "analysis", "alerts", "fabric", "registry", "shared"},
    "agent": {"ground", "wire", "config"},
    "ruleset": {"ground"},
}
EVERYTHING = set(ALLOWED) | {"node"}
ALLOWED |= {"node": EVERYTHING, "cli": EVERYTHING | {"demo"}, "demo": EVERYTHING | {"cli"}}

DRIVERS = {"server", "client", "store", "sink", "load", "collect", "serve", "sync"}
DRIVING_PACKAGES = {"ground", "fabric", "cli", "demo", "node"}
IMPURE = {"socket", "asyncio", "subprocess", "ssl", "threading", "random", "secrets", "selectors", "uvloop"}
"""What a pure module does not import: whoever needs one of these is a driver and is named like one."""

FORBIDDEN = {"pickle", "marshal", "shelve", "dill", "importlib", "runpy"}
"""Nothing that a peer sends becomes code (security classes T1)."""


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def package_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_down_only(path: Path) -> None:
    package = package_of(path)
    if package == "__init__.py":
        return
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "garrison" and len(parts) > 1 and parts[1] != package:
            assert parts[1] in ALLOWED[package], f"{package} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_pure_modules_touch_nothing(path: Path) -> None:
    package = package_of(path)
    if package in DRIVING_PACKAGES or path.stem.rsplit("_", 1)[-1] in DRIVERS:
        return
    touched = {name.split(".")[0] for name in imports(path)} & IMPURE
    assert not touched, f"{path.relative_to(SOURCE)} imports {touched}: a driver is named like one"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_becomes_code(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & FORBIDDEN - allowed_in(path)
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("eval", "exec", "compile", "__import__"), f"{path}:{node.lineno}"


def allowed_in(path: Path) -> set[str]:
    """`importlib` may find our own package's data and version; it never takes a name from outside."""
    text = path.read_text("utf-8")
    only_data = "import_module" not in text
    return {"importlib"} if only_data else set()
