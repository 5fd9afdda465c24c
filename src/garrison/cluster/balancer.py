"""Configurations of nginx and HAProxy for the agents' ports, from the live members. Pure.

Agents connect to any node; enrollment goes to every node that can enroll. A node that does not accept a connection within
a few seconds is left out for a while, and the connection goes to another one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from garrison.ground.errors import Refused

STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"
"""Where Debian's package libnginx-mod-stream puts it."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_ADDRESS = re.compile(r"[A-Za-z0-9_.:-]{1,253}")


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
    stream module built in.
    """

    bind: str = "0.0.0.0"
    agent_port: int = 1514
    enroll_port: int = 1515
    send_proxy: bool = False
    load_module: bool = True
    folder: Path = Path("/var/run")


def _checked(nodes: Sequence[BalancedNode], how: Balancing) -> list[BalancedNode]:
    if not nodes:
        raise Refused("no node is alive: there is nothing to balance")
    for node in nodes:
        if not _NAME.fullmatch(node.name) or not _ADDRESS.fullmatch(node.address):
            raise Refused("a node's name or address cannot stand in a balancer's configuration")
    if not _ADDRESS.fullmatch(how.bind):
        raise Refused(f"'{how.bind[:60]}' is no address to listen on")
    if any(char in str(how.folder) for char in "\"'\\;{}\n\r"):
        raise Refused("the folder's name cannot stand in a balancer's configuration")
    return list(nodes)


def _at(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def nginx_conf(nodes: Sequence[BalancedNode], how: Balancing) -> str:
    """A whole `nginx.conf`: run it with `nginx -c FILE`."""
    members = _checked(nodes, how)
    agents = "\n".join(_nginx_server(node.address, node.agent_port, node.name) for node in members)
    enrolling = [node for node in members if node.can_enroll]
    enroll = "\n".join(_nginx_server(node.address, node.enroll_port, node.name) for node in enrolling)
    proxy = "        proxy_protocol on;\n" if how.send_proxy else ""
    load = f"load_module {STREAM_MODULE};\n" if how.load_module else ""
    return f"""\
# nginx in front of a Garrison cluster: {len(members)} nodes. Made by: garrison balancer-config nginx
{load}worker_processes auto;
pid {how.folder}/nginx.pid;
error_log {how.folder}/nginx-error.log warn;

events {{
    worker_connections 16384;
}}

stream {{
    # Agents: long connections, to the node with the fewest.
    upstream garrison_agents {{
        least_conn;
{agents}
    }}

    # Enrollment: short TLS connections, passed through as they are.
    upstream garrison_enrollment {{
{enroll}
    }}

    server {{
        listen {_at(how.bind, how.agent_port)};
        proxy_pass garrison_agents;
        proxy_connect_timeout 2s;
        proxy_timeout 1h;
        proxy_next_upstream on;
{proxy}    }}

    server {{
        listen {_at(how.bind, how.enroll_port)};
        proxy_pass garrison_enrollment;
        proxy_connect_timeout 2s;
        proxy_timeout 30s;
        proxy_next_upstream on;
    }}
}}
"""


def _nginx_server(address: str, port: int, name: str) -> str:
    return f"        server {_at(address, port)} max_fails=1 fail_timeout=5s;  # {name}"


def haproxy_conf(nodes: Sequence[BalancedNode], how: Balancing) -> str:
    """A whole `haproxy.cfg`: run it with `haproxy -f FILE`."""
    members = _checked(nodes, how)
    proxy = " send-proxy-v2" if how.send_proxy else ""
    agents = "\n".join(
        f"    server {node.name} {_at(node.address, node.agent_port)} check inter 3s fall 2 rise 1{proxy}"
        for node in members
    )
    enroll = "\n".join(
        f"    server {node.name} {_at(node.address, node.enroll_port)} check inter 3s fall 2 rise 1"
        for node in members
        if node.can_enroll
    )
    return f"""\
# HAProxy in front of a Garrison cluster: {len(members)} nodes. Made by: garrison balancer-config haproxy
global
    maxconn 100000
    pidfile {how.folder}/haproxy.pid

defaults
    mode tcp
    timeout connect 2s
    timeout check 2s
    retries 2
    option redispatch

# Agents: long connections, to the node with the fewest.
listen garrison_agents
    bind {_at(how.bind, how.agent_port)}
    balance leastconn
    timeout client 1h
    timeout server 1h
{agents}

# Enrollment: short TLS connections, passed through as they are.
listen garrison_enrollment
    bind {_at(how.bind, how.enroll_port)}
    balance roundrobin
    timeout client 30s
    timeout server 30s
{enroll}
"""
