"""The agent's configuration from disk: its own `ossec.conf`, then what its groups add in `agent.conf`."""

from __future__ import annotations

import os
from pathlib import Path

from garrison.agent.identity import System, decode_os_release, uname_text
from garrison.agent.store import read_text
from garrison.config import agent_conf
from garrison.config.agent_conf import AgentIdentity, InvalidAgentConf
from garrison.config.home import Home
from garrison.config.load import load_agent
from garrison.config.model import AgentConfig
from garrison.ground.errors import Fault


def load_config(
    root: Path, name: str, uname: str, *, strict: bool = False
) -> tuple[AgentConfig, tuple[Fault, ...]]:
    """The configuration and what was tolerated in it. `ConfigError` for a faulty `ossec.conf`.

    A faulty `agent.conf` is left out with a warning, or raised as `InvalidAgentConf` when `strict`.
    """
    home = Home(root)
    loaded = load_agent(home)
    config, warnings = loaded.config, loaded.warnings
    if not config.internal.agent_remote_conf or not home.agent_conf.is_file():
        return config, warnings
    identity = AgentIdentity(name=name, os=uname, profile=config.client.config_profile)
    text = home.agent_conf.read_text("utf-8", "replace")
    try:
        config, more = agent_conf.apply(config, text, identity, str(home.agent_conf))
    except InvalidAgentConf as error:
        if strict:
            raise
        more = error.faults
    return config, (*warnings, *more)


def detect_uname(version: str) -> str:
    """This host as keepalives describe it; `version` is the protocol level with its `v`."""
    name = os.uname()
    system = System(
        sysname=name.sysname,
        nodename=name.nodename,
        release=name.release,
        version=name.version,
        machine=name.machine,
    )
    text = read_text(Path("/etc/os-release")) or read_text(Path("/usr/lib/os-release"))
    return uname_text(system, decode_os_release(text) if text else None, version)
