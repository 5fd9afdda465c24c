"""`manage_agents`: adds, extracts, lists and removes agents by hand, with flags or from a menu.

Source: spec/cluster.md 7.4. On a worker it is refused, with the master's address and a status other than 0.
"""

from __future__ import annotations

import base64
import getopt
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from garrison.cli.control_client import NotRunning, ask, find_home
from garrison.cli.tool import complain, refuse_on_worker
from garrison.ground import version
from garrison.ground.errors import Refused

TOOL = "manage_agents"

BANNER = f"""

****************************************
* {f"Wazuh v{version.PROTOCOL} Agent manager.":<37}*
* The following options are available: *
****************************************
   (A)dd an agent (A).
   (E)xtract key for an agent (E).
   (L)ist already added agents (L).
   (R)emove an agent (R).
   (Q)uit.
Choose your action: A,E,L,R or Q: """

HELP = f"""
{TOOL} of Garrison {version.GARRISON}. Without an action it shows a menu.
    -a IP -n NAME   adds an agent; IP is "any" where the address is not fixed
    -e ID           prints the agent's key for import on its host
    -l              lists the agents
    -r ID           removes an agent
    -f FILE         adds all agents of a file with lines IP,NAME
    -R SECONDS      replaces a namesake that was registered at least so long ago
    -D SECONDS      replaces a namesake that has been disconnected at least so long
    -j              answers as JSON
    -i KEY          imports a key (on an agent only)
    -L              no effect: there is no agent limit
    -V  -h          version, this text
"""

_JSON_NUMBERS = {9007: 79, 9008: 75, 9012: 75, 9010: 78, 9011: 78}


@dataclass(kw_only=True)
class Options:
    """What the flags ask for; an empty text where a flag was not given."""

    ip: str = ""
    name: str = ""
    extract: str = ""
    remove: str = ""
    bulk: str = ""
    list: bool = False
    json: bool = False
    registered_s: int | None = None
    disconnected_s: int | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 when it was done, 1 for every error."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        flags, rest = getopt.getopt(words, "VhlLja:n:e:r:i:f:R:D:", ["home="])
    except getopt.GetoptError as error:
        print(f"{TOOL}: {error.msg}\n{HELP}", file=sys.stderr)
        return 1
    given = dict(flags)
    if rest or "-h" in given:
        print(HELP)
        return 1
    if "-V" in given:
        print(f"Garrison {version.GARRISON} (protocol {version.PROTOCOL})")
        return 0
    home = find_home(given.get("--home"))
    if "-i" in given:
        complain(TOOL, "Key import only available on an agent.", home=home, level="CRITICAL")
        return 1
    if "-L" in given:
        complain(TOOL, "This option no longer applies. The agent limit has been removed.", level="WARNING")
    try:
        return _run(_read_options(given), home)
    except ValueError as error:
        complain(TOOL, f"Invalid number for {error}", home=home, level="CRITICAL")
    except NotRunning:
        complain(TOOL, "The node is not running. Start it first: bin/garrison-control start", home=home)
    except (KeyboardInterrupt, EOFError):
        print()
    return 1


def _read_options(given: dict[str, str]) -> Options:
    seconds: dict[str, int | None] = {}
    for flag in ("-R", "-D"):
        if flag in given and not given[flag].isdigit():
            raise ValueError(flag)
        seconds[flag] = int(given[flag]) if flag in given else None
    return Options(
        ip=given.get("-a", ""),
        name=given.get("-n", ""),
        extract=given.get("-e", ""),
        remove=given.get("-r", ""),
        bulk=given.get("-f", ""),
        list="-l" in given,
        json="-j" in given,
        registered_s=seconds["-R"],
        disconnected_s=seconds["-D"],
    )


def _run(options: Options, home: Path) -> int:
    if refuse_on_worker(TOOL, home):
        return 1
    if options.bulk:
        return _bulk(options, home)
    if options.list:
        print(_list_text(home))
        return 0
    if options.extract:
        return _extract(options, home)
    if options.remove:
        return _remove(options, home)
    if options.ip:
        return _add(options, home)
    return _menu(options, home)


def _list_text(home: Path) -> str:
    agents = [agent for agent in ask(home, "agents", {"nodes": [], "statuses": []}) if agent["id"] != "000"]
    if not agents:
        return "\n** No agent available. You need to add one first.\n"
    rows = [f"   ID: {agent['id']}, Name: {agent['name']}, IP: {agent['ip']}\n" for agent in agents]
    return "\nAvailable agents: \n" + "".join(rows)


