"""`agent.conf`: what the manager sets for the agents of a group. Pure.

    <agent_config name="..." os="..." profile="..."> sections as in ossec.conf </agent_config>

A block is read when all of its attributes match. The match language: plain text found anywhere without regard to case,
`|` between alternatives, `^` and `$` at their ends anchor them, `!` in front of all negates, an empty alternative
matches everything.
Source: spec/agent-channel.md 6.6.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from string import ascii_lowercase, ascii_uppercase

from garrison.config import agent_sections
from garrison.config.manager_sections import read_labels
from garrison.config.model import AgentConfig, InternalOptions, LabelConfig
from garrison.config.reading import Faults, Section
from garrison.config.xml import Element, decode_xml
from garrison.ground.errors import ConfigError, Fault
from garrison.ground.log import printable

MOST_PATTERN_BYTES = 20480

SECTIONS = ("syscheck", "rootcheck", "localfile", "client", "client_buffer", "wodle", "labels")
"""The words with which an agent reports the section that is wrong, in the order in which it tries them.

What belongs to no section (broken XML, an unknown element) already fails the first one.
"""

_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)

_ATTRIBUTES = ("name", "os", "profile", "overwrite")
_NOT_OURS = (
    "syscheck",
    "rootcheck",
    "wodle",
    "sca",
    "active-response",
    "reports",
    "logging",
    "agent-upgrade",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentIdentity:
    """What the attributes of a block are matched against. `profile` is None where none is configured."""

    name: str
    os: str
    profile: str | None = None


class InvalidAgentConf(ConfigError):
    """The file is wrong; `section` is the word that the manager is told."""

    def __init__(self, section: str, faults: list[Fault]) -> None:
        super().__init__(faults)
        self.section = section


def matches(pattern: str, text: str) -> bool:
    """True when `pattern` of the match language fits `text`; a pattern that is too long never does."""
    if len(pattern.encode()) > MOST_PATTERN_BYTES:
        return False
    negated = pattern.startswith("!")
    lowered = _lower(text)
    found = any(
        _alternative(part, lowered) for part in _lower(pattern[1:] if negated else pattern).split("|")
    )
    return found != negated


def _lower(text: str) -> str:
    """ASCII letters in lower case; others stay, as the language knows no others."""
    return text.translate(_LOWER)


def _alternative(part: str, text: str) -> bool:
    at_start = part.startswith("^")
    part = part[1:] if at_start else part
    at_end = part.endswith("$")
    part = part[:-1] if at_end else part
    if at_start and at_end:
        return text == part
    if at_start:
        return text.startswith(part)
    if at_end:
        return text.endswith(part)
    return part in text


def apply(
    config: AgentConfig, text: str, identity: AgentIdentity, path: str
) -> tuple[AgentConfig, tuple[Fault, ...]]:
    """`config` with what `text` sets for this agent, and warnings; `InvalidAgentConf` when the file is wrong."""
    return _apply(config, text, identity, path)


def check(text: str, path: str) -> tuple[Fault, ...]:
    """The warnings of the file for all agents, whatever its blocks are for; `InvalidAgentConf` when it is wrong."""
    return _apply(AgentConfig(internal=InternalOptions(logcollector_remote_commands=1)), text, None, path)[1]


def _apply(
    config: AgentConfig, text: str, identity: AgentIdentity | None, path: str
) -> tuple[AgentConfig, tuple[Fault, ...]]:
    faults = Faults(path)
    try:
        document = decode_xml(text, path)
    except ConfigError as error:
        raise InvalidAgentConf(SECTIONS[0], list(error.faults)) from error
    wrong: set[str] = set()
    if document.text:
        faults.warn(1, "text beside <agent_config>", "elements only")
    for root in document.children:
        if root.name != "agent_config":
            found = f"invalid element in the configuration: '{printable(root.name, 60)}'"
            faults.add(root.line, found, "<agent_config>")
            wrong.add(SECTIONS[0])
        elif _is_for(root, identity, faults):
            config = _with_block(config, root, faults, wrong)
    if wrong:
        raise InvalidAgentConf(min(wrong, key=SECTIONS.index), faults.all)
    return config, faults.warnings


def _is_for(block: Element, identity: AgentIdentity | None, faults: Faults) -> bool:
    """True when all attributes match; every block is for the `identity` None."""
    subjects: dict[str, str] = {}
    if identity is not None:
        subjects = {"name": identity.name, "os": identity.os, "profile": identity.profile or "-"}
    is_for = True
    for name, pattern in block.attributes.items():
        if name not in _ATTRIBUTES:
            shown = printable(name, 60)
            faults.warn(block.line, f"unknown attribute of agent_config: {shown}", ", ".join(_ATTRIBUTES))
        elif len(pattern.encode()) > MOST_PATTERN_BYTES:
            expected = f"at most {MOST_PATTERN_BYTES} bytes; it matches nothing"
            faults.warn(block.line, f"the pattern of attribute '{name}' is too long", expected)
        if name in subjects and not matches(pattern, subjects[name]):
            is_for = False
    return is_for


def _with_block(config: AgentConfig, block: Element, faults: Faults, wrong: set[str]) -> AgentConfig:
    """`config` with the block's sections; the words of those that are faulty go into `wrong`."""
    if block.text:
        faults.warn(block.line, "text between the sections of agent_config", "elements only")
    for element in block.children:
        before = faults.error_count
        config = _with_section(config, Section(element, faults))
        if faults.error_count > before:
            wrong.add(element.name if element.name in SECTIONS else SECTIONS[0])
    return config


def _with_section(config: AgentConfig, section: Section) -> AgentConfig:
    name, line = section.element.name, section.element.line
    if name == "localfile":
        return _with_localfile(config, section)
    if name == "labels":
        return replace(config, labels=_joined(config.labels, read_labels([section])))
    if name == "client_buffer":
        return replace(
            config, client_buffer=agent_sections.read_client_buffer([section], config.client_buffer)
        )
    if name == "client":
        interval = section.interval("force_reconnect_interval", config.client.force_reconnect_interval_s)
        section.finish()
        return replace(config, client=replace(config.client, force_reconnect_interval_s=interval))
    if name in _NOT_OURS:
        section.faults.warn(line, f"section '{name}' has no effect", "this agent has no such module")
    else:
        section.faults.add(
            line, f"invalid element in the configuration: '{printable(name, 60)}'", ", ".join(SECTIONS)
        )
    return config


def _with_localfile(config: AgentConfig, section: Section) -> AgentConfig:
    localfile = agent_sections.read_localfile(section)
    if localfile is None:
        return config
    if localfile.command is not None and not config.internal.logcollector_remote_commands:
        expected = "logcollector.remote_commands=1 in the agent's etc/local_internal_options.conf"
        section.faults.warn(section.element.line, "commands from agent.conf are not accepted", expected)
        return config
    return replace(config, localfiles=(*config.localfiles, localfile))


def _joined(before: tuple[LabelConfig, ...], after: tuple[LabelConfig, ...]) -> tuple[LabelConfig, ...]:
    return tuple({label.key: label for label in (*before, *after)}.values())
