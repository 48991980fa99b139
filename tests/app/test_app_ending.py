import pytest

from gateway.app.ending import closing_commands
from gateway.domain.commands import Record, SetCoil
from gateway.domain.model import Coil
from gateway.domain.site import OnDaemonLoss, ValveKind, ValveSpec


@pytest.mark.parametrize(
    ("kind", "loss", "released"),
    [
        (ValveKind.SPRING_RETURN, OnDaemonLoss.HOLD, []),
        (ValveKind.SPRING_RETURN, OnDaemonLoss.CLOSE, [Coil.OPEN]),
        (ValveKind.MOTORISED, OnDaemonLoss.HOLD, [Coil.OPEN]),
        (ValveKind.LATCHING, OnDaemonLoss.HOLD, [Coil.OPEN, Coil.CLOSE]),
    ],
)
def test_a_clean_stop_releases_what_must_not_run_on_and_lets_a_closing_run(
    kind: ValveKind, loss: OnDaemonLoss, released: list[Coil]
):
    commands = closing_commands([ValveSpec(id="main", kind=kind, on_daemon_loss=loss)])

    assert [c for c in commands if isinstance(c, SetCoil)] == [
        SetCoil("main", coil, False) for coil in released
    ]


def test_what_closes_because_of_a_stop_is_recorded_after_all_valves_were_driven():
    specs = [
        ValveSpec(id=name, kind=ValveKind.SPRING_RETURN, on_daemon_loss=OnDaemonLoss.CLOSE) for name in "ab"
    ]

    commands = closing_commands(specs)

    assert [type(command) for command in commands] == [SetCoil, SetCoil, Record, Record]
