"""The texts of `ossec.conf` and the internal options become one value. Pure; every fault is told at once.

An unknown option of a section of ours is an error. A whole section that stock files hold and this product does not use is
one warning with file and line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from garrison.config import agent_sections, manager_sections
from garrison.config.cluster_section import read_cluster
from garrison.config.internal import override
from garrison.config.model import AgentConfig, ClientBufferConfig, InternalOptions, ManagerConfig
from garrison.config.reading import Faults, Section
from garrison.config.xml import Element, decode_xml
from garrison.ground.errors import ConfigError, Fault

ROOT = "ossec_config"

_UNUSED_SECTIONS = [
    "rootcheck",
    "syscheck",
    "wodle",
    "sca",
    "vulnerability-detection",
    "vulnerability-detector",
    "indexer",
    "command",
    "active-response",
    "localfile",
    "logging",
    "reports",
    "database_output",
    "syslog_output",
    "integration",
    "agentless",
    "gcp-pubsub",
    "gcp-bucket",
    "rule_test",
    "osquery",
    "cluster_config",
    "fluent-forward",
    "socket",
    "task-manager",
    "agent-upgrade",
    "anti_tampering",
    "client",
    "client_buffer",
    "remote",
    "auth",
    "ruleset",
    "alerts",
    "global",
    "cluster",
    "labels",
    "api",
    "email_alerts",
    "agent-key-polling",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed(Generic[T]):
    """A configuration, and what was tolerated in its texts."""

    config: T
    warnings: tuple[Fault, ...]


def parse_manager(
    text: str, path: str = "etc/ossec.conf", internal: Mapping[str, str] | None = None
) -> Parsed[ManagerConfig]:
    """A node's configuration. `internal`: path -> text of the internal options, later ones win."""
    faults = Faults(path)
    sections = _sections(text, faults)
    remotes = tuple(manager_sections.read_remote(section) for section in sections.take("remote"))
    if sum(remote.connection == "secure" for remote in remotes) > 1:
        faults.add(0, "several <remote> blocks are secure", "one, and any number for syslog")
    config = ManagerConfig(
        global_=manager_sections.read_global(sections.take("global")),
        alerts=manager_sections.read_alerts(sections.take("alerts")),
        cluster=read_cluster(sections.take("cluster"), faults),
        auth=manager_sections.read_auth(sections.take("auth"), faults),
        remotes=remotes,
        ruleset=manager_sections.read_ruleset(sections.take("ruleset")),
        labels=manager_sections.read_labels(sections.take("labels")),
        internal=_internal(internal, faults),
    )
    sections.finish()
    return _parsed(config, faults)


def parse_agent(
    text: str, path: str = "etc/ossec.conf", internal: Mapping[str, str] | None = None
) -> Parsed[AgentConfig]:
    """An agent's own configuration, without what its groups add (`agent_conf.apply`)."""
    faults = Faults(path)
    sections = _sections(text, faults)
    localfiles = [agent_sections.read_localfile(section) for section in sections.take("localfile")]
    config = AgentConfig(
        client=agent_sections.read_client(sections.take("client"), faults),
        client_buffer=agent_sections.read_client_buffer(sections.take("client_buffer"), ClientBufferConfig()),
        labels=manager_sections.read_labels(sections.take("labels")),
        localfiles=tuple(localfile for localfile in localfiles if localfile is not None),
        internal=_internal(internal, faults),
    )
    sections.finish()
    return _parsed(config, faults)


class _Sections:
    """The sections of all roots of one file by name; what nobody takes is told at the end."""

    def __init__(self, roots: list[Element], faults: Faults) -> None:
        self._faults = faults
        self._sections: list[Section] = []
        self._taken: set[str] = set()
        for root in roots:
            if root.name == ROOT:
                self._sections += [Section(child, faults) for child in root.children]
            else:
                faults.add(root.line, f"invalid root element: '{root.name[:60]}'", f"<{ROOT}>")

    def take(self, name: str) -> list[Section]:
        self._taken.add(name)
        return [section for section in self._sections if section.element.name == name]

    def finish(self) -> None:
        for section in self._sections:
            name, line = section.element.name, section.element.line
            if name in self._taken:
                continue
            if name in _UNUSED_SECTIONS:
                self._faults.warn(
                    line, f"section '{name}' has no effect here", "it is not used by this product"
                )
            else:
                known = ", ".join(sorted(self._taken))
                self._faults.add(
                    line, f"invalid element in the configuration: '{name[:60]}'", f"sections are {known}"
                )


def _sections(text: str, faults: Faults) -> _Sections:
    return _Sections(decode_xml(text, faults.path), faults)


def _internal(texts: Mapping[str, str] | None, faults: Faults) -> InternalOptions:
    options = InternalOptions()
    for path, text in (texts or {}).items():
        own = Faults(path)
        options = override(options, text, own)
        faults.all += own.all
    return options


def _parsed(config: T, faults: Faults) -> Parsed[T]:
    if faults.errors:
        raise ConfigError(sorted(faults.all, key=lambda fault: (fault.path, fault.line)))
    return Parsed(config=config, warnings=faults.warnings)
