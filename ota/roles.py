"""Who signs what, and for how long. docs/adr/0017 says why."""

from typing import Final

ROOT: Final = "root"
TARGETS: Final = "targets"
SNAPSHOT: Final = "snapshot"
TIMESTAMP: Final = "timestamp"
KINDS: Final = ("os", "app", "config")
"""Each kind has a role of its own, which can vouch for nothing else."""

OFFLINE: Final = (ROOT, TARGETS)
"""Their keys are needed a few times a year and kept where no network is."""
ONLINE: Final = (SNAPSHOT, TIMESTAMP)
"""Their keys lie where `reed-ota refresh` runs; they say what is newest, never what is genuine."""
TOP: Final = (ROOT, TARGETS, SNAPSHOT, TIMESTAMP)

DAYS: Final = {ROOT: 365.0, TARGETS: 90.0, **dict.fromkeys(KINDS, 90.0), SNAPSHOT: 7.0, TIMESTAMP: 1.0}
"""After so many days without a new signature gateways refuse: the shorter, the less can be held back from
them; the longer, the less often somebody has to fetch a key."""

PATHS: Final = {kind: [f"{kind}/*", f"{kind}/*/*"] for kind in KINDS}
"""Paths that each kind's role may vouch for."""

ROOT_KEYS: Final = 3
ROOT_THRESHOLD: Final = 2
"""One lost key stops nothing, one stolen key gains nothing."""


def delegator(role: str) -> str:
    """Return who says which keys count for a role."""
    return TARGETS if role in KINDS else ROOT
