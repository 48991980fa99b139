import pytest
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from hypothesis import given
from hypothesis import strategies as st
from switchbot import SwitchbotModel, parse_advertisement_data

from gateway.domain.model import Reading
from gateway.domain.ports import Advert
from gateway.drivers.sensors.switchbot import COMPANY, MODEL_UUID, decode
from gateway.errors import DecodeError

ADDRESS = "C4:34:30:37:4C:7A"
QUIET = bytes.fromhex("c43430374c7a184e98675e94513c0500000000")
LEAKING = bytes.fromhex("c43430374c7a4764f96761c4083c0500000000")
# As recorded from a real detector. pySwitchbot's own test has this line with doubled backslashes and so
# asserts what the text of the escapes decodes to.
RECORDED = b"\xd6407D1\x02V\x90\x00\x00\x00\x00\x1e\x05\x00\x00\x00\x00"


def heard(data: bytes, model: bytes | None = b"&\x00d") -> Advert:
    return Advert(ADDRESS, {MODEL_UUID: model} if model is not None else {}, {COMPANY: data})


def oracle(advert: Advert) -> dict[str, object]:
    """What PySwitchbot reads, told that it is a leak detector, as a passive scan needs."""
    data = AdvertisementData(
        local_name="",
        manufacturer_data=dict(advert.manufacturer_data),
        service_data={f"0000{u:04x}-0000-1000-8000-00805f9b34fb": d for u, d in advert.service_data.items()},
        service_uuids=[],
        tx_power=None,
        rssi=-60,
        platform_data=(),
    )
    parsed = parse_advertisement_data(BLEDevice(ADDRESS, "", None), data, SwitchbotModel.LEAK)
    return dict(parsed.data["data"]) if parsed else {}


@pytest.mark.parametrize(
    ("data", "wet", "battery_percent"), [(QUIET, False, 78), (LEAKING, True, 100), (RECORDED, False, 86)]
)
def test_recorded_detectors(data: bytes, wet: bool, battery_percent: int):
    assert decode(heard(data)) == Reading(
        "switchbot-leak", wet=wet, battery_percent=battery_percent, battery_low=False, tamper=False
    )


def test_passive_scan_without_the_model_is_enough():
    assert decode(heard(LEAKING, model=None)).wet is True


def test_detector_that_is_being_paired_still_detects():
    assert decode(heard(LEAKING, model=b"\x06\x00d")).wet is True


def test_tamper_and_low_battery_are_told():
    reading = decode(heard(LEAKING[:7] + bytes([0x80 | 9, 0x02]) + LEAKING[9:]))

    assert (reading.wet, reading.tamper, reading.battery_low, reading.battery_percent) == (
        False,
        True,
        True,
        9,
    )


def test_battery_above_full_is_unknown():
    assert decode(heard(LEAKING[:7] + b"\x7f\x00")).battery_percent is None


def test_another_model_is_refused():
    with pytest.raises(DecodeError, match="model 54 is not"):
        decode(heard(QUIET, model=b"T\x00d"))


@pytest.mark.parametrize("length", range(9))
def test_short_advertisement_is_refused(length: int):
    with pytest.raises(DecodeError, match=f"{length} bytes"):
        decode(heard(QUIET[:length]))


@given(st.binary(min_size=9, max_size=24), st.sampled_from([None, b"&\x00d", b"\xa6", b"\x06"]))
def test_advertisements_read_as_pyswitchbot_reads_them(data: bytes, model: bytes | None):
    reading, expected = decode(heard(data, model)), oracle(heard(data, model))

    assert (reading.wet, reading.tamper, reading.battery_low) == (
        expected["leak"],
        expected["tampered"],
        expected["low_battery"],
    )
    assert reading.battery_percent in (expected["battery"], None)
