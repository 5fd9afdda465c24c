"""File integrity events (queue 8): JSON of agents from 3.11 on becomes fields, a log for people and `syscheck`. Pure.

    {"type":"event","data":{"path":"/etc/x","type":"modified","mode":"realtime","attributes":{...},"old_attributes":{...}}}

Rules see dynamic fields (`file`, `size_before`, ...), alerts the object `syscheck`. Marks of a scan are no events. The
text form of older agents is refused. Source: spec/analysis.md 18.1; spec/analysis-3-outputs.md 7.2.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from garrison.analysis.event import DecoderCard, Event
from garrison.analysis.fields import add_named
from garrison.analysis.module_json import (
    NoEvent,
    encoded,
    is_object,
    member,
    members,
    read_object,
    text,
    texts,
)

MOST_PATH_BYTES = 756
_CUT = " [...] "
_INDEX_FROM_VERSION = 3.0

FILE, KEY, VALUE = "file", "registry_key", "registry_value"
_CHANGES = ("added", "modified", "deleted")
_FILE_DECODERS = {
    "added": b"syscheck_new_entry",
    "modified": b"syscheck_integrity_changed",
    "deleted": b"syscheck_deleted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute: its JSON name, the field that rules see, the name in `syscheck`, and the words of the log.

    `words` are the beginning and the middle of `Size changed from 'a' to 'b'`; two texts with a line end between make
    two lines.
    """

    name: str
    field: str
    shown: str
    words: tuple[str, str]


ATTRIBUTES = (
    Attribute(name="size", field="size", shown="size", words=("Size changed from", "to")),
    Attribute(name="perm", field="perm", shown="perm", words=("Permissions changed from", "to")),
    Attribute(name="uid", field="uid", shown="uid", words=("Ownership was", ", now it is")),
    Attribute(name="user_name", field="uname", shown="uname", words=("User name was", ", now it is")),
    Attribute(name="gid", field="gid", shown="gid", words=("Group ownership was", ", now it is")),
    Attribute(name="group_name", field="gname", shown="gname", words=("Group name was", ", now it is")),
    Attribute(
        name="mtime", field="mtime", shown="mtime", words=("Old modification time was:", ", now it is")
    ),
    Attribute(name="inode", field="inode", shown="inode", words=("Old inode was:", ", now it is")),
    Attribute(name="hash_md5", field="md5", shown="md5", words=("Old md5sum was:", "\nNew md5sum is :")),
    Attribute(name="hash_sha1", field="sha1", shown="sha1", words=("Old sha1sum was:", "\nNew sha1sum is :")),
    Attribute(
        name="hash_sha256",
        field="sha256",
        shown="sha256",
        words=("Old sha256sum was:", "\nNew sha256sum is :"),
    ),
    Attribute(
        name="attributes",
        field="win_attributes",
        shown="attrs",
        words=("Old attributes were:", "\nNow they are"),
    ),
)
"""In the order of the log."""

_SHOWN_ORDER = (
    "size perm uid gid hash_md5 hash_sha1 hash_sha256 attributes user_name group_name mtime inode".split()
)
_BY_NAME = {attribute.name: attribute for attribute in ATTRIBUTES}

_AUDIT = {
    "user": {"id": "user_id", "name": "user_name"},
    "process": {
        "id": "process_id",
        "name": "process_name",
        "cwd": "cwd",
        "parent_name": "parent_name",
        "parent_cwd": "parent_cwd",
        "ppid": "ppid",
    },
    "group": {"id": "group_id", "name": "group_name"},
    "login_user": {"id": "audit_uid", "name": "audit_name"},
    "effective_user": {"id": "effective_uid", "name": "effective_name"},
}


def decode(event: Event) -> None:
    """Fills the event; raises `NoEvent` for marks of a scan and for what is no such event."""
    message = read_object(event.log)
    if member(message, "type") != "event":
        raise NoEvent(f"type {text(member(message, 'type'))[:40]!r}")
    change = _Change(member(message, "data"))
    event.decoder = DecoderCard(name=change.decoder_name())
    event.category = "ossec"
    for name, value in change.fields():
        if value:
            add_named(event, name, value)
    event.full_log = event.log = encoded(change.log())
    event.size = len(event.log)
    event.extra = change.shown()


