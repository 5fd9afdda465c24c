"""Alerts, archives and the firewall log as the bytes of their files. Pure.

    ** Alert 1795576975.520: - syslog,sshd,authentication_success,
    2026 Nov 25 03:22:55 gate->/var/log/auth.log
    Rule: 200110 (level 3) -> 'sshd: login accepted.'
    Src IP: 203.0.113.9
    Src Port: 4001
    User: ana
    Mar  3 10:00:00 gate sshd[411]: Accepted password for ana from 203.0.113.9 port 4001 ssh2
    method: password
                                                              <- an empty line ends the record

A log that holds newlines keeps them here, as programs that read these files expect; the JSON form is the one that
cannot be mistaken. Source: spec/analysis.md 15, 16; spec/analysis-3-outputs.md 3, 7.2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any

from garrison.alerts.json_text import encode_json
from garrison.alerts.labels import Labels
from garrison.alerts.rotation import MONTHS
from garrison.analysis.event import Event, Verdict

KEEPALIVE_PLACE = b"ossec-keepalive"
MOST_TOKEN_BYTES = 1023
TEXT_END = b"\n\n"
LINE_END = b"\n"

_ADDRESS_LINES = (
    ("srcip", b"Src IP: "),
    ("srcport", b"Src Port: "),
    ("dstip", b"Dst IP: "),
    ("dstport", b"Dst Port: "),
    ("dstuser", b"User: "),
)
_FIREWALL_FIELDS = ("action", "protocol", "srcip", "srcport", "dstip", "dstport")
_FIREWALL_WORDS = {b"DROP": b"drb", b"CLOSED": b"ct", b"ALLOW": b"apo"}


def alert_json(alert: Mapping[str, Any]) -> bytes:
    """One line of alerts.json or archives.json."""
    return encode_json(alert) + LINE_END


def stamp(at: float, zone: tzinfo | None = None) -> bytes:
    """`2026 Nov 25 03:22:55` in `zone`, or in the machine's own."""
    local = datetime.fromtimestamp(at, zone)
    return f"{local.year:04d} {MONTHS[local.month - 1]} {local:%d %H:%M:%S}".encode()


def place(event: Event) -> bytes:
    """The location as the text files name it: `(web01) 10.0.0.5->/var/log/x`, or `gate->/var/log/x`."""
    return event.location if event.location.startswith(b"(") else event.hostname + b"->" + event.location


def alert_text(verdict: Verdict, alert_id: str, when: bytes, labels: Labels = ()) -> bytes:
    """One record of alerts.log; `when` is the event's `stamp`. The verdict has a rule."""
    rule, event = verdict.rule, verdict.event
    assert rule is not None
    mail = b" mail " if verdict.is_mailed else b""
    lines = [
        b"** Alert %s:%s - %s" % (alert_id.encode(), mail, rule.groups),
        b"%s %s" % (when, place(event)),
    ]
    lines += (f"{name}: {text}".encode("utf-8", "surrogateescape") for name, text in labels)
    lines.append(b"Rule: %d (level %d) -> '%s'" % (rule.id, rule.level, verdict.description))
    lines += (head + event.static[name] for name, head in _ADDRESS_LINES if name in event.static)
    lines.append(event.full_log)
    if event.extra is None:
        lines += (name + b": " + text for name, text in event.dynamic if text)
    else:
        lines += _integrity_lines(event.extra)
    lines += verdict.previous
    return LINE_END.join(lines) + TEXT_END


def archive_text(event: Event, when: bytes) -> bytes:
    """One line of archives.log."""
    return b"%s %s %s\n" % (when, place(event), event.full_log)


def is_archived(event: Event) -> bool:
    """False for the agents' keep-alive marks, which no archive holds."""
    return event.location != KEEPALIVE_PLACE and not event.location.endswith(b"->" + KEEPALIVE_PLACE)


def firewall_text(event: Event, when: bytes) -> bytes | None:
    """The line of firewall.log, None when `event` is no firewall event or lacks one of the six fields."""
    if event.category != "firewall":
        return None
    values = [event.static.get(name) for name in _FIREWALL_FIELDS]
    if not all(values):
        return None
    action, protocol, srcip, srcport, dstip, dstport = (value or b"" for value in values)
    return b"%s %s %s %s %s:%s->%s:%s\n" % (
        when,
        place(event),
        _firewall_action(action),
        protocol,
        srcip,
        srcport,
        dstip,
        dstport,
    )


