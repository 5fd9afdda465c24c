"""The home folder: every path that operators and tools know, in one place. Pure: names only, nothing is opened.

Source: spec/agent-channel.md 1, spec/cluster.md 1.6, 7, 8, spec/analysis.md 15.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """One installation, of a node or of an agent."""

    root: Path

    # -- configuration
    @property
    def conf(self) -> Path:
        return self.root / "etc/ossec.conf"

    @property
    def internal_options(self) -> Path:
        return self.root / "etc/internal_options.conf"

    @property
    def local_internal_options(self) -> Path:
        return self.root / "etc/local_internal_options.conf"

    @property
    def client_keys(self) -> Path:
        return self.root / "etc/client.keys"

    @property
    def authd_pass(self) -> Path:
        return self.root / "etc/authd.pass"

    @property
    def sslmanager_cert(self) -> Path:
        return self.root / "etc/sslmanager.cert"

    @property
    def sslmanager_key(self) -> Path:
        return self.root / "etc/sslmanager.key"

    @property
    def shared(self) -> Path:
        return self.root / "etc/shared"

    @property
    def agent_conf(self) -> Path:
        return self.root / "etc/shared/agent.conf"

    @property
    def merged(self) -> Path:
        return self.root / "etc/shared/merged.mg"

    @property
    def ar_conf(self) -> Path:
        return self.root / "etc/shared/ar.conf"

    @property
    def rules(self) -> Path:
        return self.root / "etc/rules"

    @property
    def decoders(self) -> Path:
        return self.root / "etc/decoders"

    @property
    def lists(self) -> Path:
        return self.root / "etc/lists"

    @property
    def ruleset(self) -> Path:
        return self.root / "ruleset"

    @property
    def bin(self) -> Path:
        return self.root / "bin"

    @property
    def active_response(self) -> Path:
        return self.root / "active-response/bin"

    # -- what it writes
    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def ossec_log(self) -> Path:
        return self.root / "logs/ossec.log"

    @property
    def cluster_log(self) -> Path:
        return self.root / "logs/cluster.log"

    @property
    def engine_log(self) -> Path:
        return self.root / "logs/engine.log"

    @property
    def alerts(self) -> Path:
        return self.root / "logs/alerts"

    @property
    def alerts_json(self) -> Path:
        return self.root / "logs/alerts/alerts.json"

    @property
    def alerts_log(self) -> Path:
        return self.root / "logs/alerts/alerts.log"

    @property
    def archives(self) -> Path:
        return self.root / "logs/archives"

    @property
    def archives_json(self) -> Path:
        return self.root / "logs/archives/archives.json"

    @property
    def archives_log(self) -> Path:
        return self.root / "logs/archives/archives.log"

    @property
    def firewall(self) -> Path:
        return self.root / "logs/firewall"

    # -- state
    @property
    def run(self) -> Path:
        return self.root / "var/run"

    @property
    def agent_state(self) -> Path:
        return self.root / "var/run/wazuh-agentd.state"

    @property
    def multigroups(self) -> Path:
        return self.root / "var/multigroups"

    @property
    def queue(self) -> Path:
        return self.root / "queue"

    @property
    def sockets(self) -> Path:
        return self.root / "queue/sockets"

    @property
    def logtest_socket(self) -> Path:
        return self.root / "queue/sockets/logtest"

    @property
    def control_socket(self) -> Path:
        return self.root / "queue/sockets/control"

    @property
    def engine(self) -> Path:
        return self.root / "queue/engine"

    @property
    def rids(self) -> Path:
        return self.root / "queue/rids"

    @property
    def sender_counter(self) -> Path:
        return self.root / "queue/rids/sender_counter"

    @property
    def agents_timestamp(self) -> Path:
        return self.root / "queue/agents-timestamp"

    @property
    def registry_view(self) -> Path:
        return self.root / "queue/registry.json"

    @property
    def positions(self) -> Path:
        return self.root / "queue/logcollector/positions.json"


NODE_FOLDERS = [
    "bin",
    "etc/shared/default",
    "etc/rules",
    "etc/decoders",
    "etc/lists",
    "ruleset/rules",
    "ruleset/decoders",
    "logs/alerts",
    "logs/archives",
    "logs/firewall",
    "logs/cluster",
    "queue/engine",
    "queue/rids",
    "queue/sockets",
    "queue/cluster",
    "var/run",
    "var/multigroups",
]
"""Folders that a node's home has from the start."""

AGENT_FOLDERS = (
    "bin etc/shared active-response/bin logs queue/rids queue/sockets queue/logcollector var/run".split()
)
"""Folders that an agent's home has from the start."""
