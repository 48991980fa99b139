"""The demo's building and the whole gateway together, in virtual time."""

from collections.abc import Callable
from pathlib import Path
from string import Template

import pytest

from gateway.config.model import Config
from gateway.config.read import read
from gateway.domain.events import ResetRequested, ValveRequested
from gateway.domain.model import Actor, ActorKind, Coil, Request, Wish
from gateway.sim.building import Building
from gateway.sim.hands import Battery, Chill, Dry, Forge, Leak, Press, Replay, Soak, Stall
from gateway.sim.plan import Plan, load, outputs, rails
from tests.fakes.virtual import VirtualGateway, virtual_gateway

DEMO = Path(__file__).parents[2] / "gateway" / "cli" / "demo"


@pytest.fixture
def demo_plan() -> Plan:
    return load(DEMO / "building.toml")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    files = {name: str(tmp_path / name) for name in ("ca_file", "cert_file", "key_file", "command_key_file")}
    for file in files.values():
        Path(file).touch()
    text = Template((DEMO / "gateway.toml").read_text()).substitute(
        files,
        gateway_id="demo",
        state_dir=tmp_path,
        runtime_dir=tmp_path,
        building_socket=tmp_path / "building",
        group="reed",
        port=8883,
    )
    path = tmp_path / "gateway.toml"
    path.write_text(text)
    return read(path)


def by(kind: ActorKind = ActorKind.LOCAL) -> Request:
    return Request("r1", Actor(kind, "alice"), cause="mended", may_open=True)


def state(gateway: VirtualGateway, valve: str) -> tuple[str, str | None]:
    seen = gateway.view()["valves"][valve]
    return seen["state"], seen["closure"]


def alarms(gateway: VirtualGateway) -> set[str]:
    return {alarm["id"] for alarm in gateway.view()["alarms"] if alarm["active"] or alarm["latched"]}


def test_demo_gateway_uses_exactly_what_the_demo_building_has(demo_plan: Plan, config: Config):
    used = {line for lines in config.valves.values() for line in (lines.open_line, lines.close_line) if line}
    read_lines = {
        line
        for lines in config.valves.values()
        for line in (lines.open_switch_line, lines.closed_switch_line)
        if line
    }
    read_lines |= {lines.line for lines in config.buttons.values()}
    read_lines |= {sensor.config.line for sensor in config.sensors.values() if sensor.kind == "contact"}
    read_lines |= {meter.line for meter in config.meters.values()}
    lights = {config.indicator.led_line, config.indicator.sounder_line}

    assert {name: meter.litres_per_pulse for name, meter in config.site.meters.items()} == {
        name: meter.l_per_pulse for name, meter in demo_plan.meter.items()
    }
    assert used | lights == set(outputs(demo_plan))
    assert read_lines == set(rails(demo_plan))
    assert set(config.sensors) == {*demo_plan.contact, *demo_plan.beacon}
    for name, beacon in demo_plan.beacon.items():
        own = config.sensors[name].config
        assert (config.sensors[name].kind, getattr(own, "address", ""), getattr(own, "key", "")) == (
            beacon.format,
            beacon.address,
            beacon.key,
        )


async def test_quiet_day_moves_nothing_and_alarms_nothing(demo_plan: Plan, config: Config):
    async with virtual_gateway(config, Building(demo_plan)) as gateway:
        gateway.advance(86400.0)

        assert gateway.coils() == []
        assert gateway.view()["state"] == "normal"
        assert alarms(gateway) == set()


async def test_leak_closes_the_main_valve_at_once_and_opens_only_after_reset_and_request(
    demo_plan: Plan, config: Config
):
    building = Building(demo_plan, start_s=1000.0)
    async with virtual_gateway(config, building) as gateway:
        gateway.advance(1030.0)
        Leak(pipe="main").do(building)
        gateway.advance(1040.0)
        leaked_l = building.pipes.leaked_l["main"]
        closed, raised = state(gateway, "main"), alarms(gateway)
        gateway.advance(1100.0)
        Dry(pipe="main").do(building)
        gateway.advance(1101.0)
        gateway.emit(ValveRequested("main", Wish.OPEN, by(ActorKind.REMOTE)))
        gateway.advance(1102.0)
        refused = state(gateway, "main")
        gateway.advance(1120.0)
        gateway.emit(ResetRequested("leak/zone/plant-room", by()))
        gateway.emit(ValveRequested("main", Wish.OPEN, by()))
        gateway.advance(1130.0)

        assert closed == refused == ("closed", "confirmed")
        assert "leak/zone/plant-room" in raised
        assert leaked_l < 40.0 / 60 * 4.5
        assert building.pipes.leaked_l["main"] == leaked_l
        assert state(gateway, "main")[0] == "open"
        assert building.valves["main"].position == 1.0
        assert building.damage == []


