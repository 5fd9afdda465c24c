"""`agent_control`: the agents of this cluster, one by one, and orders to them.

Source: spec/cluster.md 7.3. On a worker it is refused, with the master's address and a status other than 0.
Orders reach agents on every node, not only those that are connected to the master.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from garrison.cli.control_client import NotRunning, ask, find_home
from garrison.cli.tool import complain, refuse_on_worker
from garrison.ground.errors import Refused

TOOL = "agent_control"

HELP = """
Wazuh agent_control: Control remote agents.
Available options:
\t-h                This help message.
\t-l                List available (active or not) agents.
\t-lc               List active agents only.
\t-ln               List disconnected agents only.
\t-i <id>           Extracts information from an agent.
\t-R -a             Restart all agents.
\t-R -u <id>        Restart the specified agent.
\t-r -a             Runs the integrity/rootkit checking on all agents now.
\t-r -u <id>        Runs the integrity/rootkit checking on one agent now.

\t-s                Changes the output to CSV (comma delimited).
\t-j                Changes the output to JSON .
Available options for active response:
\t-b <ip>           Blocks the specified ip address.
\t-f <ar> -a        Used with -b, specifies which response to run. Apply AR on all agents.
\t-f <ar> -u <id>   Used with -b, specifies which response to run. Apply AR on specified agent.
\t-L                List available active responses.
"""

STATUS_WORDS = {
    "active": "Active",
    "disconnected": "Disconnected",
    "never_connected": "Never connected",
    "pending": "Pending",
}


class Options:
    """What the letters on the command line ask for. `-lc` and `-ln` are one word each, as in the original."""

    def __init__(self, words: Sequence[str]) -> None:
        self.list = self.only_active = self.only_disconnected = False
        self.restart = self.scan = self.everybody = self.responses = False
        self.csv = self.json = self.is_unreadable = False
        self.info = self.agent = self.block = self.response = self.home = ""
        flags = {
            "-l": "list",
            "-R": "restart",
            "-r": "scan",
            "-a": "everybody",
            "-L": "responses",
            "-s": "csv",
            "-j": "json",
        }
        values = {"-i": "info", "-u": "agent", "-b": "block", "-f": "response", "--home": "home"}
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if word in ("-lc", "-ln"):
                self.list = True
                self.only_active, self.only_disconnected = word == "-lc", word == "-ln"
            elif word in flags:
                setattr(self, flags[word], True)
            elif word in values and rest:
                setattr(self, values[word], rest.pop(0))
            else:
                self.is_unreadable = True

    @property
    def does_something(self) -> bool:
        """True when at least one action was asked for."""
        return bool(self.list or self.restart or self.scan or self.responses or self.info or self.block)


def read_options(words: Sequence[str]) -> Options:
    """The options; an id straight behind `-R` or `-r` is taken as its `-u`, which people tend to leave out."""
    spread: list[str] = []
    for place, word in enumerate(words):
        if place and words[place - 1] in ("-R", "-r") and not word.startswith("-"):
            spread.append("-u")
        spread.append(word)
    return Options(spread)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 when it was done, 1 for help, refusals and failures."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    options = read_options(words)
    home = find_home(options.home or None)
    try:
        if refuse_on_worker(TOOL, home):
            return 1
        if options.is_unreadable or not options.does_something:
            print(HELP)
            return 1
        return _run(options, home)
    except NotRunning:
        complain(TOOL, "The node is not running. Start it first: bin/garrison-control start", home=home)
        return 1
    except Refused as error:
        complain(TOOL, error.message, home=home)
        return 1


def _run(options: Options, home: Path) -> int:
    if options.list:
        print(list_text(options, ask(home, "agents", {"nodes": [], "statuses": []})), end="")
        return 0
    if options.info:
        return _info(options, home)
    if options.responses:
        print(responses_text(ask(home, "responses")))
        return 0
    return _order(options, home)


def list_text(options: Options, agents: Sequence[Mapping[str, Any]]) -> str:
    """The list in its three forms: text, CSV (`-s`), JSON (`-j`)."""
    chosen = [agent for agent in agents if _is_wanted(options, agent)]
    if options.json:
        rows = [
            {"id": row["id"], "name": row["name"], "ip": row["ip"], "status": _word(row)} for row in chosen
        ]
        return json.dumps({"error": 0, "data": rows}, separators=(",", ":"))
    if options.csv:
        return "".join(f"{row['id']},{_shown(row)},{row['ip']},{_local(row)},\n" for row in chosen)
    lines = [f"   ID: {row['id']}, Name: {_shown(row)}, IP: {row['ip']}, {_local(row)}\n" for row in chosen]
    text = "\nWazuh agent_control. List of available agents:\n"
    if options.only_disconnected:
        text += "\n"
    text += "".join(lines)
    if not options.only_active and not options.only_disconnected:
        text += "\nList of agentless devices:\n"
    return text + "\n"


def _is_wanted(options: Options, agent: Mapping[str, Any]) -> bool:
    if options.only_active:
        return bool(agent["status"] == "active")
    if options.only_disconnected:
        return bool(agent["status"] == "disconnected")
    return True


def _word(agent: Mapping[str, Any]) -> str:
    return STATUS_WORDS.get(str(agent["status"]), "Unknown")


def _local(agent: Mapping[str, Any]) -> str:
    return "Active/Local" if agent["id"] == "000" else _word(agent)


def _shown(agent: Mapping[str, Any]) -> str:
    return f"{agent['name']} (server)" if agent["id"] == "000" else str(agent["name"])


def _info(options: Options, home: Path) -> int:
    try:
        agent = ask(home, "agent", {"id": options.info.zfill(3)})
    except Refused as error:
        if error.code != 1701:
            raise
        if options.json:
            print('{"error":40,"message":"Invalid agent id"}', end="")
            return 1
        print(f"\n** Invalid agent id '{options.info}'.")
        print(HELP)
        return 1
    print(info_text(options, agent), end="")
    return 0


def info_text(options: Options, agent: Mapping[str, Any]) -> str:
    """One agent in its three forms; what is not known reads `(null)` or `Unknown`."""
    seen = agent["last_keep_alive"]
    if options.json:
        fields = {
            "id": agent["id"],
            "name": agent["name"],
            "ip": agent["ip"],
            "status": _local(agent),
            "os": agent["os"],
            "version": agent["version"],
            "configSum": agent["config_sum"],
            "mergedSum": agent["merged_sum"],
            "lastKeepAlive": seen,
            "syscheckTime": None,
            "syscheckEndTime": None,
        }
        return json.dumps({"error": 0, "data": fields}, separators=(",", ":"))
    if options.csv:
        cells = [agent["id"], _shown(agent), agent["ip"], _local(agent), agent["os"], agent["version"], seen]
        return ",".join(_or_null(cell) for cell in cells) + ",Unknown,\n"
    suffix = " (local instance)" if agent["id"] == "000" else ""
    return (
        "\nWazuh agent_control. Agent information:\n"
        f"   Agent ID:   {agent['id']}{suffix}\n"
        f"   Agent Name: {agent['name']}\n"
        f"   IP address: {agent['ip']}\n"
        f"   Status:     {_local(agent)}\n\n"
        f"   Operating system:    {_or_null(agent['os'])}\n"
        f"   Client version:      {_or_null(agent['version'])}\n"
        f"   Configuration hash:  {_or_null(agent['config_sum'])}\n"
        f"   Shared file hash:    {_or_null(agent['merged_sum'])}\n"
        f"   Last keep alive:     {_or_null(seen)}\n\n"
        "   Syscheck last started at:  Unknown\n"
        "   Syscheck last ended at:    Unknown\n"
    )


def _or_null(value: object) -> str:
    return "(null)" if value in (None, "") else str(value)


def responses_text(responses: Sequence[Mapping[str, Any]]) -> str:
    """The answer to `-L`."""
    lines = ["", "Wazuh agent_control. Available active responses:", ""]
    lines += [f"   Response name: {row['name']}, command: {row['command']}" for row in responses]
    if not responses:
        lines.append("   No active response available.")
    return "\n".join(lines)


def _order(options: Options, home: Path) -> int:
    target = "all" if options.everybody else options.agent.zfill(3) if options.agent else ""
    if options.block:
        return _respond(options, home, target)
    if not target:
        if options.restart:
            return _fail(options, 45, "** Agent not specified.")
        return _fail(options, 0, "** Invalid argument combination.", with_help=True)
    command, doing, number = (
        ("restart_agent", f"Restarting agent: {'(all)' if target == 'all' else target}", 46)
        if options.restart
        else ("scan_agent", _scan_words(target), 44)
    )
    outcome = ask(home, command, {"id": target}, timeout_s=60.0)
    if target != "all" and outcome["missed"]:
        what = "restart agent" if options.restart else "restart syscheck on agent"
        return _fail(options, number, f"** Unable to {what}: {target}")
    return _succeed(options, f"Wazuh agent_control: {doing}", outcome)


def _scan_words(target: str) -> str:
    if target == "all":
        return "Restarting Syscheck/Rootcheck on all agents."
    if target == "000":
        return "Restarting Syscheck/Rootcheck locally."
    return f"Restarting Syscheck/Rootcheck on agent: {target}"


def _respond(options: Options, home: Path, target: str) -> int:
    if not target or not options.response:
        return _fail(options, 0, "** Invalid argument combination.", with_help=True)
    try:
        wanted = {"id": target, "ip": options.block, "response": options.response}
        outcome = ask(home, "respond", wanted, timeout_s=60.0)
    except Refused as error:
        return _fail(options, 47, f"** {error.message}")
    if target != "all" and outcome["missed"]:
        return _fail(options, 47, f"** Unable to run active response on agent: {target}")
    where = "(all)" if target == "all" else target
    return _succeed(
        options, f"Wazuh agent_control: Running active response '{options.response}' on: {where}", outcome
    )


def _succeed(options: Options, text: str, outcome: Mapping[str, Any]) -> int:
    if options.json:
        print(json.dumps({"error": 0, "data": text.split(": ", 1)[1]}, separators=(",", ":")), end="")
    else:
        print(f"\n{text}")
    if outcome["missed"]:
        print(f"Not reached: {', '.join(outcome['missed'])}", file=sys.stderr)
    return 0


def _fail(options: Options, number: int, text: str, *, with_help: bool = False) -> int:
    if options.json:
        print(
            json.dumps({"error": number, "message": text.removeprefix("** ")}, separators=(",", ":")), end=""
        )
    else:
        print(f"\n{text}")
        if with_help:
            print(HELP)
    return 1


if __name__ == "__main__":
    sys.exit(main())
