"""The texts of `ossec.conf` and the internal options become one value. Pure; every fault is told at once.

An unknown option of a section of ours is an error. A whole section that stock files hold and this product does not use is
one warning with file and line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Generic, Literal, TypeVar

from garrison.config import agent_sections, manager_sections
from garrison.config.cluster_section import read_cluster
from garrison.config.internal import LOCAL_FILE, override
from garrison.config.model import (
    AgentConfig,
    AuthConfig,
    ClientBufferConfig,
    InternalOptions,
    ManagerConfig,
    RemoteConfig,
)
from garrison.config.reading import Faults, Section, tell_attributes
from garrison.config.xml import Element, decode_xml
from garrison.ground.errors import ConfigError, Fault
from garrison.ground.log import printable

ROOT = "ossec_config"

Kind = Literal["manager", "agent", "agent_conf"]

_NODE_ONLY = ("cluster", "remote", "auth", "ruleset", "alerts")

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
    "rule_test",
    "email_alerts",
    "agent-key-polling",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed(Generic[T]):
    """A configuration, what was tolerated in its texts, and how many options they set."""

    config: T
    warnings: tuple[Fault, ...]
    options: int = 0


def kind_of(text: str, path: str) -> Kind:
    """What a file configures. `ConfigError` where it is no XML at all.

    An `ossec.conf` is an agent's when it has a `<client>` and nothing that only nodes have.
    """
    roots = decode_xml(text, path).children
    if any(root.name == "agent_config" for root in roots):
        return "agent_conf"
    names = {child.name for root in roots for child in root.children}
    return "agent" if "client" in names and names.isdisjoint(_NODE_ONLY) else "manager"


def parse_manager(
    text: str, path: str = "etc/ossec.conf", internal: Mapping[str, str] | None = None
) -> Parsed[ManagerConfig]:
    """A node's configuration. `internal`: path -> text of the internal options, later ones win."""
    faults = Faults(path)
    sections = _Sections(decode_xml(text, path), faults)
    remote_sections = sections.take("remote")
    remotes = tuple(manager_sections.read_remote(section) for section in remote_sections)
    auth_sections = sections.take("auth")
    auth = manager_sections.read_auth(auth_sections, faults)
    _check_listeners(list(zip(remote_sections, remotes, strict=True)), auth_sections, auth, faults)
    config = ManagerConfig(
        global_=manager_sections.read_global(sections.take("global")),
        alerts=manager_sections.read_alerts(sections.take("alerts")),
        cluster=read_cluster(sections.take("cluster"), faults),
        auth=auth,
        remotes=remotes,
        ruleset=manager_sections.read_ruleset(sections.take("ruleset")),
        labels=manager_sections.read_labels(sections.take("labels")),
        rule_test=manager_sections.read_rule_test(sections.take("rule_test")),
        internal=_internal(internal, faults),
    )
    sections.finish()
    return _parsed(config, faults, sections.options)


def _check_listeners(
    remotes: list[tuple[Section, RemoteConfig]],
    auth_sections: list[Section],
    auth: AuthConfig,
    faults: Faults,
) -> None:
    """One secure listener at most, and enrollment on a port of its own."""
    secure = [(section, remote) for section, remote in remotes if remote.connection == "secure"]
    for section, _ in secure[1:]:
        line = section.element.line
        faults.add(line, "several <remote> blocks are secure", "one, and any number for syslog")
    listens = auth_sections and not auth.disabled and auth.remote_enrollment
    for _, remote in secure[:1]:
        same_place = remote.local_ip == auth.local_ip or not remote.local_ip or not auth.local_ip
        if listens and remote.port == auth.port and same_place and "tcp" in remote.protocols:
            line = auth_sections[-1].element.line
            faults.add(line, f"port {auth.port} is also that of <remote>", "two different ports")


def parse_agent(
    text: str, path: str = "etc/ossec.conf", internal: Mapping[str, str] | None = None
) -> Parsed[AgentConfig]:
    """An agent's own configuration, without what its groups add (`agent_conf.apply`)."""
    faults = Faults(path)
    sections = _Sections(decode_xml(text, path), faults)
    localfiles = [agent_sections.read_localfile(section) for section in sections.take("localfile")]
    config = AgentConfig(
        client=agent_sections.read_client(sections.take("client"), faults),
        client_buffer=agent_sections.read_client_buffer(sections.take("client_buffer"), ClientBufferConfig()),
        labels=manager_sections.read_labels(sections.take("labels")),
        localfiles=tuple(localfile for localfile in localfiles if localfile is not None),
        internal=_internal(internal, faults),
    )
    sections.finish()
    return _parsed(config, faults, sections.options)


class _Sections:
    """The sections of all roots of one file by name; what nobody takes is told at the end."""

    def __init__(self, document: Element, faults: Faults) -> None:
        self._faults = faults
        self._sections: list[Section] = []
        self._taken: set[str] = set()
        self.options = sum(1 for _ in document.leaves())
        if document.text:
            faults.warn(1, f"text beside <{ROOT}>", "elements only")
        if not document.children:
            faults.add(1, f"no <{ROOT}> in the file", f"<{ROOT}> with its sections")
        for root in document.children:
            if root.name == ROOT:
                self._add_root(root)
            else:
                shown = printable(root.name, 60)
                faults.add(root.line, f"invalid root element: '{shown}'", f"<{ROOT}>")

    def _add_root(self, root: Element) -> None:
        tell_attributes(root, (), self._faults)
        if root.text:
            self._faults.warn(root.line, f"text between the sections of {ROOT}", "elements only")
        self._sections += [Section(child, self._faults) for child in root.children]

    def take(self, name: str) -> list[Section]:
        self._taken.add(name)
        return [section for section in self._sections if section.element.name == name]

    def finish(self) -> None:
        known = ", ".join(sorted(self._taken))
        for section in self._sections:
            element = section.element
            if element.name in self._taken:
                tell_attributes(element, (), self._faults)
            elif element.name in _UNUSED_SECTIONS:
                named = (
                    f" '{printable(element.attributes['name'], 60)}'" if "name" in element.attributes else ""
                )
                found = f"section '{element.name}'{named} has no effect here"
                self._faults.warn(element.line, found, "it is not used by this product")
            else:
                found = f"invalid element in the configuration: '{printable(element.name, 60)}'"
                self._faults.add(element.line, found, f"sections are {known}")


def _internal(texts: Mapping[str, str] | None, faults: Faults) -> InternalOptions:
    options = InternalOptions()
    for path, text in (texts or {}).items():
        own = Faults(path)
        options = override(options, text, own, tells_unknown=PurePath(path).name == LOCAL_FILE)
        faults.all += own.all
    return options


def _parsed(config: T, faults: Faults, options: int) -> Parsed[T]:
    if faults.errors:
        raise ConfigError(sorted(faults.all, key=lambda fault: (fault.path, fault.line)))
    return Parsed(config=config, warnings=faults.warnings, options=options)
