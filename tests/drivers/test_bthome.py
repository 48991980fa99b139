import pytest
from bthome_ble.const import MEAS_TYPES
from bthome_ble.parser import BTHomeBluetoothDeviceData
from habluetooth import BluetoothServiceInfoBleak
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.events import SensorRead
from gateway.domain.model import Reading
from gateway.domain.ports import Advert
from gateway.drivers.sensors.bthome import Config, decode
from gateway.errors import DecodeError
from tests.fakes.board import FakeBoard
from tests.fakes.frames import ADDRESS, KEY, bthome, bthome_keyed, damaged
from tests.fakes.sensing import sensing

UUID = 0xFCD2
PUBLISHED = Advert(ADDRESS, service_data={UUID: bytes.fromhex("41a47266c95f730011223378237214")})
"""The example of bthome.io/encryption: temperature 25.06, humidity 50.55."""
WET, DRY = b"\x20\x01", b"\x20\x00"


def plain(hex_objects: str) -> Reading:
    return decode(bthome(bytes.fromhex(hex_objects)))


def test_plain_frame_tells_packet_battery_voltage_and_water():
    assert plain("0009 0161 0C750B 2001") == Reading(
        "bthome-v2", wet=True, counter=9, battery_percent=97, battery_v=2.933
    )


def test_published_encrypted_vector_is_authentic():
    assert decode(PUBLISHED, KEY) == Reading(
        "bthome-v2", authentic=True, counter=0x33221100, temperature_degc=25.06
    )


def test_second_published_vector_is_authentic():
    advert = Advert(ADDRESS, service_data={UUID: bytes.fromhex("4187b90011223372b0231f")})

    assert decode(advert, KEY) == Reading("bthome-v2", authentic=True, counter=0x33221100)


def test_bad_mic_says_nothing_but_that():
    assert decode(damaged(bthome_keyed(WET, 7), UUID), KEY) == Reading(
        "bthome-v2", authentic=False, counter=7
    )


def test_foreign_key_fails_the_mic():
    assert decode(bthome_keyed(WET, 7, key=bytes(16)), KEY).authentic is False


@pytest.mark.parametrize("bit", range(8 * len(PUBLISHED.service_data[UUID])))
def test_no_bit_of_an_encrypted_frame_can_be_changed_unnoticed(bit: int):
    changed = bytearray(PUBLISHED.service_data[UUID])
    changed[bit // 8] ^= 1 << bit % 8

    try:
        reading = decode(Advert(ADDRESS, service_data={UUID: bytes(changed)}), KEY)
    except DecodeError:
        return
    assert not reading.authentic


def test_frame_copied_from_another_sensor_fails_the_mic():
    copied = Advert("54:48:E6:8F:80:A6", service_data=PUBLISHED.service_data)

    assert decode(copied, KEY).authentic is False


def test_plain_frame_to_a_keyed_sensor_is_not_called_authentic():
    assert decode(bthome(WET), KEY).authentic is None


def test_counter_of_a_keyed_frame_is_not_its_packet_id():
    assert decode(bthome_keyed(b"\x00\x09" + WET, 1000), KEY).counter == 1000


def test_address_in_the_frame_takes_the_senders_place_in_the_nonce():
    with_address = bytes.fromhex(ADDRESS.replace(":", ""))[::-1] + WET

    assert decode(bthome(with_address, info=0x42)).wet is True


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ("2001 2000", {"wet": True}),
        ("2000 2001", {"wet": True}),
        ("2000 2000", {"wet": False}),
        ("20FF", {"wet": True}),
        ("1501", {"battery_low": True}),
        ("1500 2B01", {"battery_low": False, "tamper": True}),
        ("4A1E00", {"battery_v": 3.0}),
        ("0138 01FF", {"battery_percent": 56}),
        ("01FF", {"battery_percent": None}),
        ("0260F0", {"temperature_degc": -40.0}),
        ("451101", {"temperature_degc": 27.3}),
        ("57EA", {"temperature_degc": -22.0}),
        ("58EA", {"temperature_degc": -7.7}),
        ("02CA09 45F6FF", {"temperature_degc": -1.0}),
        ("14020C 2F23", {}),
        ("2001 5303 616263", {"wet": True}),
        ("5303 616263 2001", {"wet": True}),
        ("5400 2001", {"wet": True}),
        ("3B02 010203 2001", {"wet": True}),
        ("F00102 F101020304 F2010203", {}),
    ],
)
def test_objects(objects: str, expected: dict[str, object]):
    reading = plain(objects)

    assert reading == Reading("bthome-v2", **expected)


def test_unknown_object_ends_the_frame_quietly():
    assert plain("2001 EE 2000") == Reading("bthome-v2", wet=True)
    assert plain("EE 2001") == Reading("bthome-v2")


@pytest.mark.parametrize(
    "objects", ["20", "2000 0C75", "2000 53", "2000 5305 6162", "2000 3B01 01", "0161 02"]
)
def test_frame_that_is_cut_off_is_refused(objects: str):
    with pytest.raises(DecodeError, match="cut off"):
        plain(objects)


