"""The starter ruleset: decoders and rules of our own, for machines that bring none. Data, and where it lies.

`FOLDER` has the layout that every ruleset folder has: `decoders/*.xml`, `rules/*.xml`.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent

FORMER_NAMES = (
    *(
        f"decoders/{name}.xml"
        for name in ("0010-pam", "0020-sshd", "0030-privilege", "0040-accounts", "0050-packages")
    ),
    *(
        f"decoders/{name}.xml"
        for name in ("0060-kernel", "0070-system", "0080-web", "0090-cluster", "0100-json")
    ),
    *(
        f"rules/{name}.xml"
        for name in ("0001-roots", "0100-sshd", "0110-pam", "0120-privilege", "0130-accounts")
    ),
    *(
        f"rules/{name}.xml"
        for name in ("0140-packages", "0150-kernel", "0160-system", "0170-web", "0180-cluster")
    ),
)
"""What files of this ruleset were called before; left beside the new ones they would define everything twice."""
