"""From group folders to the bundle that an agent receives. Pure; bytes are made by `wire.merged`.

Source: spec/agent-channel.md 6.1 to 6.4; vectors merged-mg.json, multigroup.json.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from garrison.wire import merged

AGENT_CONF_TEMPLATE = b"<agent_config>\n\n  <!-- Shared agent configuration here -->\n\n</agent_config>\n"
DEFAULT_GROUP = "default"

_GROUP_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")

Folder = Mapping[str, bytes]
"""One group's files: path relative to the group's folder -> content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What goes to the agents of one group or list of groups. `md5` is the hex sum that they report back."""

    data: bytes
    md5: str


def is_group_name(name: str) -> bool:
    """True for 1 to 128 letters, digits, `_`, `.`, `-`, other than `.`, `..` and names that begin with a dot."""
    return bool(_GROUP_NAME.fullmatch(name)) and not name.startswith(".")


def make_bundle(
    groups: tuple[str, ...], folders: Mapping[str, Folder], ar_conf: bytes | None
) -> Bundle | None:
    """The bundle of one group, or of a list in its order; None when none of them has a folder."""
    known = [group for group in groups if group in folders]
    if not known:
        return None
    if len(groups) == 1:
        tag, files = groups[0], dict(folders[groups[0]])
    else:
        tag = merged.group_hash(",".join(groups))
        files = dict(merged.merge_groups([(group, folders[group]) for group in known]))
    ordered = [] if ar_conf is None else [("ar.conf", ar_conf)]
    ordered += sorted(files.items(), key=lambda pair: pair[0].encode())
    data = merged.encode_bundle(tag, ordered)
    return Bundle(data=data, md5=hashlib.md5(data, usedforsecurity=False).hexdigest())
