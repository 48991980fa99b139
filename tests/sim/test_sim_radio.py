"""The building's sensors speak so that the gateway, and other people's decoders, understand them."""

import pytest
from bleak.backends.device import BLEDevice
from bthome_ble import BTHomeBluetoothDeviceData
from habluetooth import BluetoothServiceInfoBleak
from home_assistant_bluetooth import BluetoothServiceInfo
from hypothesis import given
from hypothesis import strategies as st
from switchbot.adv_parsers.leak import process_leak
from xiaomi_ble.parser import XiaomiBluetoothDeviceData

from gateway.domain.ports import Advert
from gateway.drivers import sensors
from gateway.sim import radio
from gateway.sim.building import Building
from gateway.sim.hands import Battery, Chill, Forge, Leak, Renew, Replay, Soak
from gateway.sim.happening import AdvertSent
from gateway.sim.plan import parse

KEY = bytes.fromhex("231d39c1d7cc1ab1aee224cd096db932")
MAC = bytes.fromhex("a4c138000001")
ADDRESS = "A4:C1:38:00:00:01"

statuses = st.builds(
    radio.Status,
    wet=st.booleans(),
    battery_percent=st.integers(0, 100),
    temperature_degc=st.floats(-40, 80),
    counter=st.integers(0, 2**32 - 1),
)
keys = st.sampled_from([None, KEY])


def decode(kind: str, sent: radio.Sent, key: bytes | None = None):
    advert = Advert(ADDRESS, sent.service_data, sent.manufacturer_data, sent.name)
    sensor = sensors.load(kind)
    assert sensor.claims(advert)
    return sensor.decode(advert, key)


@given(statuses, keys)
def test_bthome_frames_are_read_back_as_they_were_meant(status: radio.Status, key: bytes | None):
    reading = decode("bthome", radio.bthome(MAC, key, status), key)

    assert reading.wet is status.wet
    assert reading.battery_percent == status.battery_percent
    assert reading.temperature_degc == pytest.approx(status.temperature_degc, abs=0.006)
    assert reading.authentic is (True if key else None)
    assert reading.counter == (status.counter if key else status.counter & 0xFF)


@given(statuses, keys, st.sampled_from(sorted(radio.PRODUCTS)))
def test_mibeacon_frames_are_read_back_as_they_were_meant(
    status: radio.Status, key: bytes | None, model: str
):
    reading = decode("mibeacon", radio.mibeacon(MAC, key, status, model), key)

    says_battery = status.counter % 4 == 3
    assert reading.wet is (None if says_battery else status.wet)
    assert reading.battery_percent == (status.battery_percent if says_battery else None)
    assert reading.authentic is (True if key else None)
    assert reading.counter == (status.counter if key else status.counter & 0xFF)


@given(statuses)
def test_switchbot_and_mocreo_frames_are_read_back_as_they_were_meant(status: radio.Status):
    for kind, sent in (("switchbot", radio.switchbot(MAC, status)), ("mocreo", radio.mocreo(status))):
        reading = decode(kind, sent)

        assert (reading.wet, reading.battery_percent) == (status.wet, status.battery_percent)
        assert reading.authentic is None


def heard(uuid: int, data: bytes) -> BluetoothServiceInfo:
    """The same advertisement as the oracles want it."""
    return BluetoothServiceInfoBleak(
        name="",
        address=ADDRESS,
        rssi=-60,
        manufacturer_data={},
        service_data={f"0000{uuid:04x}-0000-1000-8000-00805f9b34fb": data},
        service_uuids=[],
        source="",
        device=BLEDevice(ADDRESS, "", None),
        advertisement=None,
        connectable=False,
        time=1.0,
        tx_power=None,
    )


@pytest.mark.parametrize("key", [None, KEY])
def test_bthome_ble_reads_our_frames_alike(key: bytes | None):
    sent = radio.bthome(MAC, key, radio.Status(True, 61, 7.25, 700))

    update = BTHomeBluetoothDeviceData(bindkey=key).update(
        heard(radio.BTHOME_UUID, sent.service_data[radio.BTHOME_UUID])
    )

    assert {61, 7.25} <= {value.native_value for value in update.entity_values.values()}
    assert [state.native_value for state in update.binary_entity_values.values()] == [True]