async def test_leak_in_the_kitchen_leaves_the_rest_of_the_building_with_water(
    demo_plan: Plan, config: Config
):
    building = Building(demo_plan)
    async with virtual_gateway(config, building) as gateway:
        gateway.advance(30.0)
        Leak(pipe="kitchen").do(building)
        gateway.advance(60.0)

        assert state(gateway, "kitchen") == ("closed", "confirmed")
        assert state(gateway, "main")[0] == "open"
        assert building.pipes.leak_l_per_min["kitchen"] == 0.0


async def test_valve_that_stalls_raises_fail_to_close_and_closes_when_it_is_free(
    demo_plan: Plan, config: Config
):
    building = Building(demo_plan)
    async with virtual_gateway(config, building) as gateway:
        gateway.advance(30.0)
        Stall(valve="main").do(building)
        Leak(pipe="main").do(building)
        gateway.advance(120.0)
        stalled = alarms(gateway)
        building.valves["main"].stalled = False
        gateway.advance(120.0 + 2 * 300.0)

        assert "fail-to-close/valve/main" in stalled
        assert state(gateway, "main")[0] == "closed"
        assert building.damage == []


async def test_server_room_needs_both_sensors(demo_plan: Plan, config: Config):
    building = Building(demo_plan)
    async with virtual_gateway(config, building) as gateway:
        gateway.advance(30.0)
        Soak(sensor="server-room-floor", for_s=10).do(building)
        gateway.advance(60.0)
        alone = gateway.coils()
        Leak(pipe="server-room").do(building)
        gateway.advance(90.0)

        assert alone == []
        assert state(gateway, "main")[0] == "closed"


async def test_dead_battery_is_noticed_and_closes_nothing(demo_plan: Plan, config: Config):
    building = Building(demo_plan)
    async with virtual_gateway(config, building) as gateway:
        gateway.advance(30.0)
        Battery(sensor="kitchen-sink", percent=0).do(building)
        gateway.advance(30.0 + 100.0)

        assert alarms(gateway) == {"sensor-missing/sensor/kitchen-sink"}
        assert gateway.coils() == []


@pytest.mark.parametrize(
    ("poke", "alarm"),
    [
        (Replay(sensor="plant-room-pump"), "replay/sensor/plant-room-pump"),
        (Forge(sensor="plant-room-pump"), "tamper/sensor/plant-room-pump"),
        (Chill(room="plant-room", degc=2.0), "freeze/sensor/plant-room-pump"),
        (Battery(sensor="plant-room-pump", percent=5), "battery-low/sensor/plant-room-pump"),
    ],
)
async def test_attack_frost_and_battery_are_told_and_move_nothing(
    demo_plan: Plan, config: Config, poke: Replay | Forge | Chill | Battery, alarm: str
):
    building = Building(demo_plan)
    async with virtual_gateway(config, building) as gateway:
        gateway.advance(100.0)
        poke.do(building)
        gateway.advance(150.0)

        assert alarm in alarms(gateway)
        assert gateway.coils() == []


async def test_button_closes_and_opens_and_a_held_button_hands_back(demo_plan: Plan, config: Config):
    building = Building(demo_plan)
    press: Callable[[float], None] = lambda for_s: Press(button="lobby", for_s=for_s).do(building)  # noqa: E731
    async with virtual_gateway(config, building) as gateway:
        gateway.advance(10.0)
        press(0.3)
        gateway.advance(20.0)
        first = state(gateway, "main")[0], gateway.view()["valves"]["main"]["authority"]
        press(0.3)
        gateway.advance(30.0)
        second = state(gateway, "main")[0]
        press(11.0)
        gateway.advance(50.0)

        assert first == ("closed", "button")
        assert second == "open"
        assert gateway.view()["valves"]["main"]["override"] is None
        assert building.damage == []


async def test_first_command_of_a_leak_drives_the_closing_coil_and_it_is_released_in_the_end(
    demo_plan: Plan, config: Config
):
    building = Building(demo_plan)
    async with virtual_gateway(config, building) as gateway:
        Leak(pipe="main").do(building)
        gateway.advance(60.0)

        first = gateway.coils()[0][1]
        assert (first.valve_id, first.coil, first.energised) == ("main", Coil.CLOSE, True)
        assert building.outputs["main-close"] is building.outputs["main-open"] is False
