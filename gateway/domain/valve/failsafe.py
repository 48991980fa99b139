"""What becomes of a valve's coils when the daemon has ended.

kind            coil     after a clean stop                         after a crash
spring_return   open     on_daemon_loss: close releases, hold leaves it, the same
motorised       open     released
                close    runs to its switch or its time-out         released: the daemon is back at once
latching        both     released: a pulse that nobody ends burns the coil

After a crash nothing may wait: systemd starts the daemon only when this is done, and until then no leak
closes a valve. The daemon finishes a closing for a leak by itself (docs/adr/0003).
"""

from dataclasses import dataclass

from gateway.domain.model import Coil, Position
from gateway.domain.site import OnDaemonLoss, ValveKind, ValveSpec

PATIENCE = 1.5
"""A closing may take this much longer than the data sheet says, as in `domain.valve.travel`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """How a valve is driven, and what its owner wants; see ValveSpec."""

    kind: ValveKind
    on_daemon_loss: OnDaemonLoss = OnDaemonLoss.HOLD
    travel_s: float = 10.0
    max_run_s: float = 60.0


def drive_of(spec: ValveSpec) -> Drive:
    """Return what matters here of a valve."""
    return Drive(
        kind=spec.kind,
        on_daemon_loss=spec.on_daemon_loss,
        travel_s=spec.travel_s,
        max_run_s=spec.max_run_s,
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do.

    Args:
        release: Coils to release at once.
        closes_within_s: Let the closing coil run this long at most, then release it; 0: do not.
    """

    release: tuple[Coil, ...] = ()
    closes_within_s: float = 0.0


def concerned(drive: Drive) -> tuple[Coil, ...]:
    """Return the coils that have to be looked at; the lines of the others are left alone."""
    if drive.kind is not ValveKind.SPRING_RETURN:
        return (Coil.OPEN, Coil.CLOSE)
    return (Coil.OPEN,) if drive.on_daemon_loss is OnDaemonLoss.CLOSE else ()


def plan(drive: Drive, energised: frozenset[Coil], made: frozenset[Position], *, crashed: bool) -> Plan:
    """Return what to do with the coils of a valve.

    Args:
        drive: The valve.
        energised: Coils that are on, as far as they could be read.
        made: End switches that are made.
        crashed: The daemon did not end as it was told to, so that it is started again at once.
    """
    coils = concerned(drive)
    is_closing = energised == {Coil.CLOSE} and Position.CLOSED not in made
    if drive.kind is not ValveKind.MOTORISED or crashed or not is_closing:
        return Plan(coils)
    return Plan((Coil.OPEN,), min(PATIENCE * drive.travel_s, drive.max_run_s))
