import pytest
from home_assistant_bluetooth import BluetoothServiceInfo
from hypothesis import given
from hypothesis import strategies as st
from xiaomi_ble.parser import XiaomiBluetoothDeviceData

from gateway.domain.events import FrameRejected, SensorRead
from gateway.domain.model import Reading
from gateway.domain.ports import Advert
from gateway.drivers.sensors.mibeacon import Config, decode
from gateway.errors import DecodeError
from tests.fakes.board import FakeBoard
from tests.fakes.frames import ADDRESS, KEY, damaged, mibeacon, mibeacon_keyed, mibeacon_object
from tests.fakes.sensing import sensing

UUID = 0xFE95
SJWS01LM, SJWS02LM, RS1BB, ZHIEE = 0x0863, 0x6375, 0x3F0F, 0x7712
WATER, BELOW, ABOVE, EVENT = 0x1014, 0x4806, 0x487B, 0x4A68
WET, DRY = b"\x01", b"\x00"
RECORDED = Advert(
    "A4:C1:38:B9:4C:67", service_data={UUID: b"XY\x0f?JgL\xb98\xc1\xa4\xd6\xe5{\x83\x04\x00\x00\xd0\x1e\x0bK"}
)
RECORDED_KEY = bytes.fromhex("33ede53321bc73c790a8daae4581f3d5")


def water(object_id: int, value: bytes, product: int = SJWS02LM, counter: int = 1) -> Advert:
    return mibeacon_keyed(product, mibeacon_object(object_id, value), counter)


def test_recorded_linptech_sensor_is_dry_and_authentic():
    assert decode(RECORDED, RECORDED_KEY) == Reading("mibeacon", wet=False, authentic=True, counter=0x44A)


def test_recorded_button_press_says_nothing_about_water():
    press = Advert(
        "A4:C1:38:08:63:01", service_data={UUID: bytes.fromhex("504063080101630838c1a4 01100300 0000")}
    )

    assert decode(press) == Reading("mibeacon", counter=1)


@pytest.mark.parametrize("product", [SJWS01LM, SJWS02LM, RS1BB, ZHIEE])
@pytest.mark.parametrize(("object_id", "wet"), [(WATER, True), (BELOW, True), (WATER, False), (BELOW, False)])
def test_water_objects_of_every_product(product: int, object_id: int, wet: bool):
    advert = mibeacon(product, mibeacon_object(object_id, bytes([wet])), count=200)

    assert decode(advert) == Reading("mibeacon", wet=wet, counter=200)


@pytest.mark.parametrize(
    ("object_id", "value", "wet"),
    [
        (ABOVE, 1, True),
        (ABOVE, 0, False),
        (EVENT, 0, True),
        (EVENT, 1, False),
        (EVENT, 2, True),
        (EVENT, 3, False),
        (EVENT, 4, None),
    ],
)
def test_second_probe_and_events_of_sjws02lm(object_id: int, value: int, wet: bool | None):
    assert decode(water(object_id, bytes([value])), KEY).wet is wet


def test_objects_of_sjws02lm_mean_nothing_on_another_product():
    assert decode(water(EVENT, b"\x00", product=SJWS01LM), KEY).wet is None


def test_one_wet_probe_of_two_is_wet():
    objects = mibeacon_object(BELOW, DRY) + mibeacon_object(ABOVE, WET)

    assert decode(mibeacon_keyed(SJWS02LM, objects, 1), KEY).wet is True


@pytest.mark.parametrize("object_id", [0x100A, 0x4803, 0x4C03])
def test_battery_level(object_id: int):
    assert decode(water(object_id, b"\x32"), KEY).battery_percent == 50


def test_low_battery():
    assert decode(water(0x4A01, b"\x01"), KEY).battery_low is True


def test_counter_has_the_short_count_as_its_lowest_byte():
    assert decode(water(BELOW, WET, counter=0x123456), KEY).counter == 0x123456


@pytest.mark.parametrize("bit", range(8 * 22))
def test_no_bit_of_an_encrypted_frame_can_be_changed_into_a_reading(bit: int):
    changed = bytearray(water(BELOW, WET).service_data[UUID])
    changed[bit // 8] ^= 1 << bit % 8

    try:
        reading = decode(Advert(ADDRESS, service_data={UUID: bytes(changed)}), KEY)
    except DecodeError:
        return
    # Bits of the control field that nobody checks are not part of the nonce.
    assert not reading.authentic or bit in range(16)


def test_bad_mic_says_nothing_but_that():
    assert decode(damaged(water(BELOW, DRY, counter=9), UUID), KEY) == Reading(
        "mibeacon", authentic=False, counter=9
    )


def test_frame_that_is_cut_off_is_refused():
    with pytest.raises(DecodeError, match="cut off"):
        decode(mibeacon(RS1BB, mibeacon_object(BELOW, DRY) + b"\x03\x4c"))
    with pytest.raises(DecodeError, match="cut off"):
        decode(mibeacon(RS1BB, mibeacon_object(BELOW, WET)[:-1]))


def test_water_before_the_cut_is_not_missed():
    assert decode(mibeacon(RS1BB, mibeacon_object(BELOW, WET) + b"\x03\x4c")).wet is True


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("", "0 bytes"),
        ("40590f3f", "4 bytes"),
        ("40190f3f01", "version 1"),
        ("c0590f3f01", "mesh"),
        ("40595b0501", "product 055B"),
        ("50590f3f01 000000000000", "not the sender's"),
        ("50590f3f01 a580", "not the sender's"),
        ("60590f3f01", "header is cut off"),
        ("60590f3f01 20", "header is cut off"),
        ("48300f3f01 0000000000000000", "version 3 has no MIC"),
        ("48590f3f01 00000000000000", "too short"),
    ],
)
def test_malformed_frame_is_refused(data: str, problem: str):
    with pytest.raises(DecodeError, match=problem):
        decode(Advert(ADDRESS, service_data={UUID: bytes.fromhex(data)}), KEY)


