"""A contact at a wire: how fast its valve closes, and what a bare wire cannot tell."""

from collections.abc import Callable

from tests.vm.harness.pi import VirtualPi
from tests.vm.harness.rig import Rig
from tests.vm.wires.gateway import HEAD, alarms, contact, move, spring, until
from tests.vm.wires.levels import changes, levels
from tests.vm.wires.times import Times

FLOOR, ROOF, MAIN, ATTIC = 4, 5, 20, 21
EDGES = 32
SITE = (
    HEAD
    + spring("main", MAIN)
    + spring("attic", ATTIC)
    + contact("floor", FLOOR, "main", latch=False)
    + contact("roof", ROOF, "attic", normally="closed")
)

FEWEST_STEPS = """
import gpiod, select
from datetime import timedelta
from gpiod.line import Bias, Direction, Edge, Value
quiet = timedelta(seconds=0.005)
wet = gpiod.LineSettings(edge_detection=Edge.BOTH, bias=Bias.PULL_UP, debounce_period=quiet)
coil = gpiod.LineSettings(direction=Direction.OUTPUT)
with gpiod.request_lines("/dev/gpiochip0", config={%d: wet}) as request:
    with gpiod.request_lines("/dev/gpiochip0", config={%d: coil}) as valve:
        poll = select.epoll()
        poll.register(request.fd, select.EPOLLIN)
        print("ready", flush=True)
        while True:
            poll.poll()
            for edge in request.read_edge_events():
                rising = edge.event_type is edge.Type.RISING_EDGE
                valve.set_value(%d, Value.ACTIVE if rising else Value.INACTIVE)
"""


def test_a_wet_contact_releases_the_coil_of_its_valve(vm: VirtualPi, rig: Rig, times: Times) -> None:
    rig.ask("lines.pull", line=ROOF, to="low")
    vm.start_gateway(SITE)
    start_s = rig.ask("lines.now")

    def open_again(_: float) -> None:
        until(rig, lambda view: "leak/zone/floor" not in alarms(view))
        move(rig, "main", "open")

    wet_to_coil_s = _wet_to_coil_s(rig, open_again)
    times.note("wired contact wet -> valve line, with 5 ms of debouncing", *wet_to_coil_s)
    assert min(wet_to_coil_s) >= 0.005
    assert levels(rig, ATTIC, 0, start_s) == []


def test_the_fewest_steps_that_libgpiod_allows_for_comparison(vm: VirtualPi, rig: Rig, times: Times) -> None:
    with vm.open_python(FEWEST_STEPS % (FLOOR, MAIN, MAIN)) as program:
        assert program.line() == "ready"
        wet_s = rig.ask("lines.pull", line=FLOOR, to="low")
        rig.ask("record.wait", line=MAIN, level=0, since_s=wet_s, timeout_s=30)
        rig.ask("lines.pull", line=FLOOR, to="low")
        bare_s = _wet_to_coil_s(
            rig, lambda dry_s: rig.ask("record.wait", line=MAIN, level=1, since_s=dry_s, timeout_s=30)
        )
    times.note("the same by ten lines of Python that decide nothing", *bare_s)
    assert len(bare_s) == EDGES


def test_a_cut_wire_reads_wet_only_where_the_contact_is_normally_closed(vm: VirtualPi, rig: Rig) -> None:
    rig.ask("lines.pull", line=ROOF, to="low")
    vm.start_gateway(SITE)
    for valve in ("main", "attic"):
        move(rig, valve, "open")
    cut_s = rig.ask("lines.pull", line=ROOF, to="open")
    rig.ask("record.wait", line=ATTIC, level=0, since_s=cut_s, timeout_s=30)
    view = until(rig, lambda view: "leak/zone/roof" in alarms(view))
    assert view["zones"]["roof"]["latched"]
    # nothing is connected to the floor's line either: a cut wire that nobody can notice
    assert view["sensors"]["floor"]["wet"] is False
    assert view["sensors"]["floor"]["healthy"]
    assert levels(rig, MAIN, 1, cut_s) == []
    shown = vm.run("reed-gateway sensors").splitlines()
    assert [line.split()[0] for line in shown if "unsupervised" in line] == ["roof", "floor"]


def _wet_to_coil_s(rig: Rig, open_after: Callable[[float], None]) -> list[float]:
    """Wet the floor again and again; return how long the coil's line took each time, by the kernel's record.

    `open_after` opens the valve again; it is told when the floor became dry.
    """
    open_after(start_s := rig.ask("lines.pull", line=FLOOR, to="open"))
    for _ in range(EDGES):
        wet_s = rig.ask("lines.pull", line=FLOOR, to="low")
        rig.ask("record.wait", line=MAIN, level=0, since_s=wet_s, timeout_s=30)
        open_after(rig.ask("lines.pull", line=FLOOR, to="open"))
    wet = [at_s for at_s, level in changes(rig, FLOOR, 1, start_s) if level == 0]
    closed = [at_s for at_s, level in changes(rig, MAIN, 0, start_s) if level == 0]
    both = sorted([*wet, *closed])
    assert both == [at_s for pair in zip(wet, closed, strict=True) for at_s in pair]
    return [closed_s - wet_s for wet_s, closed_s in zip(wet, closed, strict=True)]
