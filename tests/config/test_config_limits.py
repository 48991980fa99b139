"""A configuration from afar protects no less than the one in force, whatever it says."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from gateway.__main__ import main
from gateway.config import limits
from gateway.config.limits import lowered
from gateway.config.model import Config
from gateway.config.protected import HARMLESS, JUDGED
from gateway.config.read import read
from gateway.domain.site import OnDaemonLoss, Site
from gateway.drivers import sensors
from gateway.errors import ConfigError

BUILDING = """
[gateway]
id = "house-7"

[board]
kind = "sim"
socket = "/run/reed/building.sock"

[link]
host = "broker.example.com"
ca_file = "ca.pem"
cert_file = "house-7.pem"
key_file = "house-7.key"
command_key_file = "cloud-command.pem"

[update]
url = "https://updates.example.com/reed"
allow = ["app", "config"]

[indicator]
led_line = "led"
sounder_line = "sounder"

[override]
leak_breaks_hold = true

[zone.plant-room]
sensors = ["floor", "pump"]
valves = ["main", "drain"]

[zone.office]
sensors = ["sink"]
action = "notify"

[valve.main]
kind = "motorised"
open_line = "main-open"
close_line = "main-close"
closed_switch_line = "main-is-closed"
exercise_every_s = 604800

[valve.drain]
kind = "spring_return"
open_line = "drain-open"
on_daemon_loss = "close"

[sensor.floor]
kind = "contact"
line = "leak-plant-room"

[sensor.pump]
kind = "bthome"
address = "A4:C1:38:00:00:01"
key = "231d39c1d7cc1ab1aee224cd096db932"

[sensor.sink]
kind = "loop"
adc = "loops"
channel = 0

[adc.loops]
kind = "mcp3008"
device = "/dev/spidev0.0"

[serial.rs485]
device = "/dev/ttyUSB0"

[meter.street]
line = "pulses"
litres_per_pulse = 10
valves = ["main"]

[flow_rule.night]
meter = "street"
above_l_per_min = 4
for_s = 2700
periods = ["Mon-Fri 22:00-06:00"]

