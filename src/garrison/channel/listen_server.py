"""Listening sockets of port 1514, and how many connections the process may hold.

Source: spec/agent-channel.md 8.5 (`tcp_keep*`), 9.2 (1206), 10.
"""

from __future__ import annotations

import contextlib
import resource
import socket

from garrison.config.model import InternalOptions, RemoteConfig
from garrison.ground.errors import ConfigError, Fault

RESERVED_FILES = 256
BACKLOG = 4096
"""The reference has 128, which a crowd that comes back at once overflows; the kernel cuts it to its own limit."""

UDP_RECEIVE_BYTES = 4 * 1024 * 1024


def most_connections() -> int:
    """How many connections the limit of open files leaves; the soft limit is raised to the hard one first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return max(64, soft - RESERVED_FILES)


def open_socket(
    config: RemoteConfig, options: InternalOptions, kind: socket.SocketKind, *, reuse_port: bool = False
) -> socket.socket:
    """A bound socket of the configured address; `ConfigError` 1206 when the port cannot be had.

    `reuse_port` lets several processes share the port.
    """
    address = config.local_ip or ("::" if config.ipv6 else "0.0.0.0")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, kind)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if kind == socket.SOCK_STREAM:
            _keep_alive(sock, options)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_RECEIVE_BYTES)
        sock.bind((address, config.port))
        if kind == socket.SOCK_STREAM:
            sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        found = f"(1206): Unable to Bind port '{config.port}' at {address} due to {error.strerror}"
        raise ConfigError([Fault(path="<remote>", line=0, found=found, expected="a free port")]) from error
    return sock


def _keep_alive(sock: socket.socket, options: InternalOptions) -> None:
    """Connections inherit this: a peer whose host vanished is noticed without a message."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, options.remoted_tcp_keepidle_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, options.remoted_tcp_keepintvl_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, options.remoted_tcp_keepcnt)
