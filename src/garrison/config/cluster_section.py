"""`<cluster>`: every option with its default and check, in the words that operators know. Pure.

Source: spec/cluster.md 1.1 to 1.3. Beyond it: every `<node>` is used (three or five make the control plane survive the
loss of a node), two are refused, and a node's name must be one that may also travel.
"""

from __future__ import annotations

import re
from typing import Literal, cast

from garrison.config.checks import is_host
from garrison.config.model import ClusterConfig
from garrison.config.reading import Faults, Section, whole
from garrison.config.xml import Element
from garrison.ground.log import printable

RESERVED_NODES = ("localhost", "NODE_IP", "0.0.0.0", "127.0.1.1")

_KEY = re.compile(r"[A-Za-z0-9_]{32}")
_NODE_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_CLUSTER_NAME = re.compile(r"[!\"#$%&'\-.0-9:<=>?A-Z\[\\\]^_a-z{|}~]{1,128}")

_HOST_EXPECTED = "an address or a host name"
_KEY_EXPECTED = "32 letters and digits: openssl rand -hex 16 makes one"


def read_cluster(sections: list[Section], faults: Faults) -> ClusterConfig:
    """The last of the `<cluster>` blocks; without any the cluster is off."""
    if not sections:
        return ClusterConfig()
    section = sections[-1]
    if len(sections) > 1:
        faults.warn(section.element.line, "there are multiple cluster sections", "only the last one is used")
    default = ClusterConfig()
    disabled = _disabled(section)
    nodes = section.only("nodes")
    node_elements = [each for each in nodes.each("node") if each.text] if nodes is not None else []
    config = ClusterConfig(
        present=True,
        disabled=disabled,
        name=section.text("name", default.name, _check_cluster_name),
        node_name=section.text("node_name", default.node_name, _check_node_name),
        node_type=_node_type(section),
        key=_key(section, disabled),
        port=_port(section, "port", default.port),
        engine_port=_port(section, "engine_port", default.engine_port),
        bind_addr=section.text("bind_addr", default.bind_addr, _check_address),
        nodes=tuple(element.text for element in node_elements),
        hidden=section.flag("hidden", default.hidden),
        engine_path=section.text("engine_path", default.engine_path, _check_engine_path),
    )
    _tell_old_options(section)
    section.finish()
    if nodes is not None:
        nodes.finish()
    if not disabled:
        _check_nodes(section, node_elements)
        if config.port == config.engine_port:
            line = section.element.line
            faults.add(line, "port and engine_port are the same", "two different ports")
    return config


def _disabled(section: Section) -> bool:
    element = section.last("disabled")
    if element is None:
        return False
    if element.text not in ("yes", "no"):
        found = (
            f"Allowed values for 'disabled' field are 'yes' and 'no'. Found: '{printable(element.text, 60)}'"
        )
        section.faults.add(element.line, found, "")
    return element.text == "yes"


def _node_type(section: Section) -> Literal["master", "worker"]:
    element = section.last("node_type")
    if element is None:
        return "master"
    if element.text == "client":
        section.faults.warn(element.line, "Deprecated node type 'client'. Using 'worker' instead.", "worker")
        return "worker"
    if element.text not in ("master", "worker"):
        found = f"Invalid node type {printable(element.text, 60)}. Correct values are master and worker"
        section.faults.add(element.line, found, "")
        return "master"
    return cast(Literal["master", "worker"], element.text)


def _key(section: Section, disabled: bool) -> str:
    element = section.last("key")
    if disabled:
        return element.raw if element is not None and _KEY.fullmatch(element.raw) else ""
    if element is None:
        section.faults.add(section.element.line, "Unspecified key", _KEY_EXPECTED)
        return ""
    if not _KEY.fullmatch(element.raw):
        found = "Key must be 32 characters long and only have alphanumeric characters"
        section.faults.add(element.line, found, f"{_KEY_EXPECTED}; blanks around it count")
        return ""
    return element.raw


def _port(section: Section, name: str, default: int) -> int:
    element = section.last(name)
    if element is None:
        return default
    if not (element.text.isascii() and element.text.isdigit()):
        section.faults.add(element.line, "Cluster port must be an integer.", "1025 to 65534")
        return default
    port = whole(element.text)
    if port is None or not 1024 < port < 65535:
        section.faults.add(element.line, "Port must be higher than 1024 and lower than 65535.", "")
        return default
    return port


def _check_nodes(section: Section, elements: list[Element]) -> None:
    faults = section.faults
    reserved = [element for element in elements if element.text in RESERVED_NODES]
    if not elements or reserved:
        named = ", ".join(element.text for element in reserved) or "NODE_IP"
        line = reserved[0].line if reserved else section.element.line
        faults.add(
            line, f"Invalid elements in node fields: {named}.", "the addresses of one, three or five nodes"
        )
        return
    seen: set[str] = set()
    for element in elements:
        if not is_host(element.text):
            shown = printable(element.text, 60)
            faults.add(element.line, f"invalid value for element 'node': {shown}", _HOST_EXPECTED)
        elif element.text in seen:
            faults.add(element.line, "a node is listed twice", "each node once")
        seen.add(element.text)
    last = elements[-1].line
    if len(elements) == 2:
        faults.add(
            last,
            "two nodes are listed: when one is down the other is no majority",
            "one node, or three (or five), of which a minority may be lost",
        )
    elif len(elements) % 2 == 0:
        faults.warn(last, f"{len(elements)} nodes survive no more losses than one fewer", "an odd number")


def _tell_old_options(section: Section) -> None:
    section.tell_unused("socket_timeout", "connection_timeout")
    if (element := section.last("interval")) is not None:
        section.faults.warn(element.line, "interval is no longer available", "leave it out")
    if section.has("haproxy_helper"):
        line = section.element.named("haproxy_helper")[0].line
        section.faults.warn(line, "haproxy_helper is not needed", "see garrison balancer-config haproxy")


def _check_cluster_name(text: str) -> str | None:
    return None if _CLUSTER_NAME.fullmatch(text) else "printable characters without blanks, at most 128"


def _check_node_name(text: str) -> str | None:
    return None if _NODE_NAME.fullmatch(text) else "letters, digits, '_' and '-', at most 128"


def _check_engine_path(text: str) -> str | None:
    return None if text.startswith("/") else "the absolute path of a nats-server binary"


def _check_address(text: str) -> str | None:
    return None if is_host(text) else "an address of this host, or 0.0.0.0 for all"
