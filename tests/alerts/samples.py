"""Verdicts to write, made by hand."""

from __future__ import annotations

from garrison.analysis.event import DecoderCard, Event, RuleCard, Verdict

AT = 1795576975.25  # 2026-11-25 03:22:55 UTC

LOG = b"Mar  3 10:00:00 gate sshd[411]: Accepted password for ana from 203.0.113.9 port 4001 ssh2"


def event(
    *,
    at: float = AT,
    location: bytes = b"/var/log/auth.log",
    agent_id: bytes = b"000",
    full_log: bytes = LOG,
    category: str = "syslog",
    static: dict[str, bytes] | None = None,
    dynamic: list[tuple[bytes, bytes]] | None = None,
) -> Event:
    """A decoded sshd line of host gate."""
    return Event(
        at=at,
        queue="1",
        agent_id=agent_id,
        location=location,
        hostname=b"gate",
        full_log=full_log,
        log=full_log,
        size=len(full_log),
        decoder=DecoderCard(name=b"sshd", parent=b"sshd"),
        category=category,
        static={"srcip": b"203.0.113.9", "srcport": b"4001", "dstuser": b"ana"} if static is None else static,
        dynamic=dynamic or [],
    )


def rule(*, level: int = 3, groups: bytes = b"syslog,sshd,authentication_success,gdpr_IV_32.2,") -> RuleCard:
    """A rule as outputs see it."""
    return RuleCard(
        id=200101, level=level, description=b"sshd: login accepted.", groups=groups, path="x.xml", line=1
    )


def verdict(
    subject: Event | None = None,
    *,
    level: int = 3,
    is_alert: bool = True,
    is_mailed: bool = False,
    previous: tuple[bytes, ...] = (),
) -> Verdict:
    """An alert of `level` on `subject`."""
    return Verdict(
        event=subject or event(),
        rule=rule(level=level),
        description=b"sshd: login accepted.",
        fired_times=1,
        previous=previous,
        is_recorded=level > 0,
        is_alert=is_alert,
        is_mailed=is_mailed,
    )
