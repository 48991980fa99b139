"""What a clean stop does to the valves; what then still runs is for the failsafe to end."""

from gateway.domain.commands import Command, Record, SetCoil
from gateway.domain.model import SYSTEM, Coil
from gateway.domain.site import OnDaemonLoss, ValveSpec
from gateway.domain.valve.failsafe import drive_of, plan

_A_CLOSING = frozenset({Coil.CLOSE})


def closing_commands(valves: list[ValveSpec]) -> list[Command]:
    """Return what is released at once: an opening motor, a pulse, and valves that are to close now.

    A closing goes on: the failsafe waits for its end.
    """
    releases: list[Command] = []
    records: list[Command] = []
    for spec in valves:
        coils = plan(drive_of(spec), _A_CLOSING, frozenset(), crashed=False).release
        releases += [SetCoil(spec.id, coil, energised=False) for coil in coils]
        if spec.on_daemon_loss is OnDaemonLoss.CLOSE:
            cause = "clean stop of the gateway, on_daemon_loss = close"
            detail = {"position": "closed"}
            records.append(Record("valve.intent", f"valve/{spec.id}", SYSTEM, cause, "", detail))
    return releases + records