def _extract(options: Options, home: Path) -> int:
    try:
        line = ask(home, "agent_line", {"id": options.extract.zfill(3)})["line"]
    except Refused:
        text = f"Invalid ID '{options.extract}' given. ID is not present."
        print(_json_error(70, text) if options.json else f"** {text}")
        return 1
    key = base64.b64encode(line.encode()).decode()
    if options.json:
        print(json.dumps({"error": 0, "data": key}, separators=(",", ":")), end="")
    else:
        print(f"\nAgent key information for '{options.extract}' is: \n{key}\n")
    return 0


def _add(options: Options, home: Path) -> int:
    if not options.json:
        print(BANNER, end="")
        print(
            "\n- Adding a new agent (use '\\q' to return to the main menu).\n  Please provide the following:"
        )
    name = options.name or input("   * A name for the new agent: ")
    force: dict[str, Any] = {}
    if options.registered_s is not None:
        force["after_registration_time_s"] = options.registered_s
    if options.disconnected_s is not None:
        force["disconnected_time_s"] = options.disconnected_s
    try:
        added = ask(home, "add_agent", {"name": name, "ip": options.ip, "force": force or None})
    except Refused as error:
        print(
            _json_error(_JSON_NUMBERS.get(error.code, 76), error.message)
            if options.json
            else f"** {error.message}"
        )
        return 1
    if options.json:
        print(
            json.dumps(
                {"error": 0, "data": {"id": added["id"], "message": "Agent added"}}, separators=(",", ":")
            )
        )
        return 0
    print(
        "   * A name for the new agent:    * The IP Address of the new agent: Confirm adding it?(y/n): "
        f"Agent added with ID {added['id']}."
    )
    print("\nmanage_agents: Exiting.")
    return 0


def _remove(options: Options, home: Path) -> int:
    identity = options.remove.zfill(3)
    if not options.json:
        print(BANNER, end="")
        print(_list_text(home))
        print(f"Provide the ID of the agent to be removed (or '\\q' to quit): {options.remove}")
    try:
        ask(home, "remove_agent", {"id": identity})
    except Refused:
        text = f"Invalid ID '{options.remove}' given. ID is not present"
        print(_json_error(78, text) if options.json else f"** {text}.")
        return 1
    if options.json:
        print('{"error":0,"data":"Agent removed"}', end="")
    else:
        print(f"Confirm deleting it?(y/n): y\nAgent '{identity}' removed.\n\nmanage_agents: Exiting.")
    return 0


def _bulk(options: Options, home: Path) -> int:
    print(f"Bulk load file: {options.bulk}\nOpening: [{options.bulk}]")
    try:
        lines = Path(options.bulk).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        print(f"** Could not open file {options.bulk}: {error}")
        return 1
    status = 0
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        ip, comma, name = line.partition(",")
        if not comma or not ip.strip() or not name.strip():
            print(f"** Syntax error at file {options.bulk}, line {number}: expected IP,NAME")
            return 1
        try:
            added = ask(home, "add_agent", {"name": name.strip(), "ip": ip.strip(), "force": None})
            print(f"Agent added with ID {added['id']}.")
        except Refused as error:
            print(f"** Line {number}: {error.message}")
            status = 1
    return status


def _menu(options: Options, home: Path) -> int:
    while True:
        choice = input(BANNER).strip().upper()
        if choice == "Q":
            print("\nmanage_agents: Exiting.")
            return 0
        if choice == "L":
            print(_list_text(home))
        elif choice == "E":
            _extract(
                Options(extract=input("Provide the ID of the agent to extract the key (or '\\q' to quit): ")),
                home,
            )
        elif choice == "R":
            chosen = input("Provide the ID of the agent to be removed (or '\\q' to quit): ")
            if chosen != "\\q" and input("Confirm deleting it?(y/n): ").lower() == "y":
                _remove(Options(remove=chosen), home)
        elif choice == "A":
            _add_asked(home)
        else:
            print("** Invalid Action ** ")


def _add_asked(home: Path) -> None:
    name = input("   * A name for the new agent: ")
    ip = input("   * The IP Address of the new agent: ")
    if "\\q" in (name, ip) or input("Confirm adding it?(y/n): ").lower() != "y":
        print("Not Adding.")
        return
    try:
        print(f"Agent added with ID {ask(home, 'add_agent', {'name': name, 'ip': ip, 'force': None})['id']}.")
    except Refused as error:
        print(f"** {error.message}")


def _json_error(number: int, text: str) -> str:
    return json.dumps({"error": number, "message": text}, separators=(",", ":"))


if __name__ == "__main__":
    sys.exit(main())
