"""alerts.log, archives.log, firewall.log, and the layout of the operator's own."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone

import pytest

from garrison.alerts.render import (
    alert_json,
    alert_text,
    archive_text,
    custom_text,
    firewall_text,
    is_archived,
    stamp,
)
from tests.alerts.samples import AT, LOG, event, verdict

WHEN = b"2026 Nov 25 03:22:55"


def test_stamp() -> None:
    assert stamp(AT, UTC) == WHEN
    assert stamp(AT, timezone(timedelta(hours=-4))) == b"2026 Nov 24 23:22:55"


def test_alert_of_this_host() -> None:
    assert alert_text(verdict(), "1795576975.520", WHEN) == (
        b"** Alert 1795576975.520: - syslog,sshd,authentication_success,gdpr_IV_32.2,\n"
        b"2026 Nov 25 03:22:55 gate->/var/log/auth.log\n"
        b"Rule: 200101 (level 3) -> 'sshd: login accepted.'\n"
        b"Src IP: 203.0.113.9\n"
        b"Src Port: 4001\n"
        b"User: ana\n" + LOG + b"\n\n"
    )


def test_alert_of_an_agent_with_everything() -> None:
    subject = event(
        agent_id=b"001",
        location=b"(web01) 10.0.0.5->/var/log/auth.log",
        full_log=b"two\nlines \xff",
        static={"srcip": b"1.1.1.1", "dstip": b"2.2.2.2", "dstport": b"22", "dstuser": b"", "url": b"/"},
        dynamic=[(b"a.b", b"[1]"), (b"empty", b""), (b"c", b"d")],
    )
    made = verdict(subject, is_mailed=True, previous=(b"newest", b"older"))
    assert alert_text(made, "5.0", WHEN, (("city", "Bern"),)) == (
        b"** Alert 5.0: mail  - syslog,sshd,authentication_success,gdpr_IV_32.2,\n"
        b"2026 Nov 25 03:22:55 (web01) 10.0.0.5->/var/log/auth.log\n"
        b"city: Bern\n"
        b"Rule: 200101 (level 3) -> 'sshd: login accepted.'\n"
        b"Src IP: 1.1.1.1\n"
        b"Dst IP: 2.2.2.2\n"
        b"Dst Port: 22\n"
        b"User: \n"
        b"two\nlines \xff\n"
        b"a.b: [1]\n"
        b"c: d\n"
        b"newest\n"
        b"older\n"
        b"\n"
    )


def test_file_integrity() -> None:
    subject = event(full_log=b"File '/etc/a' modified\n", static={}, dynamic=[(b"file", b"/etc/a")])
    subject.extra = {
        "path": "/etc/a",
        "size_after": "13",
        "perm_after": "rw-r--r--",
        "uid_after": "0",
        "uname_after": "root",
        "md5_after": "5eb6",
        "mtime_after": "2026-03-03T10:01:40",
        "inode_after": 777,
        "audit": {"user": {"name": "ana"}, "process": {"id": "9", "name": "/bin/vi"}},
        "diff": "1c1",
        "tags": ["a", "b"],
    }
    text = alert_text(verdict(subject, level=7), "5.0", WHEN).split(b"\n", 3)[3]
    assert text.decode() == (
        "File '/etc/a' modified\n\nAttributes:\n - Size: 13\n - Permissions: rw-r--r--\n"
        " - Date: Tue Mar  3 10:01:40 2026\n - Inode: 777\n - User: root (0)\n - MD5: 5eb6\n"
        " - (Audit) User name: ana\n - (Audit) Process id: 9\n - (Audit) Process name: /bin/vi\n"
        "\nWhat changed:\n1c1\n\nTags:\n - a\n - b\n\n"
    )


def test_archive_line() -> None:
    assert archive_text(event(full_log=b"hello"), WHEN) == WHEN + b" gate->/var/log/auth.log hello\n"
    assert not is_archived(event(location=b"ossec-keepalive"))
    assert not is_archived(event(location=b"(a) any->ossec-keepalive"))
    assert is_archived(event())


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (b"Blocked", b"DROP"),
        (b"reject", b"DROP"),
        (b"teardown", b"CLOSED"),
        (b"Permit", b"ALLOW"),
        (b"x-accept", b"ALLOW"),
        (b"hm", b"UNKNOWN"),
    ],
)
def test_firewall_line(action: bytes, word: bytes) -> None:
    six = {
        "action": action,
        "protocol": b"TCP",
        "srcip": b"203.0.113.5",
        "srcport": b"4000",
        "dstip": b"10.0.0.9",
        "dstport": b"22",
    }
    line = firewall_text(event(category="firewall", static=six), WHEN)
    assert line == WHEN + b" gate->/var/log/auth.log " + word + b" TCP 203.0.113.5:4000->10.0.0.9:22\n"
    assert firewall_text(event(static=six), WHEN) is None
    del six["dstport"]
    assert firewall_text(event(category="firewall", static=six), WHEN) is None


def test_own_layout_replaces_tokens_once() -> None:
    layout = b"$TIMESTAMP|$FTELL|$RULEALERT|$HOSTNAME|$LOCATION|$RULEID|$RULELEVEL|"
    layout += b"$SRCIP|$DSTUSER|$FULLLOG|$RULECOMMENT|$X"
    subject = event(full_log=b"a\n$RULEID", static={})
    assert custom_text(layout, verdict(subject, is_mailed=True), "7.9") == (
        b"7|9|mail |gate|/var/log/auth.log|200101|3|None|None|a\\n$RULEID|sshd: login accepted.|$X\n"
    )


def test_json_line() -> None:
    assert alert_json({"a": "\udcff/"}) == b'{"a":"\xff/"}\n'