def test_water_before_the_cut_is_not_missed():
    assert plain("2001 0C75").wet is True


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("", "empty"),
        ("40", "no objects"),
        ("42 0102030405", "no objects"),
        ("00 2001", "version 0"),
        ("60 2001", "version 3"),
        ("41 20", "too short"),
        ("41 0011223344556677", "too short"),
    ],
)
def test_malformed_header_is_refused(data: str, problem: str):
    with pytest.raises(DecodeError, match=problem):
        decode(Advert(ADDRESS, service_data={UUID: bytes.fromhex(data)}), KEY)


def test_encrypted_frame_without_a_key_says_that_one_is_needed():
    with pytest.raises(DecodeError, match="key is needed"):
        decode(PUBLISHED)


async def test_wet_frame_reaches_the_core_within_the_radios_callback():
    board = FakeBoard()

    async with sensing("bthome", Config(address=ADDRESS, key=KEY.hex()), board) as events:
        board.hear(bthome_keyed(WET, 7))
        assert events == [SensorRead("s", Reading("bthome-v2", wet=True, authentic=True, counter=7))]


async def test_forged_frame_is_told_as_not_authentic():
    board = FakeBoard()

    async with sensing("bthome", Config(address=ADDRESS, key=KEY.hex()), board) as events:
        board.hear(damaged(bthome_keyed(DRY, 8), UUID))

    assert events == [SensorRead("s", Reading("bthome-v2", authentic=False, counter=8))]


# --- against bthome-ble -------------------------------------------------------------------------------


def oracle(advert: Advert, key: bytes | None = None) -> dict[str, object]:
    """What bthome-ble reads: the values of the kinds that we read, with the same names."""
    device = BTHomeBluetoothDeviceData(bindkey=key)
    update = device.update(
        BluetoothServiceInfoBleak(
            name="",
            address=advert.address,
            rssi=-60,
            manufacturer_data={},
            service_data={"0000fcd2-0000-1000-8000-00805f9b34fb": advert.service_data[UUID]},
            service_uuids=[],
            source="",
            device=None,
            advertisement=None,
            connectable=False,
            time=0.0,
            tx_power=None,
        )
    )
    values = {k.key: v.native_value for k, v in update.entity_values.items()}
    flags = {k.key: v.native_value for k, v in update.binary_entity_values.items()}
    return {
        "wet": flags.get("moisture"),
        "tamper": flags.get("tamper"),
        "battery_low": flags.get("battery"),
        "battery_percent": values.get("battery"),
        "battery_v": values.get("voltage"),
        "temperature_degc": values.get("temperature"),
    }


def ours(advert: Advert, key: bytes | None = None) -> dict[str, object]:
    reading = decode(advert, key)
    return {name: getattr(reading, name) for name in oracle(bthome(DRY))}


def value_of(object_id: int) -> st.SearchStrategy[bytes]:
    kind = MEAS_TYPES[object_id]
    if kind.data_format in ("raw", "string", "command"):
        extra = 1 if kind.data_format == "command" else 0
        return st.binary(min_size=1, max_size=5).map(lambda data: bytes([len(data) - extra]) + data)
    if object_id == 0x01:
        return st.integers(0, 100).map(lambda percent: bytes([percent]))
    return st.binary(min_size=kind.data_length, max_size=kind.data_length)


# One object of each measured kind at most (the oracle numbers repeated ones), no 0x58 (it rounds coarsely).
kinds_apart = st.lists(
    st.sampled_from(sorted(MEAS_TYPES.keys() - {0x0C, 0x45, 0x57, 0x58, 0x2F, 0x14})), unique=True, max_size=6
).map(sorted)
well_formed = kinds_apart.flatmap(
    lambda ids: st.tuples(*(value_of(i).map(lambda v, i=i: bytes([i]) + v) for i in ids)).map(b"".join)
).filter(bool)


@pytest.mark.parametrize("object_id", sorted(MEAS_TYPES))
def test_every_object_of_bthome_ble_is_stepped_over_to_the_next(object_id: int):
    filler = MEAS_TYPES[object_id].data_length or 0
    value = bytes([3, 1, 2, 3]) if MEAS_TYPES[object_id].data_format in ("raw", "string") else bytes(filler)
    value = bytes([2, 1, 2, 3]) if MEAS_TYPES[object_id].data_format == "command" else value

    assert decode(bthome(bytes([object_id]) + value + WET)).wet is True


@given(well_formed)
def test_plain_frames_read_as_bthome_ble_reads_them(objects: bytes):
    assert ours(bthome(objects)) == oracle(bthome(objects))


@given(well_formed, st.integers(0, 0xFFFFFFFF), st.binary(min_size=16, max_size=16))
def test_encrypted_frames_read_as_bthome_ble_reads_them(objects: bytes, counter: int, key: bytes):
    advert = bthome_keyed(objects, counter, key)

    assert ours(advert, key) == oracle(advert, key)
    assert decode(advert, key).authentic is True


@given(st.binary(max_size=20))
def test_what_we_accept_bthome_ble_reads_alike_even_in_garbage(objects: bytes):
    try:
        reading = decode(bthome(b"\x20" + objects))
    except DecodeError:
        return
    if objects.count(0x20) == 0:
        assert reading.wet == oracle(bthome(b"\x20" + objects))["wet"]
