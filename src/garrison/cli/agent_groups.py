"""`agent_groups`: groups, their files and who belongs to them. Works on any node.

Source: spec/cluster.md 7.2. Texts are those that operators know; unlike the original, a failure ends with status 1,
and `-r -i ID` without a group removes the agent from all of its groups.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from garrison.cli.control_client import NotRunning, ask, find_home
from garrison.ground.errors import Refused

USAGE = """
Usage: {name} [-q] ACTION
    -l, --list                        all groups, with the number of their agents
    -l -g GROUP                       the agents of a group
    -c, --list-files -g GROUP         the files that a group's agents get, with their MD5
    -s, --show-group -i ID            the groups of an agent
    -S, --show-sync -i ID             whether an agent has its groups' files
    -a, --add -g GROUP                makes a group
    -a -i ID -g GROUP [-f, --force]   adds an agent to a group; -f: to this one only
    -r, --remove -g GROUP             removes a group
    -r -i ID [-g GROUP]               takes an agent out of a group, or of all its groups
    -i, --agent-id ID   -g, --group-id GROUP   -q, --quiet: do not ask   -d, --debug   --home FOLDER
"""


class BadOptions(Exception):
    """The options do not belong together; the text is the reason that is printed."""


def make_parser() -> argparse.ArgumentParser:
    """The options of the tool."""
    parser = argparse.ArgumentParser(prog="agent_groups.py", add_help=False)
    parser.add_argument("-l", "--list", action="store_true")
    parser.add_argument("-c", "--list-files", action="store_true")
    parser.add_argument("-a", "--add", action="store_true")
    parser.add_argument("-f", "--force", action="store_true")
    parser.add_argument("-s", "--show-group", action="store_true")
    parser.add_argument("-S", "--show-sync", action="store_true")
    parser.add_argument("-r", "--remove", action="store_true")
    parser.add_argument("-i", "--agent-id")
    parser.add_argument("-g", "--group-id", "--group")
    parser.add_argument("-q", "--quiet", action="store_true")
    parser.add_argument("-d", "--debug", action="store_true")
    parser.add_argument("-u", "-h", "--usage", "--help", action="store_true", dest="usage")
    parser.add_argument("--home")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 when it was done, 1 for every error."""
    options = make_parser().parse_args(arguments)
    home = find_home(options.home)
    try:
        print(_run(options, home))
    except BadOptions as reason:
        print(f"Invalid options: {reason}\nTry '--help' for more information.\n")
        return 1
    except Refused as error:
        print(f"Error {error.code} - {error.message}" if error.code else f"Internal error: {error.message}")
        return 1
    except NotRunning:
        print("Internal error: Error 3012 - Cluster is not running")
        return 1
    except KeyboardInterrupt:
        print()
        return 1
    return 0


def _run(options: argparse.Namespace, home: Path) -> str:
    group: str | None = options.group_id
    agent: str | None = options.agent_id.zfill(3) if options.agent_id else None
    if options.usage:
        return USAGE.format(name="agent_groups.py")
    if options.add:
        return _add(options, home, agent, group)
    if options.remove:
        return _remove(options, home, agent, group)
    if options.list_files:
        if group is None:
            raise BadOptions("Missing group.")
        return _files(home, group)
    if options.show_group or options.show_sync:
        if agent is None:
            raise BadOptions("Missing agent ID.")
        return _show_group(home, agent) if options.show_group else _show_sync(home, agent)
    if agent is not None:
        raise BadOptions("Bad argument combination.")
    return _agents(home, group) if group is not None else _groups(home)


def _groups(home: Path) -> str:
    groups = ask(home, "groups")
    lines = [f"Groups ({len(groups)}):", *(f"  {group['name']} ({group['count']})" for group in groups)]
    unassigned = sum(not row["groups"] for row in ask(home, "group_members"))
    return "\n".join([*lines, f"Unassigned agents: {unassigned}."])


def _agents(home: Path, group: str) -> str:
    agents = ask(home, "group_agents", {"group": group})
    if not agents:
        return f"No agents found in group '{group}'."
    rows = [f"  ID: {agent['id']}  Name: {agent['name']}." for agent in agents]
    return "\n".join([f"{len(agents)} agent(s) in group '{group}':", *rows])


def _files(home: Path, group: str) -> str:
    files = ask(home, "group_files", {"group": group})
    width = max((len(file["name"]) for file in files), default=0) + 2
    rows = [f"  {file['name'].ljust(width)}[{file['md5']}]" for file in files]
    return "\n".join([f"{len(files)} files for '{group}' group:", *rows])


def _show_group(home: Path, agent: str) -> str:
    found = ask(home, "agent_groups", {"id": agent})
    groups = ", ".join(found["groups"]) or "Null"
    return f"The agent '{found['name']}' with ID '{agent}' belongs to groups: {groups}."


def _show_sync(home: Path, agent: str) -> str:
    synced = ask(home, "group_synced", {"id": agent})["synced"]
    return f"Agent '{agent}' is {'' if synced else 'not '}synchronized. "


def _add(options: argparse.Namespace, home: Path, agent: str | None, group: str | None) -> str:
    if group is None:
        raise BadOptions("Missing agent ID or group.")
    if agent is None:
        if not _confirmed(options, f"Do you want to create the group '{group}'?"):
            return "Cancelled."
        ask(home, "add_group", {"group": group})
        return f"Group '{group}' created."
    if not _confirmed(options, f"Do you want to add the group '{group}' to the agent '{agent}'?"):
        return "Cancelled."
    ask(home, "assign_group", {"id": agent, "group": group, "replace": bool(options.force)})
    return f"Group '{group}' added to agent '{agent}'."


def _remove(options: argparse.Namespace, home: Path, agent: str | None, group: str | None) -> str:
    if agent is None and group is None:
        raise BadOptions("Missing agent ID or group.")
    if agent is None:
        if not _confirmed(options, f"Do you want to remove the '{group}' group?"):
            return "Cancelled."
        ask(home, "remove_group", {"group": group})
        return f"Group {group} removed."
    question = (
        f"Do you want to delete the group '{group}' of agent '{agent}'?"
        if group
        else f"Do you want to delete all groups of agent '{agent}'?"
    )
    if not _confirmed(options, question):
        return "Cancelled."
    left = ask(home, "unassign_group", {"id": agent, "group": group})["removed"]
    return "\n".join(f"Agent '{agent}' removed from {name}." for name in left)


def _confirmed(options: argparse.Namespace, question: str) -> bool:
    return bool(options.quiet) or input(f"{question} [y/N]: ") in ("y", "Y")


if __name__ == "__main__":
    sys.exit(main())
