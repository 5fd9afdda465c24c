"""`garrison-control reload` says when a broken ruleset was not taken."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from garrison.cli import control
from garrison.cli.control import NODE_PARTS, Service, reload

FAULT = "etc/rules/local_rules.xml:3: error: rule 100001: unknown element <mach>; expected <match>?"


@pytest.mark.parametrize(
    ("outcome", "status", "said"),
    [
        ({"reloaded": ["ruleset"], "needs_restart": [], "faults": []}, 0, "Reloaded: ruleset\n"),
        (
            {"reloaded": [], "needs_restart": ["remotes"], "faults": [FAULT]},
            1,
            f"{FAULT}\nNot reloaded: the ruleset is broken, the one that was loaded before goes on judging\n"
            "Takes effect with the next restart: remotes\n",
        ),
    ],
)
def test_reload(
    outcome: dict[str, Any],
    status: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(control, "running_pid", lambda service: os.getpid())
    monkeypatch.setattr(control, "ask", lambda home, command, timeout_s: outcome)
    service = Service(home=tmp_path, kind="node", parts=NODE_PARTS)
    assert reload(service, as_json=False) == status
    assert capsys.readouterr().out == said
