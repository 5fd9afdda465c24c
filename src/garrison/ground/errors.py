"""The errors of the product, branched by who must act.

    GarrisonError
    ├── ConfigError    the operator: a configuration file is wrong (carries every fault at once)
    ├── RuleError      the rule author: a decoder, rule or list is wrong (carries every fault at once)
    ├── PeerError      the other side broke its protocol: that connection is dropped, nothing else
    ├── StoreError     the disk: a file cannot be read or written
    ├── FabricError    the cluster engine refused or is away
    │   ├── EngineAway      no member answers: go on with what is known, try again later
    │   ├── KeyTaken        create-if-absent found the key present
    │   └── WrongRevision   compare-and-set found another revision
    └── Refused        the caller asked for something that the rules of the product forbid

Our own bugs are not among them: they stay `AssertionError` and end the task that met them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class GarrisonError(Exception):
    """Root of everything that we raise on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong in a text somebody wrote.

    `line` counts from 1, `column` in bytes; 0 where there is none to name. `found` is what stands there, `expected` what
    would be right. `is_warning` marks what is tolerated and only told.
    """

    path: str
    line: int
    found: str
    expected: str
    is_warning: bool = False
    column: int = 0

    def __str__(self) -> str:
        kind = "warning" if self.is_warning else "error"
        place = f"{self.path}:{self.line}" if self.line else self.path
        expected = f"; {self.expected}" if self.expected else ""
        return f"{place}: {kind}: {self.found}{expected}"


class FaultyText(GarrisonError):
    """A text with one fault or more, all of them gathered before this is raised once."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class ConfigError(FaultyText):
    """The operator must mend a configuration file."""


class RuleError(FaultyText):
    """The rule author must mend a decoder, a rule or a list."""


class PeerError(GarrisonError):
    """The other side broke the protocol. `reason` is ours and safe to log; the peer's bytes are not in it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class StoreError(GarrisonError):
    """A file cannot be read or written. `path` says which."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}")


class FabricError(GarrisonError):
    """The cluster engine refused an operation."""


class EngineAway(FabricError):
    """No engine member answers. What is known stays in use; the operation may be tried again later."""


class KeyTaken(FabricError):
    """Create-if-absent found the key present."""


class WrongRevision(FabricError):
    """Compare-and-set found another revision than the one given."""


class Refused(GarrisonError):
    """The request is well formed and forbidden. `code` is the number operators know, 0 for none."""

    def __init__(self, message: str, code: int = 0) -> None:
        self.message = message
        self.code = code
        super().__init__(message)
