"""`agent-auth`: asks the enrollment service of a manager for a key and stores it.

    agent-auth -m HOST [-P PASSWORD] [-A NAME] [-G GROUPS] …

Lines go to standard error and to logs/ossec.log of the home, in the known shape.
Source: spec/agent-channel.md 2.10 (flags, lines, exit codes); captures enroll-*.json.
"""

from __future__ import annotations

import asyncio
import getopt
import inspect
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from garrison.agent.enroll import (
    DEFAULT_CIPHERS,
    DEFAULT_PORT,
    Order,
    Told,
    agent_name,
    ip_field,
    password_in,
)
from garrison.agent.enroll_client import request_key
from garrison.agent.store import AgentStore, read_text
from garrison.cli.control_client import find_home
from garrison.ground.errors import PeerError, StoreError
from garrison.ground.version import PROTOCOL

TOOL = "agent-auth"
VERSION = f"v{PROTOCOL}"
PASSWORD_FILE = "etc/authd.pass"
LETTERS = "Vhdtag:D:m:p:n:A:c:v:x:k:P:G:I:i"

HELP = f"""
Wazuh {VERSION} - Garrison
agent-auth: -[Vhdtai] [-g group] [-m IP address] [-p port] [-n ifindex] [-A name] [-c ciphers] [-v path]
            [-x path] [-k path] [-P pass] [-G group] [-I IP address]
    -V          Version and license message.
    -h          This help message.
    -d          Debug mode: tells where each line comes from.
    -t          Test configuration.
    -g <group>  Group to run as. Default: wazuh.
    -D <dir>    Home folder (deprecated; as --home).
    -m <addr>   Manager IP address.
    -p <port>   Manager port. Default: {DEFAULT_PORT}.
    -n <index>  Network interface index of an IPv6 link-local address.
    -A <name>   Agent name. Default: the host name.
    -c <list>   TLS cipher list. Default: {DEFAULT_CIPHERS}
    -v <path>   Full path to a CA certificate that the server's certificate is checked with.
    -x <path>   Full path to the agent's certificate.
    -k <path>   Full path to the agent's key.
    -P <pass>   Authorization password.
    -a          Negotiate the most common secure protocol, older ones included.
    -G <group>  Groups, separated by commas.
    -I <addr>   Address to register.
    -i          Let the manager register the address it sees.
"""


@dataclass(slots=True)
class Options:
    """The flags, as given."""

    home: str = ""
    version: bool = False
    help: bool = False
    debug: bool = False
    test: bool = False
    auto: bool = False
    source_ip: bool = False
    manager: str = ""
    port: int = DEFAULT_PORT
    interface_index: int | None = None
    name: str = ""
    ciphers: str = DEFAULT_CIPHERS
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    password: str | None = None
    groups: str = ""
    ip: str = ""


_FLAGS = {"-V": "version", "-h": "help", "-d": "debug", "-t": "test", "-a": "auto", "-i": "source_ip"}
_TEXTS = {
    "-D": "home", "--home": "home", "-m": "manager", "-A": "name", "-c": "ciphers", "-v": "ca",
    "-x": "certificate", "-k": "key", "-P": "password", "-G": "groups", "-I": "ip",
}  # fmt: skip


def parse(arguments: Sequence[str]) -> Options:
    """The options of a command line. Raises ValueError with a text for the operator."""
    try:
        given, rest = getopt.getopt(list(arguments), LETTERS, ["home="])
    except getopt.GetoptError as error:
        raise ValueError(error.msg) from error
    if rest:
        raise ValueError(f"unexpected argument '{rest[0]}'")
    options = Options()
    for flag, value in given:
        if flag in _FLAGS:
            setattr(options, _FLAGS[flag], True)
        elif flag in _TEXTS:
            setattr(options, _TEXTS[flag], value)
        elif flag == "-p":
            options.port = _number(value, 1, 65535, "Invalid port: {}")
        elif flag == "-n":
            options.interface_index = _number(value, 1, 2**31 - 1, "Invalid network interface index: {}")
    return options


def _number(text: str, least: int, most: int, complaint: str) -> int:
    if text.isascii() and text.isdigit() and least <= int(text[:12]) <= most:
        return int(text)
    raise ValueError(complaint.format(text))


class Teller:
    """Writes the tool's lines."""

    def __init__(self, home: Path, *, shows_place: bool) -> None:
        self._log = home / "logs/ossec.log"
        self._shows_place = shows_place

    def __call__(self, told: Told) -> None:
        place = ""
        if self._shows_place and (frame := inspect.currentframe()) and frame.f_back:
            code = frame.f_back.f_code
            place = (
                f"[{os.getpid()}] {Path(code.co_filename).name}:{frame.f_back.f_lineno} at {code.co_name}()"
            )
        line = f"{datetime.now():%Y/%m/%d %H:%M:%S} {TOOL}{place}: {told.level}: {told.text}\n"
        sys.stderr.write(line)
        if self._log.parent.is_dir():
            try:
                with self._log.open("a", encoding="utf-8") as file:
                    file.write(line)
            except OSError:
                pass  # the operator has read it on the terminal

    def info(self, text: str) -> None:
        self(Told("INFO", text))

    def error(self, text: str) -> None:
        self(Told("ERROR", text))


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 when a key was stored (and for -V, -t), 1 for everything else."""
    try:
        options = parse(sys.argv[1:] if arguments is None else arguments)
    except ValueError as error:
        print(f"{TOOL}: {error}", file=sys.stderr)
        print(HELP, file=sys.stderr)
        return 1
    if options.version:
        print(f"\nWazuh {VERSION} - Garrison\n")
        return 0
    if options.help:
        print(HELP)
        return 1
    home = find_home(options.home or None)
    tell = Teller(home, shows_place=options.debug)
    try:
        return _enroll(options, home, tell)
    except (PeerError, StoreError) as error:
        tell.error(str(error))
        return 1


def _enroll(options: Options, home: Path, tell: Teller) -> int:
    if options.ip and options.source_ip:
        tell.error("Options '-I' and '-i' are uncompatible.")
        return 1
    if options.test:
        return 0
    tell.info(f"Started (pid: {os.getpid()}).")
    if not options.manager:
        tell.error("Manager IP not set.")
        return 1
    store = AgentStore(home)
    tell.info(f"Requesting a key from server: {options.manager}")
    order = _order(options, store, tell)
    entry = asyncio.run(request_key(order, tell))
    if entry is None:
        return 1
    store.client_keys.parent.mkdir(parents=True, exist_ok=True)
    store.write_key(entry)
    return 0


def _order(options: Options, store: AgentStore, tell: Teller) -> Order:
    password = options.password
    if password is None:
        text = read_text(store.home / PASSWORD_FILE)
        password = password_in(text) if text else None
        if password:
            tell.info(f"Using password specified on file: {PASSWORD_FILE}")
        else:
            tell.info("No authentication password provided")
    key = store.read_key()
    return Order(
        address=options.manager,
        port=options.port,
        name=agent_name(options.name or None, socket.gethostname(), allows_localhost=True),
        version=VERSION,
        groups=tuple(options.groups.split(",")) if options.groups else (),
        ip=ip_field(options.ip or None, use_source_ip=options.source_ip),
        key_hash=key.hash() if key else None,
        password=password,
        ciphers=options.ciphers,
        ca_path=options.ca,
        certificate_path=options.certificate,
        key_path=options.key,
        auto_method=options.auto,
        interface_index=options.interface_index,
    )


if __name__ == "__main__":
    sys.exit(main())