def test_encrypted_frame_without_a_key_says_that_one_is_needed():
    with pytest.raises(DecodeError, match="key is needed"):
        decode(RECORDED)


async def wet_after(*adverts: Advert, key: str = KEY.hex()) -> list[bool | None]:
    board = FakeBoard()
    async with sensing("mibeacon", Config(address=ADDRESS, key=key), board) as events:
        for advert in adverts:
            board.hear(advert)
    return [event.reading.wet for event in events if isinstance(event, SensorRead)]


async def test_dry_above_does_not_hide_wet_below():
    assert await wet_after(
        water(BELOW, WET, counter=1), water(ABOVE, DRY, counter=2), water(BELOW, DRY, counter=3)
    ) == [True, True, False]


async def test_frame_that_says_nothing_about_water_stays_silent_about_it():
    assert await wet_after(water(BELOW, WET, counter=1), water(0x4803, b"\x32", counter=2)) == [True, None]


async def test_replayed_dry_frame_does_not_change_what_a_probe_said():
    replayed = water(BELOW, DRY, counter=1)

    assert await wet_after(
        replayed, water(BELOW, WET, counter=2), replayed, water(ABOVE, DRY, counter=3)
    ) == [False, True, False, True]


async def test_forged_and_plain_frames_do_not_change_what_a_probe_said():
    forged = damaged(water(BELOW, DRY, counter=8), UUID)
    unprotected = mibeacon(SJWS02LM, mibeacon_object(BELOW, DRY), count=9)

    assert (await wet_after(water(BELOW, WET, counter=2), forged, unprotected, water(ABOVE, DRY, counter=3)))[
        -1
    ] is True


async def test_idle_beacon_is_a_sign_of_life_of_a_plain_sensor_only():
    idle = mibeacon(SJWS02LM, b"", control=0x5910)

    assert await wet_after(idle, key="") == [None]
    assert await wet_after(idle) == []


async def test_keyed_sensor_without_its_key_is_told_as_rejected():
    board = FakeBoard()

    async with sensing("mibeacon", Config(address=ADDRESS), board) as events:
        board.hear(water(BELOW, WET))

    assert events == [FrameRejected("s", "MiBeacon: encrypted; a key is needed")]


# --- against xiaomi-ble -------------------------------------------------------------------------------


def oracle(advert: Advert, key: bytes | None) -> tuple[bool | None, float | int | str | None]:
    """What xiaomi-ble reads: wet at any probe, battery."""
    device = XiaomiBluetoothDeviceData(bindkey=key)
    update = device.update(
        BluetoothServiceInfo(
            name="",
            address=advert.address,
            rssi=-60,
            manufacturer_data={},
            service_data={"0000fe95-0000-1000-8000-00805f9b34fb": advert.service_data[UUID]},
            service_uuids=[],
            source="",
        )
    )
    probes = [
        value.native_value
        for key, value in update.binary_entity_values.items()
        if key.key in ("moisture", "bottom_submersion", "top_splash")
    ]
    battery = [v.native_value for k, v in update.entity_values.items() if k.key == "battery"]
    return any(probes) if probes else None, battery[-1] if battery else None


byte_object = st.tuples(
    st.sampled_from([WATER, BELOW, ABOVE, EVENT, 0x4803, 0x4C03, 0x4850]), st.integers(0, 100)
).map(lambda o: mibeacon_object(o[0], bytes([o[1]])))
products = st.sampled_from([SJWS01LM, SJWS02LM, RS1BB, ZHIEE])


@given(products, byte_object, st.integers(0, 0xFFFFFFFF))
def test_encrypted_frames_read_as_xiaomi_ble_reads_them(product: int, objects: bytes, counter: int):
    advert = mibeacon_keyed(product, objects, counter)
    reading = decode(advert, KEY)

    assert (reading.wet, reading.battery_percent) == oracle(advert, KEY)
    assert reading.authentic is True


@given(products, byte_object, st.integers(0, 255))
def test_plain_frames_read_as_xiaomi_ble_reads_them(product: int, objects: bytes, count: int):
    advert = mibeacon(product, objects, count)
    reading = decode(advert)

    assert (reading.wet, reading.battery_percent) == oracle(advert, None)


def test_recorded_frame_reads_as_xiaomi_ble_reads_it():
    assert oracle(RECORDED, RECORDED_KEY) == (False, None)