class _Change:
    """What one event says."""

    def __init__(self, data: Any) -> None:
        if not is_object(data):
            raise NoEvent("no data")
        self._data = data
        self._new = member(data, "attributes")
        self._old = member(data, "old_attributes")
        self.path = self._text("path")
        self.change = self._text("type")
        self.kind = text(member(self._new, "type"))
        if not self.path or self.change not in _CHANGES or self.kind not in (FILE, KEY, VALUE, "registry"):
            raise NoEvent("no path, change or kind of entry")
        version = member(data, "version")
        is_indexed = isinstance(version, int | float) and version >= _INDEX_FROM_VERSION
        if is_indexed and self.kind in (KEY, VALUE) and not self._text("index"):
            raise NoEvent("a registry entry without its index")

    def _text(self, name: str) -> str:
        return text(member(self._data, name))

    def decoder_name(self) -> bytes:
        """The name that rules know."""
        if self.kind in (KEY, VALUE):
            return f"syscheck_{self.kind}_{self.change}".encode()
        return _FILE_DECODERS[self.change]

    def _pairs(self) -> Iterator[tuple[Attribute, str, str]]:
        """(attribute, old, new) as texts, in the order of the log."""
        for attribute in ATTRIBUTES:
            yield attribute, _plain(self._old, attribute.name), _plain(self._new, attribute.name)

    # -- what rules see

    def fields(self) -> Iterator[tuple[str, str]]:
        """(name, value) of all dynamic fields, those without a value too."""
        yield "file", self.path
        yield "hard_links", ",".join(texts(member(self._data, "hard_links")))
        yield "mode", self._text("mode")
        for attribute, old, new in self._pairs():
            yield attribute.field, new
            yield f"{attribute.field}_before", old
        yield "changed_content", self._text("content_changes")
        yield "changed_fields", ",".join(texts(member(self._data, "changed_attributes")))
        audit = member(self._data, "audit")
        for names in _AUDIT.values():
            for name in names.values():
                yield name, text(member(audit, name))
        yield "tag", self._text("tags")
        yield "symbolic_path", text(member(self._new, "symlink_path"))
        yield "arch", self._text("arch")
        yield "value_name", self._text("value_name")
        yield "value_type", text(member(self._new, "value_type"))
        yield "hash_full_path", self._text("index")
        yield "entry_type", self.kind
        yield "event_type", self.change

    # -- the log

    def log(self) -> str:
        """The text for people; each line has its end."""
        lines = [f"{self._title()} {self.change}"]
        if links := texts(member(self._data, "hard_links")):
            lines.append(f"Hard links: {','.join(links)}")
        if mode := self._text("mode"):
            lines.append(f"Mode: {mode}")
        if changed := texts(member(self._data, "changed_attributes")):
            lines.append(f"Changed attributes: {','.join(changed)}")
        if self.change == "modified":
            lines += [
                _difference(attribute, old, new)
                for attribute, old, new in self._pairs()
                if old and new and old != new
            ]
        return "\n".join(lines) + "\n"

    def _title(self) -> str:
        path, arch, value = _shortened(self.path), self._text("arch"), self._text("value_name")
        if self.kind == KEY:
            return f"Registry Key '{arch} {path}'"
        return f"Registry Value '{arch} {path}\\{value}'" if self.kind == VALUE else f"File '{path}'"

    # -- what alerts show

    def shown(self) -> dict[str, Any]:
        """The object `syscheck`."""
        data = self._data
        found: dict[str, Any] = {
            "path": self.path,
            "hard_links": texts(member(data, "hard_links")),
            "mode": self._text("mode"),
            "symbolic_path": text(member(self._new, "symlink_path")),
            "arch": self._text("arch"),
            "value_name": self._text("value_name"),
            "value_type": text(member(self._new, "value_type")),
        }
        for name in _SHOWN_ORDER:
            found.update(self._shown_pair(_BY_NAME[name]))
        found |= {
            "diff": self._text("content_changes"),
            "tags": [tag for tag in self._text("tags").split(",") if tag],
            "changed_attributes": texts(member(data, "changed_attributes")),
            "event": self.change,
            "audit": self._audit(),
        }
        return {name: value for name, value in found.items() if value}

    def _shown_pair(self, attribute: Attribute) -> Iterator[tuple[str, Any]]:
        old, new = _value(self._old, attribute.name), _value(self._new, attribute.name)
        name = attribute.shown
        if name == "perm" and is_object(member(self._new, "perm")):
            name = "win_perm"
        if old and old != new:
            yield f"{name}_before", old
        if new:
            yield f"{name}_after", new

    def _audit(self) -> dict[str, dict[str, str]]:
        audit = member(self._data, "audit")
        found = {
            who: {name: value for name, key in names.items() if (value := text(member(audit, key)))}
            for who, names in _AUDIT.items()
        }
        return {who: values for who, values in found.items() if values}


def _difference(attribute: Attribute, old: str, new: str) -> str:
    before, after = attribute.words
    blank = "" if after.startswith((",", "\n")) else " "
    return f"{before} '{old}'{blank}{after} '{new}'"


def _shortened(path: str) -> str:
    raw = encoded(path)
    if len(raw) <= MOST_PATH_BYTES:
        return path
    half = (MOST_PATH_BYTES - len(_CUT)) // 2
    return raw[:half].decode("utf-8", "ignore") + _CUT + raw[-half:].decode("utf-8", "ignore")


def _plain(attributes: Any, name: str) -> str:
    """An attribute as one text."""
    value = member(attributes, name)
    return _permissions_text(value) if name == "perm" and is_object(value) else text(value)


def _value(attributes: Any, name: str) -> Any:
    """An attribute as `syscheck` shows it; empty where there is nothing to show."""
    value = member(attributes, name)
    if name == "perm" and is_object(value):
        return [_permission(entry) for _, entry in members(value) if is_object(entry)]
    if name == "attributes":
        return [word for word in text(value).split(", ") if word]
    if name == "mtime":
        return _local_time(value)
    if name == "inode":
        number = text(value)
        return int(number) if number.isascii() and number.isdecimal() and len(number) <= 20 else 0
    return text(value)


def _permission(entry: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"name": text(member(entry, "name"))}
    for right in ("allowed", "denied"):
        if words := [word.upper() for word in texts(member(entry, right))]:
            found[right] = words
    return found


def _permissions_text(value: Any) -> str:
    """`SYSTEM (allowed): READ_DATA|WRITE_DATA, Guests (denied): DELETE`."""
    parts = []
    for _, entry in members(value):
        if is_object(entry):
            permission = _permission(entry)
            parts += [
                f"{permission['name']} ({right}): {'|'.join(permission[right])}"
                for right in ("allowed", "denied")
                if right in permission
            ]
    return ", ".join(parts)


def _local_time(value: Any) -> str:
    seconds = text(value)
    if not seconds.isascii() or not seconds.isdecimal() or len(seconds) > 11 or not int(seconds):
        return ""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(int(seconds)))
