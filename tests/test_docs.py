"""The pages a newcomer reads: links lead somewhere, both readmes say the same, and their commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from garrison.cli import main as cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
READMES = [(ROOT / name).read_text("utf-8") for name in ("README.md", "README.zh-CN.md")]

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
BLOCK = re.compile(r"```.*?```", re.DOTALL)
DECISION = re.compile(r"docs/decisions/([\w-]+\.md)")
OURS = re.compile(r"^garrison ([a-z-]+)((?: .*)?)$", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    targets = [target for target in LINK.findall(page.read_text("utf-8")) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_decisions_that_the_code_names_exist() -> None:
    named = {
        (path, name)
        for folder in ("src", "tests", "benchmarks", "scripts")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for name in DECISION.findall(path.read_text("utf-8"))
    }
    assert named
    assert [found for found in named if not (ROOT / "docs/decisions" / found[1]).is_file()] == []


def test_both_readmes_have_the_same_shape() -> None:
    english, chinese = READMES
    assert BLOCK.findall(english) == BLOCK.findall(chinese)
    shapes = [
        [line.split(" ")[0] for line in text.splitlines() if line.startswith(("#", "|", "* "))]
        for text in READMES
    ]
    assert shapes[0] == shapes[1]


def test_commands_of_the_readme_are_ours_with_these_options() -> None:
    commands = [found for block in BLOCK.findall(READMES[0]) for found in OURS.findall(block)]
    assert len(commands) > 8
    parser = cli.make_parser()
    for name, rest in commands:
        words = [word for word in rest.partition(">")[0].split() if word]
        try:
            parser.parse_args([name, *words])
        except SystemExit as end:
            pytest.fail(f"garrison {name}{rest} is refused: {end}")
