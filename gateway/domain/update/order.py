"""What is wanted of an update: all that the daemon needs to know of one."""

from dataclasses import dataclass

from gateway.domain.update.words import Kind


@dataclass(frozen=True, slots=True)
class Window:
    """Part of each day, local time, in which an update may disturb; over midnight if `until` is smaller."""

    from_min: int
    until_min: int


@dataclass(frozen=True, slots=True)
class Order:
    """An update that somebody wants.

    Args:
        id: Of the update, given by its source: the same id is the same update for ever.
        kind: What is replaced.
        target: Path of the target in the signed metadata, e.g. "os/reed-1.4.0.raucb"; "" is the version
            before, which this machine has kept (app and config only).
        version: That the target must have.
        source: Who is told: "cloud", "hawkbit" or "local".
        actor: Who wants it.
        window: When it may be installed; None: at any time.
        deadline_s: The whole update may take this long, waiting included, seconds.
        downgrade: An older version is meant; app and config only, and the metadata must say so, too.
    """

    id: str
    kind: Kind
    target: str
    version: str
    source: str = "local"
    actor: str = ""
    window: Window | None = None
    deadline_s: float = 7 * 86_400.0
    downgrade: bool = False
