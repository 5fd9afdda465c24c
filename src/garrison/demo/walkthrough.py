"""The story itself, step by step: what a newcomer would type, in the order in which they would type it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from garrison.analysis.compile import compile_program
from garrison.analysis.event import Arrival
from garrison.analysis.load import load_folder
from garrison.analysis.run import Analyzer
from garrison.demo.sample import ssh_lines
from garrison.demo.stage import Failed, Stage
from garrison.ruleset import FOLDER

MASTER, WORKER_1, WORKER_2, BALANCER = "127.0.1.200", "127.0.1.210", "127.0.1.220", "127.0.1.120"
AGENTS = ("127.0.1.100", "127.0.1.101", "127.0.1.102")
PASSWORD = "secret"

GARRISON = (str(Path(sys.executable).parent / "garrison"),)
STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")


@dataclass(slots=True)
class Walkthrough:
    """All steps on one stage. `log` is the file whose lines the first agent ships; None for a made one."""

    stage: Stage
    log: Path | None = None

    def home(self, name: str) -> Path:
        """The home folder of a node or an agent."""
        return self.stage.folder / name

    @property
    def nginx(self) -> str | None:
        """The nginx of this machine, where it has its stream module."""
        found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        return found if STREAM_MODULE.exists() else None

    def play(self) -> None:
        """The whole story."""
        self.lay_out()
        self.start_nodes()
        self.enroll()
        self.ship()
        self.share()
        self.lose_a_worker()
        self.balance()
        self.stage.end_step()

    # -- the steps ----------------------------------------------------------------------------------------------------

    def lay_out(self) -> None:
        """A key, and a home folder for each of three nodes."""
        stage = self.stage
        stage.step("One key, three home folders")
        openssl = shutil.which("openssl")
        key = stage.run(openssl, "rand", "-hex", "16").strip() if openssl else secrets.token_hex(16)
        for name, node, kind, address in (
            ("master", "master-node", "master", MASTER),
            ("worker-1", "worker-1", "worker", WORKER_1),
            ("worker-2", "worker-2", "worker", WORKER_2),
        ):
            stage.run(
                *GARRISON, "init", "manager", "--home", self.home(name), "--node-name", node, "--node-type", kind,
                "--bind", address, "--nodes", MASTER, "--key", key, "--password", PASSWORD, "--logall",
            )  # fmt: skip

    def start_nodes(self) -> None:
        """The nodes run; the cluster shows itself."""
        stage = self.stage
        stage.step("Three managers become one cluster")
        stage.run(self._control("master"), "start")
        stage.run_together([(self._control(name), "start") for name in ("worker-1", "worker-2")])
        stage.wait("three nodes in the list", lambda: len(self._nodes()) == 3)
        stage.run(self._bin("master", "cluster_control"), "-l")
        stage.run(self._bin("worker-1", "cluster_control"), "-i")

    def enroll(self) -> None:
        """Three agents: one by hand, two by themselves; a key made at the master works at the workers at once."""
        stage = self.stage
        stage.step("Agents enroll at the master and connect to the workers")
        for number, managers in enumerate(self._servers()):
            words = [word for manager in managers for word in ("--manager", manager)]
            stage.run(
                *GARRISON, "init", "agent", "--home", self.home(f"agent-{number}"), *words,
                "--name", f"agent-10{number}", "--log", self._source(number), "--local-ip", AGENTS[number],
                "--enroll-manager", MASTER, "--password", PASSWORD,
                "--max-retries", "1", "--retry-interval", "1", "--notify-time", "2",
                show=number == 0,
            )  # fmt: skip
        stage.run(self._bin("agent-0", "agent-auth"), "-m", MASTER, "-P", PASSWORD, "-A", "agent-100")
        stage.run(self._control("agent-0"), "start")
        stage.run_together([(self._control(name), "start") for name in ("agent-1", *self._balanced())])
        expected = 2 + len(self._balanced())
        stage.wait("all agents are active", lambda: self._active() == expected, 40)
        stage.run(self._bin("master", "cluster_control"), "-a")
        stage.run(self._bin("master", "agent_control"), "-l")
        stage.say("(the same tool on a worker says where to go, and ends with status 1)")
        stage.run(self._bin("worker-1", "agent_control"), "-l", expect=1)

    def ship(self) -> None:
        """Log lines become alerts: every line once, in order, and the alerts that the rules promise."""
        stage = self.stage
        stage.step("Log lines become alerts")
        lines = self._log_lines()
        stage.say(f"{len(lines)} lines of an SSH server under attack are appended to {self._source(0).name}")
        with self._source(0).open("ab") as file:
            file.writelines(line + b"\n" for line in lines)
        took = stage.wait(
            "every line is in the archives", lambda: len(self._archived("agent-100")) >= len(lines), 60
        )
        stage.say(f"all of them arrived {took:.1f} s later")
        received = [line.encode("utf-8", "surrogateescape") for line in self._archived("agent-100")]
        if received != [line.decode("utf-8", "replace").encode() for line in lines]:
            raise Failed("the archives do not hold every line once and in order")
        alerts = [
            alert for alert in self._alerts("worker-1") if alert["location"].endswith(self._source(0).name)
        ]
        expected = expected_rules(lines)
        found = [int(alert["rule"]["id"]) for alert in alerts]
        stage.say(f"{len(alerts)} alerts of {len(set(found))} rules; the rules promise {len(expected)}")
        if found != expected:
            raise Failed("the alerts are not those that the rules promise")
        worst = max(alerts, key=lambda alert: alert["rule"]["level"])
        stage.say("one of the highest:")
        stage.say(json.dumps(worst, indent=2)[:1200])

    def share(self) -> None:
        """A group made on the master; its files reach the agent through its worker."""
        stage = self.stage
        stage.step("A group's files reach its agents through any node")
        stage.run(self._bin("master", "agent_groups"), "-a", "-g", "web", "-q")
        agent_conf = self.home("master") / "etc/shared/web/agent.conf"
        agent_conf.write_text(
            '<agent_config>\n  <labels>\n    <label key="tier">web</label>\n  </labels>\n</agent_config>\n'
        )
        stage.run(self._bin("master", "agent_groups"), "-a", "-i", "001", "-g", "web", "-q")
        received = self.home("agent-0") / "etc/shared/agent.conf"
        took = stage.wait(
            "the agent has the group's file",
            lambda: received.exists() and b"tier" in received.read_bytes(),
            40,
        )
        stage.say(f"the agent had it {took:.1f} s later")
        stage.run(self._bin("worker-2", "agent_groups"), "-s", "-i", "001")
        stage.run(self._bin("worker-2", "agent_groups"), "-l")

    def lose_a_worker(self) -> None:
        """A worker dies; its agent moves to the other one by itself and loses nothing."""
        stage = self.stage
        stage.step("A worker dies, its agent moves on")
        pid = int((self.home("worker-1") / "var/run/garrison-node.pid").read_text())
        stage.say(f"$ kill -9 {pid}        # worker-1")
        os.kill(pid, signal.SIGKILL)
        before = len(self._archived("agent-100"))
        lines = [
            f"Dec 10 12:00:{number:02d} gate sshd[9]: Invalid user moved{number} from 203.0.113.9"
            for number in range(20)
        ]
        with self._source(0).open("a") as file:
            file.writelines(line + "\n" for line in lines)
        took = stage.wait(
            "agent-100 is active on worker-2", lambda: self._node_of("agent-100") == "worker-2", 40
        )
        stage.say(f"agent-100 was active on worker-2 {took:.1f} s after its node died")
        stage.run(self._bin("master", "cluster_control"), "-a")
        stage.wait(
            "the lines written meanwhile", lambda: len(self._archived("agent-100")) >= before + len(lines), 30
        )
        if self._archived("agent-100")[before:] != lines:
            raise Failed("lines written while the worker was down were lost or doubled")
        stage.say(f"the {len(lines)} lines that were written meanwhile arrived, each once")
        stage.run(self._control("worker-1"), "start")
        stage.wait("worker-1 is back", lambda: len(self._nodes()) == 3)

    def balance(self) -> None:
        """nginx in front: an agent that knows only the balancer's address outlives the node it was on."""
        stage = self.stage
        stage.step("A load balancer in front")
        if self.nginx is None:
            stage.say(
                "nginx is not installed (make deps, as root): this part is left out; agents used their own lists."
            )
            return
        folder = self.home("balancer")
        folder.mkdir(exist_ok=True)
        stage.say(self._nginx_conf_command())
        config = stage.run(
            *GARRISON, "balancer-config", "nginx", "--home", self.home("master"), "--bind", BALANCER,
            "--folder", folder, show=False,
        )  # fmt: skip
        (folder / "nginx.conf").write_text(config)
        stage.say("\n".join(line for line in config.split("\n") if "server 127" in line or "listen" in line))
        stage.run(self.nginx, "-e", folder / "start.log", "-c", folder / "nginx.conf")
        stage.run(self._bin("agent-2", "agent-auth"), "-m", BALANCER, "-P", PASSWORD, "-A", "agent-102")
        stage.run(self._control("agent-2"), "start")
        stage.wait("agent-102 is active", lambda: self._node_of("agent-102") != "unknown", 40)
        node = self._node_of("agent-102")
        stage.say(f"agent-102 came through the balancer to {node}; now that node stops")
        stage.run(self._control(node), "stop")
        took = stage.wait(
            "agent-102 is active elsewhere", lambda: self._node_of("agent-102") not in (node, "unknown"), 40
        )
        stage.say(f"agent-102 was active on {self._node_of('agent-102')} {took:.1f} s later")
        stage.run(self._bin("master", "cluster_control"), "-a")
        stage.run(self._control(node), "start")

    def _nginx_conf_command(self) -> str:
        return f"$ garrison balancer-config nginx --bind {BALANCER} > nginx.conf && nginx -c nginx.conf"

    # -- what is looked at --------------------------------------------------------------------------------------------

    def _servers(self) -> Iterator[tuple[str, ...]]:
        yield (WORKER_1, WORKER_2)
        yield (WORKER_2, WORKER_1)
        yield (BALANCER,) if self.nginx else (WORKER_1, WORKER_2)

    def _balanced(self) -> tuple[str, ...]:
        """The third agent starts with the others unless it waits for the balancer."""
        return () if self.nginx else ("agent-2",)

    def _bin(self, home: str, tool: str) -> Path:
        return self.home(home) / "bin" / tool

    def _control(self, home: str) -> Path:
        return self._bin(home, "garrison-control")

    def _source(self, number: int) -> Path:
        path = self.stage.folder / f"ssh-{number}.log"
        path.touch()
        return path

    def _rows(self, *words: str) -> list[list[str]]:
        output = self.stage.run(self._bin("master", "cluster_control"), *words, show=False, expect=None)
        return [line.split() for line in output.splitlines()[1:]]

    def _nodes(self) -> list[list[str]]:
        return self._rows("-l")

    def _active(self) -> int:
        return sum(row[3] == "active" and row[0] != "000" for row in self._rows("-a"))

    def _node_of(self, agent: str) -> str:
        """The node on which the agent is active; `unknown` while it is on none."""
        row = next((row for row in self._rows("-a") if row[1] == agent and row[3] == "active"), None)
        return row[-1] if row else "unknown"

    def _json_lines(self, node: str, path: str) -> list[dict[str, Any]]:
        file = self.home(node) / path
        if not file.exists():
            return []
        whole = file.read_bytes().rpartition(b"\n")[0]
        return [json.loads(line.decode("utf-8", "surrogateescape")) for line in whole.split(b"\n") if line]

    def _archived(self, agent: str) -> list[str]:
        """The lines of the agent's log in the archives: what worker-1 got, then what the others got after it."""
        return [
            row["full_log"]
            for node in ("worker-1", "worker-2", "master")
            for row in self._json_lines(node, "logs/archives/archives.json")
            if row["agent"].get("name") == agent and row["location"].endswith(".log")
        ]

    def _alerts(self, node: str) -> list[dict[str, Any]]:
        return self._json_lines(node, "logs/alerts/alerts.json")

    def _log_lines(self) -> list[bytes]:
        if self.log is not None:
            return [line for line in self.log.read_bytes().split(b"\n") if line]
        return [line.encode() for line in ssh_lines()]

    # -- the end ------------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """Stops everything that runs below the stage's folder."""
        pid_file = self.home("balancer") / "nginx.pid"
        if pid_file.exists():
            with_id = pid_file.read_text().strip()
            if with_id.isdigit():
                try:
                    os.kill(int(with_id), signal.SIGQUIT)
                except ProcessLookupError:
                    pass
        for name in ("agent-0", "agent-1", "agent-2", "worker-1", "worker-2", "master"):
            if self._control(name).exists():
                self.stage.run(self._control(name), "stop", show=False, expect=None)


def expected_rules(lines: list[bytes]) -> list[int]:
    """The rules that alert on these lines, in order, by the starter ruleset alone."""
    analyzer = Analyzer(compile_program(load_folder(FOLDER)), host_name=b"demo")
    found = []
    for line in lines:
        location = b"[001] (agent-100) any->/demo/ssh.log"
        verdict = analyzer.judge(Arrival(queue="1", location=location, message=line, at=1e9))
        if verdict is not None and verdict.is_alert and verdict.rule is not None:
            found.append(verdict.rule.id)
    return found
