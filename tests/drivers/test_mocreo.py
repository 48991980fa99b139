import pytest

from gateway.domain.model import Reading
from gateway.domain.ports import Advert
from gateway.drivers.sensors.mocreo import claims, decode
from gateway.errors import DecodeError

ADDRESS = "30:AE:A4:00:AA:BB"
RECORDED = bytes.fromhex("1580e4000000000000000086f6000000")
"""After the bytes 01 82, which stand in the place of the company id; dry, 100 %."""


def heard(body: bytes, company: int = 0x8201, name: str = "MOCREO") -> Advert:
    return Advert(ADDRESS, manufacturer_data={company: body}, name=name)


def with_flags(flags: int) -> bytes:
    return RECORDED[:8] + bytes([flags]) + RECORDED[9:]


def test_recorded_sensor_is_dry():
    assert decode(heard(RECORDED)) == Reading("mocreo-sw2", wet=False, battery_percent=100)


def test_leak_bit_is_wet():
    assert decode(heard(with_flags(0x01))).wet is True


def test_pressed_button_is_not_a_leak():
    assert decode(heard(with_flags(0x02))).wet is False


@pytest.mark.parametrize("company", [0x8201, 0x8211, 0x8241])
def test_low_byte_of_the_id_is_data(company: int):
    assert claims(heard(RECORDED, company))


@pytest.mark.parametrize("name", ["MOCREO", ""])
def test_sensor_is_known_with_its_name_or_none(name: str):
    assert claims(heard(RECORDED, name=name))


def test_other_models_and_makers_are_not_claimed():
    assert not claims(heard(RECORDED, company=0x8301))
    assert not claims(heard(RECORDED, name="Lamp"))


@pytest.mark.parametrize("length", range(9))
def test_short_advertisement_is_refused(length: int):
    with pytest.raises(DecodeError, match=f"{length} bytes"):
        decode(heard(RECORDED[:length]))
