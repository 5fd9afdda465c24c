"""Checks of an enrollment that need to know more than its line. Pure.

The line itself (rows 1 to 10 of the table in spec/agent-channel.md 2.3) is read by `wire.enroll_line`; who holds a name
or an address, and whether that agent may be replaced (rows 12 and 14), is decided by the registry.
"""

from __future__ import annotations

from collections.abc import Callable

from garrison.wire.address import normalize_source
from garrison.wire.enroll_line import SOURCE, EnrollRequest
from garrison.wire.names import MOST_GROUPS, EnrollRefusal

NO_MASTER = "Cannot comunicate with master"
"""Spelled as agents know it: the registry cannot be reached."""


def check_groups_exist(request: EnrollRequest, group_exists: Callable[[str], bool]) -> None:
    """Row 11: each group has a folder, and they are not too many."""
    for group in request.groups:
        if not group_exists(group):
            raise EnrollRefusal(f"Invalid group: {group}")
    if len(request.groups) > MOST_GROUPS:
        raise EnrollRefusal(f"Maximum multigroup reached: Limit is {MOST_GROUPS}")


def address_of(request: EnrollRequest, source: str, *, use_source_ip: bool) -> str:
    """The address that the new entry gets: what was asked for, the source, or `any`."""
    if request.ip == SOURCE or (request.ip is None and use_source_ip):
        return normalize_source(source)
    return request.ip or "any"