def _firewall_action(action: bytes) -> bytes:
    lowered = action.lower()
    for word, initials in _FIREWALL_WORDS.items():
        if lowered[:1] in (initials[n : n + 1] for n in range(len(initials))):
            return word
    if b"drop" in lowered:
        return b"DROP"
    return b"ALLOW" if b"accept" in lowered or b"allow" in lowered else b"UNKNOWN"


_TOKEN = re.compile(
    rb"\$(TIMESTAMP|FTELL|RULEALERT|HOSTNAME|LOCATION|RULEID|RULELEVEL|RULECOMMENT|RULEGROUP|SRCIP|DSTUSER|FULLLOG)"
)


def custom_text(layout: bytes, verdict: Verdict, alert_id: str) -> bytes:
    """The line that `custom_alert_output` asks for. A token inside a log is left as it is."""
    rule, event = verdict.rule, verdict.event
    assert rule is not None
    seconds, _, offset = alert_id.partition(".")
    values = {
        b"TIMESTAMP": seconds.encode(),
        b"FTELL": offset.encode(),
        b"RULEALERT": b"mail " if verdict.is_mailed else b"",
        b"HOSTNAME": event.hostname or b"None",
        b"LOCATION": event.location or b"None",
        b"RULEID": b"%d" % rule.id,
        b"RULELEVEL": b"%d" % rule.level,
        b"RULECOMMENT": verdict.description,
        b"RULEGROUP": rule.groups,
        b"SRCIP": event.static.get("srcip") or b"None",
        b"DSTUSER": event.static.get("dstuser") or b"None",
        b"FULLLOG": event.full_log.replace(b"\r", b"\\r").replace(b"\n", b"\\n"),
    }
    return _TOKEN.sub(lambda found: values[found[1]][:MOST_TOKEN_BYTES], layout) + LINE_END


_ATTRIBUTE_LINES = (
    ("perm_after", "Permissions"),
    ("win_perm_after", "Permissions"),
    ("mtime_after", "Date"),
    ("inode_after", "Inode"),
)
_DIGEST_LINES = (
    ("md5_after", "MD5"),
    ("sha1_after", "SHA1"),
    ("sha256_after", "SHA256"),
    ("attrs_after", "File attributes"),
)
_AUDIT_LINES = (
    ("user", "name", "User name"),
    ("login_user", "name", "Audit name"),
    ("effective_user", "name", "Effective name"),
    ("group", "name", "Group name"),
    ("process", "id", "Process id"),
    ("process", "name", "Process name"),
    ("process", "cwd", "Process cwd"),
    ("process", "parent_name", "Parent process name"),
    ("process", "ppid", "Parent process id"),
    ("process", "parent_cwd", "Parent process cwd"),
)


def _integrity_lines(extra: Mapping[str, Any]) -> list[bytes]:
    """What follows the log of a file integrity event; `extra` is the object `syscheck` of its alert."""
    lines = ["Attributes:"]
    lines += _named(extra, (("size_after", "Size"),))
    lines += _named(extra, _ATTRIBUTE_LINES)
    for who, number, title in (("uname_after", "uid_after", "User"), ("gname_after", "gid_after", "Group")):
        if extra.get(who):
            lines.append(f" - {title}: {extra[who]} ({extra.get(number, '')})")
    lines += _named(extra, _DIGEST_LINES)
    audit = extra.get("audit") or {}
    for part, key, title in _AUDIT_LINES:
        if value := (audit.get(part) or {}).get(key):
            lines.append(f" - (Audit) {title}: {value}")
    if extra.get("diff"):
        lines += ["", "What changed:", str(extra["diff"])]
    if extra.get("tags"):
        lines += ["", "Tags:", *(f" - {tag}" for tag in extra["tags"])]
    return [line.encode("utf-8", "surrogateescape") for line in lines]


def _named(extra: Mapping[str, Any], titles: tuple[tuple[str, str], ...]) -> list[str]:
    return [f" - {title}: {_attribute(key, extra[key])}" for key, title in titles if extra.get(key)]


def _attribute(key: str, value: Any) -> str:
    if key == "mtime_after":
        return datetime.fromisoformat(str(value)).ctime()
    if key == "win_perm_after":
        return ", ".join(_windows_rights(entry) for entry in value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _windows_rights(entry: Mapping[str, Any]) -> str:
    kinds = [kind for kind in ("allowed", "denied") if entry.get(kind)]
    return ", ".join(f"{entry.get('name', '')} ({kind}): {'|'.join(entry[kind])}" for kind in kinds)
