"""What the tools that came from C have in common: their log form, and the refusal on a worker.

    2026/11/25 01:51:24 agent_control: ERROR: text          on standard error, and in logs/ossec.log

Source: spec/cluster.md 7, 7.3.
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from garrison.cli.control_client import ask


def complain(tool: str, text: str, *, home: Path | None = None, level: str = "ERROR") -> None:
    """Prints one line in the log form, and adds it to the home's `logs/ossec.log` where that can be written."""
    line = f"{datetime.now():%Y/%m/%d %H:%M:%S} {tool}: {level}: {text}"
    print(line, file=sys.stderr)
    log_file = home / "logs/ossec.log" if home else None
    if log_file is not None and log_file.is_file():
        try:
            with log_file.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError:
            pass  # the operator has read it on the terminal; the log's disk may be full


def refuse_on_worker(tool: str, home: Path) -> bool:
    """True when this node is a worker now; the refusal, naming the master's address, has been printed."""
    role = ask(home, "role")
    if role["type"] != "worker":
        return False
    complain(
        tool,
        f"Wazuh is running in cluster mode: {tool} is not available in worker nodes. "
        f"Please, try again in the master node: {role['master_address']}.",
        home=home,
    )
    return True
