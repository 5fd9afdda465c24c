"""`garrison-control` (also `wazuh-control`): starts and stops the node or agent of a home folder in the background.

Source: spec/cluster.md 7.5. One process does what the original's daemons do, so the lines name its parts by the
daemons that operators know. The status is 0 when everything that is configured runs.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from garrison.cli.control_client import NotRunning, ask, find_home
from garrison.config.load import load_agent, load_kind, load_manager
from garrison.ground import version
from garrison.ground.errors import ConfigError, Refused

NODE_PARTS = (
    "wazuh-clusterd",
    "wazuh-monitord",
    "wazuh-remoted",
    "wazuh-analysisd",
    "wazuh-db",
    "wazuh-authd",
)
AGENT_PARTS = ("wazuh-logcollector", "wazuh-agentd", "wazuh-execd")

START_WITHIN_S = 60.0
STOP_WITHIN_S = 30.0
LOCK_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What this home folder runs: `node` or `agent`, and the parts that are configured."""

    home: Path
    kind: str
    parts: tuple[str, ...]

    @property
    def pid_file(self) -> Path:
        """Where the process id is kept while it runs."""
        return self.home / f"var/run/garrison-{self.kind}.pid"


class Locked(Exception):
    """Another control command works on this home folder."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 when done and, for `status`, when every configured part runs; 1 otherwise."""
    parser = argparse.ArgumentParser(prog="garrison-control", add_help=False)
    parser.add_argument("-j", "--json", action="store_true")
    parser.add_argument("--home")
    parser.add_argument("action", nargs="?")
    parser.add_argument("rest", nargs="*")
    options, unknown = parser.parse_known_args(arguments)
    home = find_home(options.home)
    actions: dict[str, Callable[[Service, bool], int]] = {
        "start": start,
        "stop": stop,
        "restart": restart,
        "reload": reload,
        "status": status,
    }
    if options.action == "info":
        return info(home, [*options.rest, *unknown], options.json)
    if options.action in ("enable", "disable"):
        print("This option is deprecated: every part is switched in etc/ossec.conf.")
        return 0
    if options.action not in actions or unknown:
        return _usage(home)
    try:
        service = find_service(home)
        with _lock(home):
            return actions[options.action](service, options.json)
    except ConfigError as error:
        return _configuration_error(error, options.json)
    except Locked:
        print("ERROR: Another instance is locking this process.")
        print(
            f"If you are sure that no other instance is running, please remove {home}/var/start-script-lock"
        )
        return 1


def _usage(home: Path) -> int:
    tool = home / "bin/garrison-control"
    print(f"\nUsage: {tool} [-j] {{start|stop|restart|reload|status|info [-v -r -t]}}\n")
    print("    -j    Use JSON output.\n")
    return 1


def find_service(home: Path) -> Service:
    """What `etc/ossec.conf` of `home` describes; `ConfigError` with all its faults when it is wrong."""
    if load_kind(home) == "agent":
        load_agent(home)
        return Service(home=home, kind="agent", parts=AGENT_PARTS)
    config = load_manager(home).config
    left_out = set()
    if config.cluster.disabled or not config.cluster.present:
        left_out.add("wazuh-clusterd")
    if config.auth.disabled:
        left_out.add("wazuh-authd")
    return Service(home=home, kind="node", parts=tuple(part for part in NODE_PARTS if part not in left_out))


def _configuration_error(error: ConfigError, as_json: bool) -> int:
    if as_json:
        message = "wazuh-clusterd: Configuration error."
        print(json.dumps({"error": 20, "message": message}, separators=(",", ":")))
    else:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        print("wazuh-clusterd: Configuration error. Exiting")
    return 1


# -- actions ------------------------------------------------------------------------------------------------------


def start(service: Service, as_json: bool) -> int:
    """Runs it in the background and waits until it serves."""
    say = _printer(as_json)
    say(f"Starting Garrison v{version.GARRISON}...")
    pid = running_pid(service)
    if pid is None:
        process = _spawn(service)
        if not _wait_ready(service, process):
            failed = service.parts[0]
            say(f"{failed} did not start correctly. See {service.home}/logs/ossec.log")
            _print_json(as_json, [{"daemon": failed, "status": "error"}])
            return 1
    for part in reversed(service.parts):
        say(f"Started {part}..." if pid is None else f"{part} already running...")
    say("Completed.")
    _print_json(as_json, [{"daemon": part, "status": "running"} for part in reversed(service.parts)])
    return 0


def stop(service: Service, as_json: bool) -> int:
    """Asks it to end, and ends it when it does not within 30 s."""
    say = _printer(as_json)
    pid = running_pid(service)
    word = "stopped"
    if pid is None:
        for part in service.parts:
            say(f"{part} not running...")
    else:
        for part in service.parts:
            say(f"Killing {part}...")
        if not _end(pid):
            word = "killed"
            say(f"Process {service.kind} couldn't be terminated. It will be killed.")
    service.pid_file.unlink(missing_ok=True)
    say(f"Garrison v{version.GARRISON} Stopped")
    _print_json(as_json, [{"daemon": part, "status": word} for part in service.parts])
    return 0


