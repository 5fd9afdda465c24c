"""Log lines that operators and their tools know, and that no peer can forge.

    2026/11/25 01:51:24 wazuh-remoted: INFO: text          logs/ossec.log
    2026/11/25 01:51:24 INFO: [Master] [Main] text          logs/cluster.log (see `ClusterFormatter`)

Source: spec/agent-channel.md 2.10 and 9.2, spec/cluster.md 8. Local time.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

_LEVEL_WORDS = {"WARN": "WARNING", "FATAL": "CRITICAL"}


def printable(text: str | bytes, limit: int = 200) -> str:
    """`text` on one line with every control character, backslash and non-text byte escaped, cut at `limit`.

    Everything that a peer chose goes through here before it reaches a log.
    """
    if isinstance(text, bytes):
        text = text[: limit * 4].decode("utf-8", "backslashreplace")
    shown = "".join(_escape(char) for char in text[: limit + 1])
    return shown if len(text) <= limit else shown[:limit] + "..."


def _escape(char: str) -> str:
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


class OssecFormatter(logging.Formatter):
    """`YYYY/MM/DD HH:MM:SS program: LEVEL: text`; the program is the record's `program` or `default`."""

    def __init__(self, default: str) -> None:
        super().__init__(datefmt="%Y/%m/%d %H:%M:%S")
        self._default = default

    def format(self, record: logging.LogRecord) -> str:
        program = getattr(record, "program", self._default)
        level = _LEVEL_WORDS.get(record.levelname, record.levelname)
        text = _one_line(record.getMessage())
        line = f"{self.formatTime(record, self.datefmt)} {program}: {level}: {text}"
        if record.exc_info and record.exc_info[0] is not None:
            line += "\n" + self.formatException(record.exc_info)
        return line


class ClusterFormatter(logging.Formatter):
    """`YYYY/MM/DD HH:MM:SS LEVEL: [tag] [subtag] text`; tags from the record's `tag` and `subtag`."""

    def __init__(self) -> None:
        super().__init__(datefmt="%Y/%m/%d %H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        tag = getattr(record, "tag", "Cluster")
        subtag = getattr(record, "subtag", "Main")
        text = _one_line(record.getMessage())
        return f"{self.formatTime(record, self.datefmt)} {record.levelname}: [{tag}] [{subtag}] {text}"


def _one_line(text: str) -> str:
    return "".join(char if char == "\t" or char.isprintable() else _escape(char) for char in text)


class ProgramAdapter(logging.LoggerAdapter[logging.Logger]):
    """A logger whose lines carry the daemon name that operators grep for, such as `wazuh-remoted`."""

    def __init__(self, name: str, program: str) -> None:
        super().__init__(logging.getLogger(name), {"program": program})


class ClusterAdapter(logging.LoggerAdapter[logging.Logger]):
    """A logger for `logs/cluster.log`: lines carry a tag and subtag and go to `garrison.clusterlog`."""

    def __init__(self, tag: str, subtag: str) -> None:
        super().__init__(logging.getLogger("garrison.clusterlog"), {"tag": tag, "subtag": subtag})


def add_file(logger: logging.Logger, path: Path, formatter: logging.Formatter) -> None:
    """From now on `logger` appends to `path`; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(formatter)
    logger.addHandler(handler)


def add_stderr(logger: logging.Logger, formatter: logging.Formatter) -> None:
    """From now on `logger` writes to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logger.addHandler(handler)


class RateLimit:
    """Lets through at most `burst` events a key and `per_s` more each second; counts what it held back.

    Keys are bounded: beyond `most_keys` the table is forgotten as a whole, which lets at most one more
    burst a key through.
    """

    def __init__(self, *, burst: int, per_s: float, most_keys: int = 4096) -> None:
        self._burst = burst
        self._per_s = per_s
        self._most_keys = most_keys
        self._left: dict[str, tuple[float, float]] = {}
        self.held_back = 0

    def allows(self, key: str, now: float) -> bool:
        """True when this event of `key` at `now` (monotonic seconds) may pass."""
        if len(self._left) >= self._most_keys and key not in self._left:
            self._left.clear()
        left, since = self._left.get(key, (float(self._burst), now))
        left = min(float(self._burst), left + (now - since) * self._per_s)
        if left < 1:
            self._left[key] = (left, now)
            self.held_back += 1
            return False
        self._left[key] = (left - 1, now)
        return True
