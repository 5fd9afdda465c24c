"""Configurations of nginx and HAProxy for the agents' ports, from the live members. Pure.

Agents connect to any node; enrollment goes to every node that can enroll. A node that does not accept a connection within
a few seconds is left out for a while, and the connection goes to another one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from garrison.config.checks import is_address, is_host
from garrison.ground.errors import Refused
from garrison.ground.log import printable

STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"
"""Where Debian's package libnginx-mod-stream puts it."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_FOLDER_SIGNS = frozenset("/_.+@:=,~-")


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancedNode:
    """A node behind the balancer."""

    name: str
    address: str
    agent_port: int = 1514
    enroll_port: int = 1515
    can_enroll: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Balancing:
    """How the balancer listens.

    `folder` takes its pid and log files, so that any user can run it. `load_module` False is for an nginx that has its
    stream module built in. `hash_by_client` sends an agent to the same node as long as the nodes stay the same, instead
    of to the node with the fewest connections.
    """

    bind: str = "0.0.0.0"
    agent_port: int = 1514
    enroll_port: int = 1515
    send_proxy: bool = False
    hash_by_client: bool = False
    load_module: bool = True
    folder: Path = Path("/var/run")


def _checked(nodes: Sequence[BalancedNode], how: Balancing) -> list[BalancedNode]:
    """The nodes, when everything that goes into the text is what it says it is."""
    if not nodes:
        raise Refused("no node is alive: there is nothing to balance")
    for node in nodes:
        if not _NAME.fullmatch(node.name) or not _is_plain_host(node.address):
            raise Refused("a node's name or address cannot stand in a balancer's configuration")
    if len({node.name for node in nodes}) < len(nodes):
        raise Refused("two nodes have the same name")
    ports = [
        how.agent_port,
        how.enroll_port,
        *(port for node in nodes for port in (node.agent_port, node.enroll_port)),
    ]
    if not all(0 < port < 65536 for port in ports):
        raise Refused("a port is not in 1 to 65535")
    if how.agent_port == how.enroll_port:
        raise Refused("agents and enrollment need two different ports")
    if not is_address(how.bind) or "%" in how.bind:
        raise Refused(f"'{printable(how.bind, 60)}' is no address to listen on")
    if not how.folder.is_absolute() or not all(
        char.isalnum() or char in _FOLDER_SIGNS for char in str(how.folder)
    ):
        raise Refused("the folder's name cannot stand in a balancer's configuration")
    return list(nodes)


def _is_plain_host(text: str) -> bool:
    """An address or host name; a zone (`%eth0`) means nothing to a balancer."""
    return is_host(text) and "%" not in text


def _at(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def nginx_conf(nodes: Sequence[BalancedNode], how: Balancing) -> str:
    """A whole `nginx.conf`: run it with `nginx -c FILE`."""
    members = _checked(nodes, how)
    agents = "\n".join(_nginx_server(node.address, node.agent_port, node.name) for node in members)
    proxy = "        proxy_protocol on;\n" if how.send_proxy else ""
    load = f"load_module {STREAM_MODULE};\n" if how.load_module else ""
    method = "hash $remote_addr consistent" if how.hash_by_client else "least_conn"
    chosen = "each always to the same node" if how.hash_by_client else "to the node with the fewest"
    return f"""\
# nginx in front of a Garrison cluster: {len(members)} nodes. Made by: garrison balancer-config nginx
{load}worker_processes auto;
pid {how.folder}/nginx.pid;
error_log {how.folder}/nginx-error.log warn;

events {{
    # two for each agent; the limit on open files (ulimit -n) must allow them
    worker_connections 16384;
}}

stream {{
    # Agents: long connections, {chosen}.
    # A node that refuses once is left out for 5 seconds; the connection goes to another one.
    upstream garrison_agents {{
        {method};
{agents}
    }}

    server {{
        listen {_at(how.bind, how.agent_port)};
        proxy_pass garrison_agents;
        proxy_connect_timeout 2s;
        # longer than any pause between two signs of life of an agent
        proxy_timeout 1h;
        proxy_socket_keepalive on;
        proxy_next_upstream on;
{proxy}    }}
{_nginx_enrollment(members, how)}}}
"""


def _nginx_enrollment(nodes: list[BalancedNode], how: Balancing) -> str:
    enrolling = [node for node in nodes if node.can_enroll]
    if not enrolling:
        return "\n    # Enrollment: no node offers it.\n"
    servers = "\n".join(_nginx_server(node.address, node.enroll_port, node.name) for node in enrolling)
    return f"""
    # Enrollment: short TLS connections, passed through as they are.
    upstream garrison_enrollment {{
{servers}
    }}

    server {{
        listen {_at(how.bind, how.enroll_port)};
        proxy_pass garrison_enrollment;
        proxy_connect_timeout 2s;
        proxy_timeout 30s;
        proxy_next_upstream on;
    }}
"""


def _nginx_server(address: str, port: int, name: str) -> str:
    return f"        server {_at(address, port)} max_fails=1 fail_timeout=5s;  # {name}"


def haproxy_conf(nodes: Sequence[BalancedNode], how: Balancing) -> str:
    """A whole `haproxy.cfg`: run it with `haproxy -f FILE`."""
    members = _checked(nodes, how)
    proxy = " send-proxy-v2" if how.send_proxy else ""
    agents = "\n".join(_haproxy_server(node.name, node.address, node.agent_port) + proxy for node in members)
    method = "source\n    hash-type consistent" if how.hash_by_client else "leastconn"
    chosen = "each always to the same node" if how.hash_by_client else "to the node with the fewest"
    return f"""\
# HAProxy in front of a Garrison cluster: {len(members)} nodes. Made by: garrison balancer-config haproxy
global
    # as many connections as the limit on open files (ulimit -n) allows, at two for each agent
    pidfile {how.folder}/haproxy.pid
    log stdout format raw local0 notice

defaults
    mode tcp
    log global
    timeout connect 2s
    timeout check 2s
    retries 2
    option redispatch

# Agents: long connections, {chosen}.
# A node is left out after two failed checks, and is back after a good one.
listen garrison_agents
    bind {_at(how.bind, how.agent_port)}
    balance {method}
    option clitcpka
    option srvtcpka
    timeout client 1h
    timeout server 1h
{agents}
{_haproxy_enrollment(members, how)}"""


def _haproxy_enrollment(nodes: list[BalancedNode], how: Balancing) -> str:
    enrolling = [node for node in nodes if node.can_enroll]
    if not enrolling:
        return "\n# Enrollment: no node offers it.\n"
    servers = "\n".join(_haproxy_server(node.name, node.address, node.enroll_port) for node in enrolling)
    return f"""
# Enrollment: short TLS connections, passed through as they are.
listen garrison_enrollment
    bind {_at(how.bind, how.enroll_port)}
    balance roundrobin
    timeout client 30s
    timeout server 30s
{servers}
"""


def _haproxy_server(name: str, address: str, port: int) -> str:
    return f"    server {name} {_at(address, port)} check inter 3s fall 2 rise 1"
