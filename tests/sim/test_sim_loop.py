"""Supervised loops in the simulated building: the circuit, the hands, both boards, and a whole gateway."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.config.model import Config
from gateway.config.read import read
from gateway.domain.ports import AnalogSpec, Failure
from gateway.errors import ConfigError, DriverError
from gateway.sim.board import SimBoard
from gateway.sim.building import Building
from gateway.sim.config import Config as SimConfig
from gateway.sim.direct import DirectBoard
from gateway.sim.hands import Leak, Soak
from gateway.sim.look import look
from gateway.sim.loop import Circuit, Loop
from gateway.sim.plan import Plan, parse
from gateway.sim.poke import Poked
from gateway.sim.server import Server, serve
from gateway.sim.wires import Corrode, Cut, Mend, Short
from tests.fakes.virtual import VirtualGateway, virtual_gateway
from tests.fakes.waiting import until

PLAN = """
[room.boiler]
[pipe.main]
room = "boiler"
valve = "main"
leak_l_per_min = 30.0
[valve.main]
kind = "motorised"
open_line = "main-open"
close_line = "main-close"
closed_switch_line = "main-is-closed"
travel_s = 4.0
[loop.boiler]
room = "boiler"
adc = "loops"
channel = 2
[loop.pit]
room = "boiler"
adc = "loops"
channel = 3
normally = "closed"
wet_l = 0.5
"""

CONFIG = """
[gateway]
id = "house-7"
[board]
kind = "sim"
socket = "building"
[sensor.boiler]
kind = "loop"
adc = "loops"
channel = 2
[zone.boiler]
sensors = ["boiler"]
valves = ["main"]
confirm_s = 0
[valve.main]
kind = "motorised"
open_line = "main-open"
close_line = "main-close"
closed_switch_line = "main-is-closed"
"""

DRY, WET = 10.4 / 15.1, 2.2 / 6.9
BOILER = AnalogSpec("loops", 2, 0.25)


@pytest.fixture
def plan() -> Plan:
    return parse(PLAN)


@pytest.fixture
def building(plan: Plan) -> Building:
    return Building(plan)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG)
    return read(path)


# --- the circuit ----------------------------------------------------------------------------------------


def test_resistors_divide_the_supply():
    loop = Loop(room="a", adc="x", channel=0)
    circuit = Circuit(loop)

    assert circuit.ratio(wet=False) == pytest.approx(DRY)
    assert circuit.ratio(wet=True) == pytest.approx(WET)


def test_normally_closed_detector_opens_when_wet():
    circuit = Circuit(Loop(room="a", adc="x", channel=0, normally="closed"))

    assert circuit.ratio(wet=False) == pytest.approx(WET)
    assert circuit.ratio(wet=True) == pytest.approx(DRY)


@pytest.mark.parametrize(
    ("poke", "ratio"),
    [
        (Cut(line="boiler"), 1.0),
        (Short(line="boiler"), 0.0),
        (Corrode(loop="boiler", ohm=5000), 15.4 / 20.1),
        (Soak(sensor="boiler"), WET),
    ],
    ids=["cut", "short", "corrode", "soak"],
)
def test_hands_change_one_loop_and_mend_it(building: Building, poke: Poked, ratio: float):
    poke.do(building)
    disturbed = dict(building.ratios)
    Mend(line="boiler").do(building)
    building.run(10.0)

    assert disturbed == pytest.approx({"loops/2": ratio, "loops/3": WET})
    assert building.ratios == pytest.approx({"loops/2": DRY, "loops/3": WET})


def test_puddle_wets_a_loop_as_it_wets_any_detector(building: Building):
    Leak(pipe="main").do(building)
    building.run(2.0)

    assert look(building)["loops"] == {"boiler": round(WET, 4), "pit": round(DRY, 4)}
    assert building.wet == {"boiler": True, "pit": True}


def test_hand_on_a_loop_that_is_not_there_is_refused(building: Building):
    with pytest.raises(DriverError, match='no loop "attic" in this building; it has boiler, pit'):
        Corrode(loop="attic").do(building)
    with pytest.raises(DriverError, match='no input line "attic"'):
        Cut(line="attic").do(building)


def test_wrong_loops_are_told_with_their_keys():
    with pytest.raises(ConfigError) as refused:
        parse(
            PLAN
            + '[loop.lobby]\nroom = "attic"\nadc = "loops"\nchannel = 2\nseries_ohm = 0.0\n'
            + '[button.b]\nline = "lobby"\n'
        )

    assert dict(refused.value.problems) == {
        "loop.lobby.room": 'there is no "attic"; the plan has boiler',
        "loop.lobby.series_ohm": "0.0; allowed: more than 0",
        "loop.lobby.channel": "2 of loops is also loop.boiler",
        "loop.lobby": "a line has the same name; hands could not tell them apart",
    }


# --- both boards ----------------------------------------------------------------------------------------


def test_direct_board_samples_in_the_buildings_time(building: Building):
    board = DirectBoard(building)
    heard: list[tuple[float, float | Failure]] = []

    with board.sample(BOILER, lambda sample: heard.append((board.now_s, sample))):
        board.advance(0.6)
        Short(line="boiler").do(building)
        board.advance(1.0)
    board.advance(2.0)

    assert heard == [
        (0.0, pytest.approx(DRY)),
        (0.25, pytest.approx(DRY)),
        (0.5, pytest.approx(DRY)),
        (0.75, 0.0),
        (1.0, 0.0),
    ]


@contextlib.asynccontextmanager
async def connected(plan: Plan, path: Path) -> AsyncIterator[tuple[SimBoard, Server]]:
    async with serve(plan, path) as server:
        board = SimBoard(SimConfig(socket=path))
        await board.open()
        yield board, server
        board.close()
        await asyncio.sleep(0)


async def test_board_over_the_socket_hears_the_same(plan: Plan, tmp_path: Path):
    heard: list[float | Failure] = []
    async with connected(plan, tmp_path / "building") as (board, server):
        with board.sample(AnalogSpec("loops", 2, 0.01), heard.append):
            await until(lambda: heard)
            assert heard[0] == pytest.approx(DRY)
            Cut(line="boiler").do(server.building)
            server.catch_up()
            await until(lambda: heard[-1] == 1.0)
            board.close()
            await until(lambda: isinstance(heard[-1], Failure))
        count = len(heard)
        await asyncio.sleep(0.05)

    assert len(heard) == count


async def test_input_that_no_loop_is_on_is_refused(plan: Plan, tmp_path: Path):
    wrong = AnalogSpec("loops", 0)
    async with connected(plan, tmp_path / "building") as (board, server):
        for other in (board, DirectBoard(server.building)):
            with (
                pytest.raises(
                    DriverError, match="loops/0 is no analogue input of this building; it has loops/2"
                ),
                other.sample(wrong, print),
            ):
                pass


# --- a whole gateway ------------------------------------------------------------------------------------


def active(gateway: VirtualGateway) -> set[str]:
    return {alarm["id"] for alarm in gateway.view()["alarms"] if alarm["active"]}


def detail(gateway: VirtualGateway, alarm_id: str) -> str:
    return next(str(alarm["detail"]) for alarm in gateway.view()["alarms"] if alarm["id"] == alarm_id)


async def test_wet_loop_closes_the_valve_within_two_samples(config: Config, building: Building):
    async with virtual_gateway(config, building) as gateway:
        gateway.advance(10.1)
        Soak(sensor="boiler", for_s=60).do(building)
        gateway.advance(10.1 + 0.5)
        (at_s, command), *_ = gateway.coils()
        gateway.advance(20.0)

        assert command.energised
        assert at_s <= 10.1 + 0.5
        assert "leak/zone/boiler" in active(gateway)
        assert gateway.view()["valves"]["main"]["state"] == "closed"


@pytest.mark.parametrize(
    ("poke", "words"),
    [
        (Cut(line="boiler"), "loop open"),
        (Short(line="boiler"), "loop short"),
        (Corrode(loop="boiler", ohm=5000), "loop at 15.4 kOhm: between dry and open; corroded contact"),
    ],
    ids=["cut", "short", "corroded"],
)
async def test_broken_loop_is_trouble_and_closes_nothing_and_mended_it_is_over(
    config: Config, building: Building, poke: Poked, words: str
):
    async with virtual_gateway(config, building) as gateway:
        gateway.advance(10.0)
        poke.do(building)
        gateway.advance(12.0)
        troubles, seen = active(gateway), gateway.view()["sensors"]["boiler"]
        told = detail(gateway, "sensor-fault/sensor/boiler")
        gateway.advance(1000.0)
        later = active(gateway)
        Mend(line="boiler").do(building)
        gateway.advance(1060.0)

        assert troubles == later == {"sensor-fault/sensor/boiler"}
        assert words in told
        assert not seen["healthy"]
        assert gateway.coils() == []
        assert active(gateway) == set()
        assert gateway.view()["sensors"]["boiler"]["healthy"]


async def test_loop_that_was_cut_while_wet_does_not_pass_for_dry(config: Config, building: Building):
    async with virtual_gateway(config, building) as gateway:
        gateway.advance(10.0)
        Soak(sensor="boiler", for_s=3600).do(building)
        gateway.advance(20.0)
        Cut(line="boiler").do(building)
        gateway.advance(300.0)

        assert active(gateway) >= {"leak/zone/boiler", "sensor-fault/sensor/boiler"}
        assert gateway.view()["sensors"]["boiler"]["wet"] is True


async def test_quiet_hours_of_a_loop_are_quiet(config: Config, building: Building):
    async with virtual_gateway(config, building) as gateway:
        gateway.advance(3600.0)

        assert active(gateway) == set()
        assert gateway.coils() == []
        assert gateway.view()["sensors"]["boiler"]["supervised"] is True
