"""docs/ruleset.md, made from the rules themselves.

`python -m tests.ruleset.page` writes it again; a test holds the page to the rules.
"""

from __future__ import annotations

import re
from pathlib import Path

from garrison.analysis.syntax import Element, read_elements
from garrison.ruleset import FOLDER

PAGE = Path(__file__).resolve().parents[2] / "docs/ruleset.md"
COMPLIANCE = ("pci_dss_", "gdpr_", "gpg13_", "hipaa_", "nist_800_53_", "tsc_", "cis_")

HEAD = """# The starter ruleset

Decoders and rules of our own, shipped inside the package (`garrison/ruleset`), so that a fresh installation judges
the logs of ordinary Linux machines and their services, what Windows and the modules of agents report, and what the
cluster says about itself. Sites that bring their own ruleset files put their folders into `<ruleset>` instead, or
beside these; every file format is the known one.

* Ids 1 to 9 are the roots of the event categories; ours run from 200000 to 209999. Sites write theirs from 100000 to
  120000.
* Beside another ruleset: name its folders and these in `<ruleset>`, with
  `<rule_exclude>8001-roots.xml</rule_exclude>`, since the other one has its own roots. These files sort behind those
  of others, and every rule here that stands at the top has `accuracy="0"`: it is asked last. So the other ruleset
  answers all that it knows as before, and this one answers what is left.
* Levels: 0 says nothing, 2 is noted, 3 is a normal event worth keeping, 5 a failure or a refusal, 7 and 8 what
  somebody should look at, 10 several of a kind that make an attack, 12 and more what should wake somebody.
* Rules without a row below (no alert of their own) only gather the messages of one program.
* ATT&CK: ids as the rules name them; alerts show their techniques and tactics by name, from a table in the package
  that `scripts/attack-table` renews.
* Compliance marks (`pci_dss_...`, `nist_800_53_...`) are left out here; alerts show them in arrays of their own.

This page is made from the rules: `python -m tests.ruleset.page`.
"""


def page() -> str:
    """The whole page."""
    overview = ["| part | rules | highest level |", "| --- | --- | --- |"]
    parts = []
    for path in sorted((FOLDER / "rules").glob("*.xml")):
        text = path.read_bytes()
        shown = [
            (group, rule)
            for group in read_elements(text, path.name)
            for rule in group.children
            if rule.attribute("noalert") != b"1"
        ]
        if shown:
            title = path.stem.partition("-")[2]
            highest = max(int(rule.attribute("level") or b"0") for _, rule in shown)
            overview.append(f"| [{title}](#{title}) | {len(shown)} | {highest} |")
            parts.append(_part(path.name, title, text.decode(), [_row(*found) for found in shown]))
    return "\n".join([HEAD, *overview, "", *parts])


def _part(name: str, title: str, text: str, rows: list[str]) -> str:
    """One file: its name, what its first comment says, and its rules."""
    comment = re.match(r"\s*<!--(.*?)-->", text, re.DOTALL)
    says = " ".join(comment[1].split()) if comment else ""
    head = "| id | level | what it says | after | ATT&CK | groups |\n| --- | --- | --- | --- | --- | --- |"
    return "\n".join([f"## {title}", "", f"`{name}`: {says}", "", head, *rows]) + "\n"


def _row(group: Element, rule: Element) -> str:
    said = {child.name: child.text.decode() for child in rule.children}
    techniques = [
        technique.text.decode()
        for child in rule.children
        if child.name == "mitre"
        for technique in child.children
    ]
    names = ((group.attribute("name") or b"").decode() + said.get("group", "")).split(",")
    shown = [f"`{name}`" for name in names if name and not name.startswith(COMPLIANCE)]
    cells = (
        (rule.attribute("id") or b"").decode(),
        (rule.attribute("level") or b"").decode(),
        said["description"],
        _after(rule, said),
        ", ".join(techniques),
        " ".join(shown),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _after(rule: Element, said: dict[str, str]) -> str:
    """What must have come before: the parents, and for composite rules how often."""
    words = []
    if "if_sid" in said:
        words.append(said["if_sid"])
    matched = said.get("if_matched_sid") or said.get("if_matched_group")
    if matched:
        frequency = (rule.attribute("frequency") or b"").decode()
        timeframe = (rule.attribute("timeframe") or b"360").decode()
        words.append(f"{frequency or 'one'} × `{matched}` in {timeframe} s")
    if "if_fts" in said:
        words.append("first time")
    return "; ".join(words)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
