"""Reads a home folder's configuration from disk."""

from __future__ import annotations

import errno
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from garrison.config.home import Home
from garrison.config.model import AgentConfig, ManagerConfig
from garrison.config.parse import Kind, Parsed, kind_of, parse_agent, parse_manager
from garrison.config.xml import MOST_BYTES
from garrison.ground.errors import ConfigError, Fault

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded(Generic[T]):
    """A configuration, what was tolerated, and a digest of the file that it came from (SHA-256 in hex).

    `files` are those that were read, `options` how many options the first of them sets.
    """

    config: T
    warnings: tuple[Fault, ...]
    digest: str
    files: tuple[str, ...] = ()
    options: int = 0


def load_manager(home: Path | Home) -> Loaded[ManagerConfig]:
    """The configuration of the node in `home`; `ConfigError` with every fault, an unreadable file included."""
    place = _home(home)
    text, digest = _read(place.conf)
    internal = _internal(place)
    return _loaded(parse_manager(text, str(place.conf), internal), digest, (str(place.conf), *internal))


def load_agent(home: Path | Home) -> Loaded[AgentConfig]:
    """The own configuration of the agent in `home`, without what its groups add."""
    place = _home(home)
    text, digest = _read(place.conf)
    internal = _internal(place)
    return _loaded(parse_agent(text, str(place.conf), internal), digest, (str(place.conf), *internal))


def load_kind(home: Path | Home) -> Kind:
    """What `etc/ossec.conf` of `home` configures, as the parser itself sees it."""
    conf = _home(home).conf
    return kind_of(_read(conf)[0], str(conf))


def load_text(path: Path) -> str:
    """The text of a configuration file; `ConfigError` where it is unreadable, too large or no UTF-8."""
    return _read(path)[0]


def _home(home: Path | Home) -> Home:
    return home if isinstance(home, Home) else Home(Path(home))


def _loaded(parsed: Parsed[T], digest: str, files: tuple[str, ...]) -> Loaded[T]:
    return Loaded(
        config=parsed.config, warnings=parsed.warnings, digest=digest, files=files, options=parsed.options
    )


def _internal(home: Home) -> dict[str, str]:
    files = (home.internal_options, home.local_internal_options)
    return {str(path): _read(path)[0] for path in files if path.is_file()}


def _read(path: Path) -> tuple[str, str]:
    try:
        content = _bounded(path)
        return content.decode(), hashlib.sha256(content).hexdigest()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        fault = Fault(path=str(path), line=line, found="not UTF-8 text", expected="UTF-8")
        raise ConfigError([fault]) from error
    except OSError as error:
        fault = Fault(path=str(path), line=0, found=error.strerror or str(error), expected="a readable file")
        raise ConfigError([fault]) from error


def _bounded(path: Path) -> bytes:
    """The content of a regular file; a device or a pipe would never end."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "Not a regular file")
    with path.open("rb") as stream:
        content = stream.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise OSError(errno.EFBIG, f"File is larger than {MOST_BYTES} bytes")
    return content