[button.lobby]
line = "lobby-button"
valves = ["main"]
"""

Change = tuple[str, str]
Offered = Callable[[str, str], tuple[str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("ca.pem", "house-7.pem", "house-7.key", "cloud-command.pem", "other.pem"):
        (tmp_path / name).write_text("x")
    return tmp_path


@pytest.fixture
def built(folder: Path) -> Callable[..., Config]:
    """Reads the building with lines replaced; "" takes one away."""

    def build(*changes: Change) -> Config:
        text = BUILDING
        for before, after in changes:
            assert before in text, before
            text = text.replace(before, after)
        path = folder / "gateway.toml"
        path.write_text(text)
        return read(path)

    return build


@pytest.fixture
def said(built: Callable[..., Config]) -> Callable[..., list[str]]:
    return lambda *changes: lowered(built(), built(*changes))


# --- every key ------------------------------------------------------------------------------------------


def tables() -> Iterator[type]:
    """Every dataclass that a configuration is made of, but for those that only hold others."""
    waiting, seen = [Config], set()
    while waiting:
        cls = waiting.pop()
        for hint in get_type_hints(cls).values():
            for part in parts(hint):
                if part not in seen and part is not Site:
                    seen.add(part)
                    waiting.append(part)
    yield from seen - {limits.SensorConfig}
    for hint in get_type_hints(Site).values():
        yield from (part for part in parts(hint) if part not in seen)


def parts(hint: object) -> Iterator[type]:
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        yield hint
    for each in get_args(hint):
        yield from parts(each)


TABLES = sorted({*tables()}, key=lambda cls: f"{cls.__module__}.{cls.__qualname__}")


def test_all_tables_are_found():
    names = {f"{cls.__module__.rpartition('gateway.')[2]}.{cls.__name__}" for cls in TABLES}

    assert len(TABLES) >= 20
    assert {"domain.site.ZoneSpec", "update.config.Config", "link.config.Config"} <= names


@pytest.mark.parametrize("cls", [cls for cls in TABLES if cls.__name__ != "Period"])
def test_every_key_is_judged_or_known_to_be_harmless_and_not_both(cls: type):
    judged, harmless = set(JUDGED.get(cls, ())), HARMLESS.get(cls, frozenset())

    assert judged | harmless == {field.name for field in fields(cls)}
    assert not judged & harmless


def test_nothing_is_judged_that_does_not_exist():
    assert {*JUDGED, *HARMLESS} <= set(TABLES)


def test_every_part_of_the_configuration_is_compared():
    collections = {name for _, name in limits._SITE} | {"valves", "buttons", "override", "cloud_loss_s"}
    assert {field.name for field in fields(Site)} == collections
    own = {name for _, name in limits._LINES} | {"buttons", "sensors"}
    apart = {"path", "site", "board", "link"}
    assert {field.name for field in fields(Config)} == {*limits.TABLES, *own, *apart}


def test_a_sensors_driver_has_no_key_that_is_taken_for_harmless_by_its_name_only():
    loose = {
        (kind, field.name)
        for kind in sensors.kinds()
        for field in fields(sensors.load(kind).config)
        if field.name in limits.OF_EVERY_SENSOR
    }

    assert loose == {("loop", "every_s"), ("modbus", "every_s")}


def test_a_key_that_nobody_has_judged_may_not_change():
    @dataclasses.dataclass
    class New:
        key: int

    assert list(limits._compared("new", New(1), New(2))) == ["new.key: changed; it must be as it is wired"]


# --- what may come --------------------------------------------------------------------------------------


def test_the_same_configuration_lowers_nothing(said: Callable[..., list[str]]):
    assert said() == []


MORE = [
    ("[zone.office]", "[zone.cellar]\nsensors = ['sink']\nvalves = ['main']\n\n[zone.office]"),
    ("[adc.loops]", "[sensor.attic]\nkind = 'switchbot'\naddress = 'A4:C1:38:00:00:02'\n\n[adc.loops]"),
    ('sensors = ["sink"]\naction = "notify"', 'sensors = ["sink"]\nvalves = ["main"]\naction = "close"'),
    ("[zone.plant-room]", "[zone.plant-room]\nconfirm_s = 0"),
    ("[zone.plant-room]", "[zone.plant-room]\nname = 'Plant room, 1st floor'"),
    ("[sensor.floor]", "[sensor.floor]\nname = 'Under the boiler'"),
    ("[sensor.pump]", "[sensor.pump]\nsilence_s = 1200"),
    ("above_l_per_min = 4", "above_l_per_min = 3"),
    ("for_s = 2700", "for_s = 1800"),
    ('periods = ["Mon-Fri 22:00-06:00"]', ""),
    ("[update]", "[update]\nwindow = '02:00-04:00'"),
    ('allow = ["app", "config"]', 'allow = ["config"]'),
    ("[override]", "[override]\ntimed_s = 1800"),
    ("exercise_every_s = 604800", "exercise_every_s = 1209600"),
    ("[link]", "[link]\nkeepalive_s = 120"),
    ("[link]", "[link]\nreplay_per_s = 50"),
    ("[gateway]", "[control]\nmax_clients = 64\n\n[gateway]"),
    ("for_s = 2700", "for_s = 1800\nname = 'Nightly leak'"),
]


@pytest.mark.parametrize("change", MORE, ids=lambda change: change[1].strip()[:40])
def test_what_protects_as_much_or_more_is_taken(said: Callable[..., list[str]], change: Change):
    assert said(change) == []


# --- what may not ---------------------------------------------------------------------------------------

LESS = [
    ("zone.office", ("[zone.office]\nsensors = ['sink']".replace("'", '"') + '\naction = "notify"', "")),
    ("zone.plant-room.sensors", ('sensors = ["floor", "pump"]', 'sensors = ["floor"]')),
    ("zone.plant-room.valves", ('valves = ["main", "drain"]', 'valves = ["main"]')),
    ("zone.plant-room.action", ("[zone.plant-room]", "[zone.plant-room]\naction = 'notify'")),
    ("zone.plant-room.confirm_s", ("[zone.plant-room]", "[zone.plant-room]\nconfirm_s = 11")),
    ("zone.plant-room.quorum", ("[zone.plant-room]", "[zone.plant-room]\nquorum = 2")),
    ("zone.plant-room.latch", ("[zone.plant-room]", "[zone.plant-room]\nlatch = false")),
    ("zone.plant-room.dry_hold_s", ("[zone.plant-room]", "[zone.plant-room]\ndry_hold_s = 5")),
    ("zone.plant-room.cooldown_s", ("[zone.plant-room]", "[zone.plant-room]\ncooldown_s = 3600")),
    ("sensor.pump.keyed", ('key = "231d39c1d7cc1ab1aee224cd096db932"', "")),
    ("sensor.pump.key", ("231d39c1d7cc1ab1", "0000000000000000")),
    ("sensor.pump.address", ("A4:C1:38:00:00:01", "A4:C1:38:00:00:09")),
    ("sensor.pump.silence_s", ("[sensor.pump]", "[sensor.pump]\nsilence_s = 86400")),
    ("sensor.pump.silence_s", ("[sensor.pump]", "[sensor.pump]\nsilence_s = 'off'")),
    ("sensor.pump.battery_low_percent", ("[sensor.pump]", "[sensor.pump]\nbattery_low_percent = 1")),
    ("sensor.pump.battery_low_v", ("[sensor.pump]", "[sensor.pump]\nbattery_low_v = 1.0")),
    ("sensor.pump.freeze_degc", ("[sensor.pump]", "[sensor.pump]\nfreeze_degc = 'off'")),
    ("sensor.pump.freeze_degc", ("[sensor.pump]", "[sensor.pump]\nfreeze_degc = 40")),
    ("sensor.pump.silence_s", ("[sensor.pump]", "[sensor.pump]\nsilence_s = 0.01")),
    ("sensor.floor.silence_s", ("[sensor.floor]", "[sensor.floor]\nsilence_s = 0.01")),
    ("sensor.pump.battery_low_percent", ("[sensor.pump]", "[sensor.pump]\nbattery_low_percent = 100")),
    ("zone.plant-room.dry_hold_s", ("[zone.plant-room]", "[zone.plant-room]\ndry_hold_s = 1e9")),
    ("valve.main.retry_every_s", ("[valve.main]", "[valve.main]\nretry_every_s = 10")),
    ("override.timed_s", ("[override]", "[override]\ntimed_s = 1")),
    ("override.countdown_s", ("[override]", "[override]\ncountdown_s = 0.1")),
    ("override.reannounce_s", ("[override]", "[override]\nreannounce_s = 0.1")),
    ("update.health_timeout_s", ("[update]", "[update]\nhealth_timeout_s = 30")),
    ("store.claim_wait_s", ("[link]", "[store]\nclaim_wait_s = 0.001\n\n[link]")),
    ("store.commit_after_s", ("[link]", "[store]\ncommit_after_s = 0.001\n\n[link]")),
    ("sensor.pump.freeze_warning_degc", ("[sensor.pump]", "[sensor.pump]\nfreeze_warning_degc = 0")),
    ("sensor.floor.line", ('line = "leak-plant-room"', 'line = "leak-nowhere"')),
    ("sensor.floor.normally", ("[sensor.floor]", "[sensor.floor]\nnormally = 'closed'")),
    ("sensor.sink.every_s", ("channel = 0", "channel = 0\nevery_s = 5.0\nparallel_ohm = 8200")),
    ("sensor.sink.channel", ("channel = 0", "channel = 1")),
    ("sensor.sink.parallel_ohm", ("channel = 0", "channel = 0\nparallel_ohm = 10000")),
    ("adc.loops.device", ("/dev/spidev0.0", "/dev/spidev0.1")),
    ("serial.rs485.baud", ('device = "/dev/ttyUSB0"', 'device = "/dev/ttyUSB0"\nbaud = 19200')),
    ("valve.main.travel_s", ("[valve.main]", "[valve.main]\ntravel_s = 50")),
    ("valve.main.open_line", ('"main-open"', '"main-other"')),
    ("valve.main.end_switches", ('closed_switch_line = "main-is-closed"', "")),
    ("valve.main.retry_every_s", ("[valve.main]", "[valve.main]\nretry_every_s = 7200")),
    ("valve.main.exercise_every_s", ("exercise_every_s = 604800", "")),
    ("valve.main.exercise_every_s", ("exercise_every_s = 604800", "exercise_every_s = 3600")),
    ("valve.main.exercise_every_s", ("exercise_every_s = 604800", "exercise_every_s = 9999999")),
    ("valve.drain.on_daemon_loss", ('on_daemon_loss = "close"', "")),
    ("button.lobby", ('[button.lobby]\nline = "lobby-button"\nvalves = ["main"]', "")),
    ("button.lobby.line", ('line = "lobby-button"', 'line = "other-button"')),
    ("button.lobby.valves", ('lobby-button"\nvalves = ["main"]', 'lobby-button"\nvalves = ["drain"]')),
    ("button.lobby.valves", ('lobby-button"\nvalves = ["main"]', 'lobby-button"')),
    ("button.back", ("[button.lobby]", "[button.back]\nline = 'back'\n\n[button.lobby]")),
    ("meter.street.litres_per_pulse", ("litres_per_pulse = 10", "litres_per_pulse = 1")),
    ("meter.street.passing_l_per_min", ("[meter.street]", "[meter.street]\npassing_l_per_min = 50")),
    ("meter.street.line", ('line = "pulses"', 'line = "other"')),
    ("flow_rule.night.above_l_per_min", ("above_l_per_min = 4", "above_l_per_min = 4.1")),
    ("flow_rule.night.for_s", ("for_s = 2700", "for_s = 2701")),
    ("flow_rule.night.name", ("[flow_rule.night]", f"[flow_rule.night]\nname = '{'x' * 201}'")),
    (
        "zone.cellar.name",
        (
            "[zone.office]",
            f"[zone.cellar]\nsensors = ['sink']\nname = '{'x' * 201}'\naction = 'notify'\n\n[zone.office]",
        ),
    ),
    ("serial.rs485.timeout_s", ('device = "/dev/ttyUSB0"', 'device = "/dev/ttyUSB0"\ntimeout_s = 0.02')),
    ("identity.tpm_timeout_s", ("[link]", "[identity]\ntpm_timeout_s = 1\n\n[link]")),
    ("link.connect_timeout_s", ("[link]", "[link]\nconnect_timeout_s = 1")),
    ("link.ack_timeout_s", ("[link]", "[link]\nack_timeout_s = 1")),
    ("link.receipt_timeout_s", ("[link]", "[link]\nreceipt_timeout_s = 1")),
    ("control.idle_s", ("[link]", "[control]\nidle_s = 0\n\n[link]")),
    ("control.max_clients", ("[link]", "[control]\nmax_clients = 100000\n\n[link]")),
    (
        "store.max_ram_bytes",
        ("[link]", "[store]\nmax_ram_bytes = 100000000\nmax_bytes = 200000000\n\n[link]"),
    ),
    ("store.max_bytes", ("[link]", "[store]\nmax_bytes = 99000000000\n\n[link]")),
    ("flow_rule.night.action", ("[flow_rule.night]", "[flow_rule.night]\naction = 'notify'")),
    ("flow_rule.night.modes", ("[flow_rule.night]", "[flow_rule.night]\nmodes = ['occupied']")),
    ("flow_rule.night.periods", ("Mon-Fri 22:00-06:00", "Mon-Fri 23:00-06:00")),
    ("flow_rule.night.pre_alarm_s", ("[flow_rule.night]", "[flow_rule.night]\npre_alarm_s = 900")),
    ("indicator.sounder_line", ('sounder_line = "sounder"', "")),
    ("indicator.led_line", ('led_line = "led"', 'led_line = "other"')),
    ("override.leak_breaks_hold", ("leak_breaks_hold = true", "")),
    ("override.timed_s", ("[override]", "[override]\ntimed_s = 86400")),
    ("override.countdown_s", ("[override]", "[override]\ncountdown_s = 3600")),
    ("override.reannounce_s", ("[override]", "[override]\nreannounce_s = 864000")),
    ("override.long_s", ("[override]", "[override]\nlong_s = 5")),
    ("gateway.id", ('id = "house-7"', 'id = "house-8"')),
    ("gateway.state_dir", ("[gateway]", "[gateway]\nstate_dir = '/tmp/reed'")),
    ("gateway.cloud_loss_s", ("[gateway]", "[gateway]\ncloud_loss_s = 864000")),
    ("board.socket", ("/run/reed/building.sock", "/run/reed/other.sock")),
    ("board.kind", ('kind = "sim"\nsocket = "/run/reed/building.sock"', 'kind = "linux"')),
    ("link.host", ("broker.example.com", "evil.example.com")),
    ("link.port", ("[link]", "[link]\nport = 8884")),
    ("link.ca_file", ('ca_file = "ca.pem"', 'ca_file = "other.pem"')),
    ("link.command_key_file", ("cloud-command.pem", "other.pem")),
    ("link.receipts", ("[link]", "[link]\nreceipts = 'broker'")),
    ("link.replay_per_s", ("[link]", "[link]\nreplay_per_s = 0.01")),
    ("link.backoff_cap_s", ("[link]", "[link]\nbackoff_cap_s = 3600")),
    ("update.url", ("https://updates.example.com/reed", "https://evil.example.com/reed")),
    ("update.hawkbit_url", ("[update]", "[update]\nhawkbit_url = 'https://evil.example.com'")),
    ("update.hawkbit_tenant", ("[update]", "[update]\nhawkbit_tenant = 'EVIL'")),
    ("update.allow", ('allow = ["app", "config"]', 'allow = ["app", "config", "os"]')),
    ("update.health_timeout_s", ("[update]", "[update]\nhealth_timeout_s = 3600")),
    ("update.poll_s", ("[update]", "[update]\npoll_s = 86400")),
    ("identity.allow_software_key", ("[link]", "[identity]\nallow_software_key = true\n\n[link]")),
    ("identity.renew_at", ("[link]", "[identity]\nrenew_at = 0.95\n\n[link]")),
    ("identity.tcti", ("[link]", "[identity]\ntcti = 'swtpm'\n\n[link]")),
    ("store.max_bytes", ("[link]", "[store]\nmax_bytes = 2000000\nmax_ram_bytes = 1000000\n\n[link]")),
    ("store.journal_entries", ("[link]", "[store]\njournal_entries = 1\n\n[link]")),
    ("store.open_wait_s", ("[link]", "[store]\nopen_wait_s = 600\n\n[link]")),
    ("store.path", ("[link]", "[store]\npath = '/tmp/reed.sqlite'\n\n[link]")),
    ("control.group", ("[link]", "[control]\ngroup = 'users'\n\n[link]")),
    ("control.max_clients_per_user", ("[link]", "[control]\nmax_clients_per_user = 1\n\n[link]")),
    ("bluetooth.silence_s", ("[link]", "[bluetooth]\nsilence_s = 86400\n\n[link]")),
    ("bluetooth.adapters", ("[link]", "[bluetooth]\nadapters = ['hci1']\n\n[link]")),
]


@pytest.mark.parametrize(("key", "change"), LESS, ids=[key for key, _ in LESS])
def test_what_protects_less_is_named_by_its_key(said: Callable[..., list[str]], key: str, change: Change):
    if key == "sensor.sink.every_s":
        assert said(change) == []  # 5 s is the longest that a loop may wait
        return
    found = said(change)

    assert key in [line.partition(": ")[0] for line in found]
    assert len(found) <= 3


def test_the_tables_above_speak_of_every_judge_but_those_that_no_configuration_can_reach():
    spoken = {key.split(".")[-1] for key, _ in LESS}
    silent = {"kind", "supervised", "baud", "socket", "runtime_dir", "chip", "meter"}
    silent |= {
        "stall_after_s",
        "close_wait_s",
        "key",
        "led_line",
    }
    silent |= {"cert_file", "key_file", "keepalive_s", "short_min_s", "short_max_s", "very_long_s", "stuck_s"}
    silent |= {"max_run_s", "dead_time_s", "pulse_s", "sensors", "device", "parity", "stop_bits"}
    wired = {field.name for cls in TABLES if cls.__name__.endswith("Lines") for field in fields(cls)}
    wired |= {"address", "supply_v", "supply_channel", "line", "bias", "active_low", "debounce_s"}

    assert {name for judged in JUDGED.values() for name in judged} <= spoken | silent | wired


def test_a_cloud_is_neither_given_nor_taken_from_afar(built: Callable[..., Config]):
    with_cloud = built()
    without = replace(with_cloud, link=None)

    assert lowered(with_cloud, without) == ["link: removed; alarms would stay in the building"]
    assert lowered(without, with_cloud) == ["link: added; who the cloud is, is decided at the building"]


def test_a_sensor_or_valve_that_is_gone_is_named(built: Callable[..., Config]):
    old = built()
    left = {name: spec for name, spec in old.site.sensors.items() if name != "sink"}
    new = replace(old, site=replace(old.site, sensors=left, valves={}))

    assert lowered(old, new) == ["sensor.sink: removed", "valve.main: removed", "valve.drain: removed"]


def test_a_key_is_never_shown(said: Callable[..., list[str]]):
    assert "231d" not in str(said(("231d39c1d7cc1ab1", "0000000000000000")))


def test_what_was_beyond_a_bound_before_may_stay_and_may_come_nearer(built: Callable[..., Config]):
    old = built(("[zone.plant-room]", "[zone.plant-room]\nconfirm_s = 60"))
    nearer = built(("[zone.plant-room]", "[zone.plant-room]\nconfirm_s = 30"))

    assert lowered(old, old) == lowered(old, nearer) == []
    assert lowered(nearer, old) == ["zone.plant-room.confirm_s: raised from 30 to 60; at most 30"]


def test_many_small_steps_lead_no_further_than_one(built: Callable[..., Config]):
    config, taken_s = built(), 5.0
    for confirm_s in range(6, 30):
        zone = replace(config.site.zones["plant-room"], confirm_s=float(confirm_s))
        offered = replace(config, site=replace(config.site, zones={**config.site.zones, "plant-room": zone}))
        if not lowered(config, offered):
            config, taken_s = offered, float(confirm_s)

    assert taken_s == 10.0


def test_small_steps_of_a_flow_rule_lead_nowhere(built: Callable[..., Config]):
    config = built()
    for _ in range(10):
        rule = config.site.flow_rules["night"]
        more = replace(rule, above_l_per_min=rule.above_l_per_min * 1.2, for_s=rule.for_s * 1.2)
        offered = replace(config, site=replace(config.site, flow_rules={"night": more}))
        config = config if lowered(config, offered) else offered

    assert config.site.flow_rules["night"].for_s == 2700


def _zone(built: Callable[..., Config], sensors: tuple[str, ...], quorum: int) -> Config:
    config = built()
    zone = replace(config.site.zones["plant-room"], sensors=sensors, quorum=quorum)
    return replace(config, site=replace(config.site, zones={**config.site.zones, "plant-room": zone}))


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ((("floor", "pump"), 2), (("floor", "pump", "sink"), 2), "sensors: with sink, and a quorum of 2"),
        ((("floor", "pump", "sink"), 3), (("floor", "pump", "sink"), 2), "quorum: lowered from 3 to 2"),
        ((("floor", "pump"), 2), (("floor", "pump", "sink"), 1), ""),
        ((("floor", "pump"), 1), (("floor", "pump", "sink"), 1), ""),
    ],
)
def test_a_sensor_in_trouble_makes_a_single_wet_one_enough_as_often_as_before(
    built: Callable[..., Config],
    before: tuple[tuple[str, ...], int],
    after: tuple[tuple[str, ...], int],
    says: str,
):
    found = lowered(_zone(built, *before), _zone(built, *after))

    assert [line.startswith(f"zone.plant-room.{says}") for line in found] == ([True] if says else [])


def test_more_things_than_any_building_has_do_not_come_from_afar(built: Callable[..., Config]):
    config = built()
    zone = config.site.zones["office"]
    many = {f"z-{n}": replace(zone, id=f"z-{n}") for n in range(500)}
    offered = replace(config, site=replace(config.site, zones={**config.site.zones, **many}))

    assert lowered(config, offered) == ["zone: 502 of them; at most 500 from afar"]
    assert lowered(offered, offered) == []


def test_a_valve_may_be_told_to_close_when_the_daemon_is_lost(built: Callable[..., Config]):
    new = built()
    hold = replace(new.site.valves["drain"], on_daemon_loss=OnDaemonLoss.HOLD)
    old = replace(new, site=replace(new.site, valves={**new.site.valves, "drain": hold}))

    assert lowered(old, new) == []
    assert lowered(new, old) == ['valve.drain.on_daemon_loss: "hold" instead of "close"']


WIRED = """
[gateway]
id = "house-7"
[board]
kind = "linux"
[zone.cellar]
sensors = ["floor"]
valves = ["main"]
[sensor.floor]
kind = "contact"
line = "GPIO5"
[sensor.roof]
kind = "contact"
line = "mcp23017:GPA0"
[valve.main]
kind = "motorised"
open_line = "GPIO17"
close_line = "GPIO27"
[serial.bus]
device = "BUS"
"""


@pytest.fixture
def wired(tmp_path: Path) -> Callable[[str], Config]:
    (tmp_path / "ttyUSB0").touch()
    (tmp_path / "by-id").symlink_to(tmp_path / "ttyUSB0")

    def build(more: str) -> Config:
        path = tmp_path / "wired.toml"
        path.write_text(WIRED.replace("BUS", str(tmp_path / "ttyUSB0")) + more)
        return read(path)

    return build


CLOSES_MAIN = "valve.main.close_line"


@pytest.mark.parametrize(
    ("line", "whose"),
    [
        ("gpiochip0:27", CLOSES_MAIN),
        ("/dev/gpiochip0:GPIO27", CLOSES_MAIN),
        ("pinctrl-bcm2711:27", CLOSES_MAIN),
        ("027", CLOSES_MAIN),
        ("pinctrl-rp1:5", "sensor.floor.line"),
        ("mcp23017:0", "sensor.roof.line"),
        ("gpiochip4:GPA0", "sensor.roof.line"),
        ("PWM0", None),
        ("GPIO6", ""),
        ("gpiochip4:6", "sensor.roof.line"),
        ("mcp23017:GPA1", ""),
        ("mcp23008:27", ""),
    ],
)
def test_a_line_that_may_be_in_use_under_another_name_does_not_come_from_afar(
    wired: Callable[[str], Config], line: str, whose: str | None
):
    more = f'[sensor.a-new-one]\nkind = "contact"\nline = "{line}"\n'

    found = lowered(wired(""), wired(more))

    assert [line.partition(": ")[0] for line in found] == ([] if whose == "" else ["sensor.a-new-one.line"])
    assert (whose or "") in "".join(found)


def test_a_status_light_does_not_take_the_line_of_a_valve(wired: Callable[[str], Config]):
    [found] = lowered(wired(""), wired('[indicator]\nled_line = "gpiochip0:27"\n'))

    assert found.startswith(
        'indicator.led_line: "gpiochip0:27" may be the line of sensor.roof.line, valve.main.'
    )


def test_a_port_under_another_name_is_the_same_port(wired: Callable[[str], Config], tmp_path: Path):
    with pytest.raises(ConfigError, match=r"already used by serial\.bus"):
        wired(f'[serial.other]\ndevice = "{tmp_path}/by-id"\n')


# --- on the command line --------------------------------------------------------------------------------


@pytest.fixture
def offered(folder: Path) -> Offered:
    def write(before: str, after: str) -> tuple[str, str]:
        old, spool = folder / "gateway.toml", folder / "spool"
        spool.mkdir()
        old.write_text(BUILDING)
        new = spool / "offered.toml"
        new.write_text(BUILDING.replace(before, after))
        return str(new), str(old)

    return write


def test_each_lowering_is_a_line_and_the_status_tells_it_from_a_mistake(
    offered: Offered, capsys: pytest.CaptureFixture[str]
):
    new, old = offered('valves = ["main", "drain"]', 'valves = ["main"]\nquorum = 2')

    status = main(["check-config", new, "--against", old])

    assert status == 77
    assert capsys.readouterr().out.splitlines() == [
        "zone.plant-room.valves: without drain",
        "zone.plant-room.quorum: raised from 1 to 2",
    ]


def test_relative_paths_are_read_where_the_file_is_to_lie(
    offered: Offered, capsys: pytest.CaptureFixture[str]
):
    new, old = offered("[zone.plant-room]", "[zone.plant-room]\nconfirm_s = 1")

    assert main(["check-config", new, "--against", old]) == 0


def test_a_mistake_is_still_a_mistake(offered: Offered, capsys: pytest.CaptureFixture[str]):
    new, old = offered('sensors = ["floor", "pump"]', 'sensors = ["flor"]')

    assert main(["check-config", new, "--against", old]) == 78


def test_a_file_in_force_that_is_wrong_itself_is_named(offered: Offered, capsys: pytest.CaptureFixture[str]):
    new, old = offered("[zone", "[zone")
    Path(old).write_text("[gateway]\n")

    assert main(["check-config", new, "--against", old]) == 78
    assert "in force and not valid itself" in capsys.readouterr().err


def test_programs_get_the_same_as_json(offered: Offered, capsys: pytest.CaptureFixture[str]):
    new, old = offered("[zone.plant-room]", "[zone.plant-room]\nlatch = false")

    assert main(["check-config", new, "--against", old, "--json"]) == 77
    assert json.loads(capsys.readouterr().out)["lowered"] == ["zone.plant-room.latch: switched off"]