def restart(service: Service, as_json: bool) -> int:
    """Stops and starts it; the configuration has been tested before anything is stopped."""
    with contextlib.redirect_stdout(io.StringIO()) if as_json else contextlib.nullcontext():
        stop(service, as_json)
    return start(service, as_json)


def reload(service: Service, as_json: bool) -> int:
    """Takes over what changed in the configuration as far as that goes without a restart, and says what does not."""
    say = _printer(as_json)
    pid = running_pid(service)
    if pid is None:
        say(f"Garrison v{version.GARRISON} is not running")
        _print_json(as_json, [])
        return 1
    if service.kind == "agent":
        os.kill(pid, signal.SIGHUP)
        say("Reloaded: etc/ossec.conf")
        _print_json(as_json, [{"daemon": part, "status": "running"} for part in service.parts])
        return 0
    try:
        outcome = ask(service.home, "reload", timeout_s=60.0)
    except (Refused, NotRunning) as error:
        say(f"Reload failed: {error}")
        return 1
    for fault in outcome.get("faults", []):
        say(str(fault))
    if outcome.get("faults"):
        say("Not reloaded: the ruleset is broken, the one that was loaded before goes on judging")
    else:
        say(f"Reloaded: {', '.join(outcome['reloaded']) or 'nothing had changed'}")
    if outcome["needs_restart"]:
        say(f"Takes effect with the next restart: {', '.join(outcome['needs_restart'])}")
    _print_json(as_json, [{"daemon": part, "status": "running"} for part in service.parts])
    return 1 if outcome.get("faults") else 0


def status(service: Service, as_json: bool) -> int:
    """One line for each part; 0 only when all run."""
    runs = dict.fromkeys(service.parts, running_pid(service) is not None)
    if service.kind == "node" and any(runs.values()):
        with contextlib.suppress(NotRunning, Refused):
            runs |= {row["name"]: row["running"] for row in ask(service.home, "status")["parts"]}
    for part, is_running in runs.items():
        if not as_json:
            print(f"{part} is running..." if is_running else f"{part} not running...")
    words = [{"daemon": part, "status": "running" if up else "stopped"} for part, up in runs.items()]
    _print_json(as_json, words)
    return 0 if all(runs.values()) else 1


def info(home: Path, flags: Sequence[str], as_json: bool) -> int:
    """Version, revision and type, in the form that tools read."""
    kind = "agent" if (home / "bin/agent-auth").exists() else "server"
    values = {
        "WAZUH_VERSION": f"v{version.PROTOCOL}",
        "WAZUH_REVISION": f"garrison-{version.GARRISON}",
        "WAZUH_TYPE": kind,
    }
    letters = {"-v": "WAZUH_VERSION", "-r": "WAZUH_REVISION", "-t": "WAZUH_TYPE"}
    if flags and flags[0] not in letters:
        print(f"Invalid flag: {flags[0]}")
        return _usage(home)
    if as_json:
        _print_json(True, [{name: value} for name, value in values.items()])
    elif flags:
        print(values[letters[flags[0]]])
    else:
        for name, value in values.items():
            print(f'{name}="{value}"')
    return 0


# -- processes ----------------------------------------------------------------------------------------------------


def running_pid(service: Service) -> int | None:
    """The process id while it runs; None when there is none, or the id belongs to something else by now."""
    try:
        pid = int(service.pid_file.read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    ours = b"garrison.cli.main" in words and str(service.home).encode() in words
    return pid if ours and not _is_zombie(pid) else None


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _spawn(service: Service) -> subprocess.Popen[bytes]:
    service.pid_file.parent.mkdir(parents=True, exist_ok=True)
    logs = service.home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "garrison.cli.main", service.kind, "--home", str(service.home)]
    with (logs / "garrison.out").open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=service.home,
            env={**os.environ, "GARRISON_BACKGROUND": "1"},
        )
    service.pid_file.write_text(f"{process.pid}\n")
    return process


def _wait_ready(service: Service, process: subprocess.Popen[bytes]) -> bool:
    state = service.home / "var/run/wazuh-agentd.state"
    began = time.time()
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            service.pid_file.unlink(missing_ok=True)
            return False
        if service.kind == "agent":
            if state.exists() and state.stat().st_mtime >= began - 1:
                return True
        else:
            with contextlib.suppress(NotRunning, Refused):
                if ask(service.home, "status", timeout_s=5.0)["ready"]:
                    return True
        time.sleep(0.05)
    return False


def _end(pid: int) -> bool:
    """True when the process ended by itself after it was asked to."""
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_WITHIN_S
    while time.monotonic() < deadline:
        if _is_zombie(pid):
            return True
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return False


@contextlib.contextmanager
def _lock(home: Path) -> Iterator[None]:
    """One control command at a time; the lock goes with the process that holds it."""
    path = home / "var/start-script-lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        deadline = time.monotonic() + LOCK_WITHIN_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Locked from None
                time.sleep(0.1)
        yield


def _printer(as_json: bool) -> Callable[[str], None]:
    return (lambda text: None) if as_json else (lambda text: print(text, flush=True))


def _print_json(as_json: bool, data: object) -> None:
    if as_json:
        print(json.dumps({"error": 0, "data": data}, separators=(",", ":")), end="")


if __name__ == "__main__":
    sys.exit(main())
