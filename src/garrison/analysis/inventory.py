"""Inventory events (queue d): a change of one row of a table of the agent's inventory. Pure.

    {"type":"dbsync_ports","operation":"INSERTED","data":{"local_port":4444,"protocol":"tcp",...}}

The known columns of a table become fields under its prefix, in a fixed order; other columns are left out.
Source: spec/analysis.md 18.3; spec/analysis-3-outputs.md 7.5.
"""

from __future__ import annotations

from typing import Any

from garrison.analysis.event import DecoderCard, Event
from garrison.analysis.fields import add_named
from garrison.analysis.module_json import NoEvent, is_object, member, members, read_object, text

PLACE = b"syscollector"
OPERATIONS = ("INSERTED", "MODIFIED", "DELETED")
MOST_COLUMNS = 100


def _columns(words: str, **renamed: str) -> tuple[tuple[str, str], ...]:
    """(column, field) in order; `renamed` maps a field to its column where the two differ."""
    return tuple((renamed.get(word, word), word) for word in words.split())


TABLES: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "ports": (
        "port.",
        _columns("protocol local_ip local_port remote_ip remote_port tx_queue rx_queue inode state pid process"),
    ),
    "packages": (
        "program.",
        _columns(
            "format name priority section size vendor install_time version architecture multiarch source description "
            "location",
            section="groups",
        ),
    ),
    "osinfo": (
        "os.",
        _columns(
            "hostname architecture name version codename major minor patch build platform sysname release os_release "
            "display_version",
            name="os_name", version="os_version", codename="os_codename", major="os_major", minor="os_minor",
            patch="os_patch", build="os_build", platform="os_platform", display_version="os_display_version",
        ),
    ),
    "hwinfo": (
        "hardware.",
        _columns("serial cpu_name cpu_cores cpu_mhz ram_total ram_free ram_usage", serial="board_serial"),
    ),
    "processes": (
        "process.",
        _columns(
            "pid name state ppid utime stime cmd args euser ruser suser egroup rgroup sgroup fgroup priority nice size "
            "vm_size resident share start_time pgrp session nlwp tgid tty processor",
            args="argvs",
        ),
    ),
    "network_iface": (
        "netinfo.iface.",
        _columns(
            "name adapter type state mtu mac tx_packets rx_packets tx_bytes rx_bytes tx_errors rx_errors tx_dropped "
            "rx_dropped"
        ),
    ),
    "network_protocol": ("netinfo.proto.", _columns("iface type gateway dhcp metric")),
    "network_address": ("netinfo.addr.", _columns("iface proto address netmask broadcast")),
    "hotfixes": ("", _columns("hotfix")),
    "groups": (
        "group.",
        _columns(
            "group_id group_name group_description group_id_signed group_uuid group_is_hidden group_users"
        ),
    ),
}  # fmt: skip

OPEN_TABLES = {"users": "user.", "services": "service.", "browser_extensions": "browser_extension."}
"""Tables whose columns are taken as the agent sends them."""

_NOT_SHOWN = frozenset({"scan_time", "checksum", "item_id"})
_PROTOCOLS = {"0": "ipv4", "1": "ipv6"}


def decode(event: Event) -> None:
    """Fills the event; raises `NoEvent` where it is none."""
    if event.location.rpartition(b"->")[2] != PLACE:
        raise NoEvent("not from the inventory module")
    message = read_object(event.log)
    kind, operation = text(member(message, "type")), text(member(message, "operation"))
    table = kind.removeprefix("dbsync_")
    if table == kind or operation not in OPERATIONS:
        raise NoEvent(f"type {kind[:40]!r}, operation {operation[:40]!r}")
    row = member(message, "data")
    if not is_object(row):
        raise NoEvent("no row")
    event.decoder = DecoderCard(name=b"syscollector")
    event.category = "ossec"
    add_named(event, "type", kind)
    for name, value in _fields(table, row):
        if value:
            add_named(event, name, value)
    add_named(event, "operation_type", operation)


def _fields(table: str, row: Any) -> list[tuple[str, str]]:
    if table in OPEN_TABLES:
        prefix = OPEN_TABLES[table]
        columns = [(name, value) for name, value in members(row) if name not in _NOT_SHOWN]
        return [(prefix + name, text(value)) for name, value in columns[:MOST_COLUMNS]]
    if table not in TABLES:
        raise NoEvent(f"table {table[:40]!r}")
    prefix, names = TABLES[table]
    return [(prefix + name, _shown(table, name, _column(row, column, name))) for column, name in names]


def _column(row: Any, column: str, name: str) -> str:
    value = text(member(row, column))
    if not value and name == "release":
        value = text(member(row, "release_version"))
    return value


def _shown(table: str, name: str, value: str) -> str:
    return _PROTOCOLS.get(value, value) if table == "network_address" and name == "proto" else value