@pytest.mark.parametrize("model", sorted(radio.PRODUCTS))
@pytest.mark.parametrize("key", [None, KEY])
def test_xiaomi_ble_reads_our_frames_alike(model: str, key: bytes | None):
    sent = radio.mibeacon(MAC, key, radio.Status(True, 61, 20, 0x1234), model)

    update = XiaomiBluetoothDeviceData(bindkey=key).update(
        heard(radio.XIAOMI_UUID, sent.service_data[radio.XIAOMI_UUID])
    )

    assert [state.native_value for state in update.binary_entity_values.values()] == [True]


def test_pyswitchbot_reads_our_frames_alike():
    sent = radio.switchbot(MAC, radio.Status(True, 61, 20, 5))

    seen = process_leak(
        sent.service_data[radio.SWITCHBOT_UUID], sent.manufacturer_data[radio.SWITCHBOT_COMPANY]
    )

    assert seen == {"leak": True, "tampered": False, "battery": 61, "low_battery": False}


def adverts(building: Building, sensor: str) -> list[AdvertSent]:
    return [event for event in building.take() if isinstance(event, AdvertSent) and event.sensor == sensor]


def readings(building: Building, sensor: str = "pump"):
    sent = adverts(building, sensor)
    frames = [radio.Sent(advert.service_data, advert.manufacturer_data, advert.name) for advert in sent]
    return [decode("bthome", frame, KEY) for frame in frames]


def test_sensor_beacons_regularly_with_a_growing_counter(building: Building):
    building.run(100.0)

    heard = readings(building)
    assert [reading.counter for reading in heard] == [1, 2, 3, 4]
    assert {reading.wet for reading in heard} == {False}


def test_sensor_that_gets_wet_says_so_at_once_and_repeats_the_same_frame(building: Building):
    building.run(10.0)
    building.take()
    Leak(pipe="main").do(building)
    building.run(12.0)

    sent = adverts(building, "pump")
    assert len(sent) == 3
    assert len({advert.service_data[radio.BTHOME_UUID] for advert in sent}) == 1
    assert sent[-1].at_s - sent[0].at_s == pytest.approx(0.2)


def test_sensor_with_an_empty_battery_is_silent_until_it_gets_a_new_one(building: Building):
    Battery(sensor="pump", percent=0).do(building)
    building.run(100.0)
    silent = readings(building)
    Renew(sensor="pump").do(building)
    building.run(200.0)

    renewed = readings(building)
    assert silent == []
    assert (renewed[0].counter, renewed[0].battery_percent) == (1, 100)


def test_battery_runs_down_over_the_years(building: Building):
    Battery(sensor="pump", percent=50).do(building)

    assert building.transmitters["pump"].battery_percent(70 * 86400.0) == pytest.approx(40.0)


def test_replayed_frame_is_the_first_one_and_a_forged_one_is_not_authentic(building: Building):
    building.run(100.0)
    first = readings(building)[0]
    Replay(sensor="pump").do(building)
    Forge(sensor="pump").do(building)

    replayed, forged = readings(building)
    assert replayed == first
    assert forged.authentic is False
    assert forged.wet is None


def test_sensor_tells_the_temperature_of_its_room(building: Building):
    Chill(room="cellar", degc=3.5).do(building)
    building.run(5.0)

    assert [reading.temperature_degc for reading in readings(building)] == [3.5]


def test_soaked_sensor_is_wet_for_as_long_as_it_is_held_under_water(building: Building):
    Soak(sensor="pump", for_s=10.0).do(building)
    building.run(20.0)

    assert [reading.wet for reading in readings(building)] == [True] * 3 + [False] * 3
    assert building.contacts["leak-1"] is False


def test_sensors_of_a_later_building_go_on_counting():
    text = (
        f'[room.a]\n[beacon.b]\nroom = "a"\nformat = "bthome"\naddress = "{ADDRESS}"\nkey = "{KEY.hex()}"\n'
    )
    building = Building(parse(text), counter=1_800_000_000)
    building.run(2.0)

    assert [reading.counter for reading in readings(building, "b")] == [1_800_000_000]
