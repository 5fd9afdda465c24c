"""Log lines of an SSH server under a password-guessing attack, made here in the format of the real thing. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator

USERS = ("root", "admin", "oracle", "test", "guest", "ubuntu", "postgres", "webmaster")
LINES = 600


def ssh_lines(count: int = LINES, seed: int = 7) -> Iterator[str]:
    """`count` lines, the same each time."""
    dice = random.Random(seed)
    attackers = [f"203.0.113.{dice.randrange(1, 255)}" for _ in range(5)]
    second = 0
    for number in range(count):
        second += dice.randrange(3)
        stamp = f"Dec 10 {6 + second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
        head = f"{stamp} gate sshd[{24200 + number // 4}]:"
        source, port, user = dice.choice(attackers), dice.randrange(1024, 65535), dice.choice(USERS)
        yield f"{head} {dice.choice(_MESSAGES).format(user=user, source=source, port=port)}"


_MESSAGES = (
    "Failed password for {user} from {source} port {port} ssh2",
    "Failed password for {user} from {source} port {port} ssh2",
    "Failed password for invalid user {user}1 from {source} port {port} ssh2",
    "Invalid user {user}1 from {source}",
    "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={source}  user={user}",
    "Received disconnect from {source}: 11: Bye Bye [preauth]",
    "Connection closed by {source} [preauth]",
    "Accepted password for ana from 198.51.100.7 port {port} ssh2",
)
