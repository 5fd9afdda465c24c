"""The configuration of one engine member, as text. Pure.

The engine is a `nats-server` with JetStream. One member keeps its data alone; three or five replicate it
and go on while a majority is there. Growing from one member to three changes the layout of the engine's
data: see `engine.Engine` for what is kept then.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from garrison.fabric.escape import escape
from garrison.fabric.identity import IdentityFiles
from garrison.ground.errors import ConfigError, Fault

MEMBER_COUNTS = (1, 3, 5)
"""An even number survives no more losses than the odd one below it, and two cannot form a majority at all."""

MAX_PAYLOAD_BYTES = 2 << 20
"""Above `link.MAX_VALUE_BYTES`, with room for headers and envelopes."""

MAX_CONNECTIONS = 16384
"""Far above what a cluster needs, so that silent peers (each dropped after the TLS time limit) keep nobody out."""

TLS_TIME_LIMIT_S = 5
LOG_SIZE_BYTES = 8 << 20
LOG_FILES = 4
FILE_STORE_BYTES = 8 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """What one member is told. `folder` is HOME/queue/engine, `log_path` HOME/logs/engine.log."""

    cluster_name: str
    node_name: str
    bind_address: str
    port: int
    engine_port: int
    members: tuple[str, ...]
    """Addresses of all members under which they dial each other, this one included (`<nodes>`)."""
    folder: Path
    log_path: Path

    @property
    def conf_path(self) -> Path:
        return self.folder / "engine.conf"

    @property
    def data_folder(self) -> Path:
        return self.folder / "data"

    @property
    def pid_path(self) -> Path:
        return self.folder / "engine.pid"

    @property
    def tls_folder(self) -> Path:
        return self.folder / "tls"

    @property
    def is_clustered(self) -> bool:
        return len(self.members) > 1


def check_members(members: tuple[str, ...]) -> None:
    """Raises `ConfigError` unless so many members can form a majority sensibly."""
    count = len(members)
    if len(set(members)) != count:
        raise ConfigError([_fault("a node is listed twice", "each member once")])
    if count == 2:
        raise ConfigError([_fault("two nodes", "two cannot form a majority: list one or three")])
    if count not in MEMBER_COUNTS:
        raise ConfigError([_fault(f"{count} nodes", "list one, three or five members; others need no entry")])


def _fault(found: str, expected: str) -> Fault:
    return Fault(path="<cluster><nodes>", line=0, found=found, expected=expected)


def replicas(members: tuple[str, ...]) -> int:
    """How many members keep each entry."""
    return len(members) if len(members) >= 3 else 1


def host_port(host: str, port: int) -> str:
    """`host:port`, an IPv6 address in brackets."""
    try:
        return f"[{host}]:{port}" if ipaddress.ip_address(host).version == 6 else f"{host}:{port}"
    except ValueError:
        return f"{host}:{port}"


def engine_conf(settings: EngineSettings, files: IdentityFiles) -> str:
    """The text of the `nats-server` configuration file; `ConfigError` for members that cannot work."""
    check_members(settings.members)
    parts = [_general(settings), _client_port(settings, files), _store(settings)]
    if settings.is_clustered:
        parts.append(_routes(settings, files))
    return "\n".join(parts)


def _general(settings: EngineSettings) -> str:
    return f"""\
# The cluster engine of node {escape(settings.node_name)}. Written anew at every start: changes made here are lost.
# There is no monitoring port on purpose; `garrison` shows the engine's state.

server_name: {_text(escape(settings.node_name))}
pid_file: {_text(settings.pid_path)}
log_file: {_text(settings.log_path)}
logfile_size_limit: {LOG_SIZE_BYTES}
logfile_max_num: {LOG_FILES}

max_payload: {MAX_PAYLOAD_BYTES}
max_connections: {MAX_CONNECTIONS}
ping_interval: "10s"            # a peer that answers neither of two is taken for gone
ping_max: 2
write_deadline: "10s"
"""


def _client_port(settings: EngineSettings, files: IdentityFiles) -> str:
    return f"""\
# Nodes connect here (<port>). Nothing is said before both sides have shown a certificate of this cluster.
listen: {_text(host_port(settings.bind_address, settings.port))}
tls {{
{_tls(files)}
  verify: true
  handshake_first: true
}}
"""


def _store(settings: EngineSettings) -> str:
    return f"""\
# Every acknowledged write is on disk.
jetstream {{
  store_dir: {_text(settings.data_folder)}
  sync_interval: always
  max_memory_store: {64 << 20}
  max_file_store: {FILE_STORE_BYTES}
}}
"""


def _routes(settings: EngineSettings, files: IdentityFiles) -> str:
    others = [member for member in settings.members if member != settings.bind_address]
    routes = "\n".join(f"    {_text('tls://' + host_port(host, settings.engine_port))}" for host in others)
    return f"""\
# Members talk to each other here (<engine_port>); both sides are verified.
cluster {{
  name: {_text(escape(settings.cluster_name))}
  listen: {_text(host_port(settings.bind_address, settings.engine_port))}
  no_advertise: true
  routes: [
{routes}
  ]
  tls {{
{_indent(_tls(files))}
    verify: true
  }}
}}
"""


def _tls(files: IdentityFiles) -> str:
    return f"""\
  cert_file: {_text(files.certificate)}
  key_file: {_text(files.key)}
  ca_file: {_text(files.authority)}
  timeout: {TLS_TIME_LIMIT_S}
  min_version: "1.3\""""


def _indent(text: str) -> str:
    return "\n".join("  " + line for line in text.splitlines())


def _text(value: str | Path) -> str:
    """`value` as a quoted string; the engine's syntax knows the same two escapes as ours."""
    text = str(value)
    if any(not char.isprintable() for char in text):
        raise ConfigError(
            [Fault(path=ascii(text), line=0, found="a control character", expected="a plain name")]
        )
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
