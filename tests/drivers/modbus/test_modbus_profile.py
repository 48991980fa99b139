from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.ports import Register
from gateway.drivers.modbus import profile_file
from gateway.drivers.modbus.answer import FUNCTIONS
from gateway.drivers.modbus.profile import Profile, decode, mismatch, registers, scan_registers
from gateway.errors import ConfigError

ROOT = Path(__file__).parents[3]
SHIPPED = {name: profile_file.load(name) for name in profile_file.names()}
RLE = ("rle-ld1500", "rle-ld2000", "rle-ld2100", "rle-ld5000")

words = st.integers(0, 0xFFFF)


def zones_of(profile: Profile) -> st.SearchStrategy[int | None]:
    zones = profile.zones
    return st.none() if zones is None else st.integers(zones.first, zones.last)


def rle(status: int, distance: int = 0, unit: int = 0) -> dict[Register, int]:
    return {Register("input", address): value for address, value in enumerate((status, distance, unit))}


def test_the_devices_that_are_promised_have_profiles():
    assert {*RLE, "aqualeak-10k", "ttk-fg-sys-cable", "ttk-fg-sys-circuit", "veris-ldra6"} <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_profile_names_its_source_with_its_page(name: str):
    assert "page" in SHIPPED[name].source


@pytest.mark.parametrize("name", SHIPPED)
@given(data=st.data())
def test_any_values_of_any_zone_are_a_reading(name: str, data: st.DataObject):
    profile = SHIPPED[name]
    zone = data.draw(zones_of(profile))
    wanted = registers(profile, zone)
    values = {register: data.draw(words) for register in wanted}

    reading = decode(profile, values, zone)

    assert reading.wet is not None
    assert (reading.fault is None) == (not profile.faults)
    assert reading.distance_m is None or (reading.wet and 0 <= reading.distance_m <= 65535)
    assert all(at.table in FUNCTIONS and 0 <= at.address <= 0xFFFF for at in wanted)


@pytest.mark.parametrize("name", SHIPPED)
@given(data=st.data())
def test_leak_bit_alone_decides_about_wet(name: str, data: st.DataObject):
    """Whatever else the device says, above all a cable break, water is water."""
    profile = SHIPPED[name]
    zone = data.draw(zones_of(profile))
    values = {register: data.draw(words) for register in registers(profile, zone)}
    nth = 0 if zone is None or profile.zones is None else zone - profile.zones.first
    leak, mask = profile.wet.place.register(nth), profile.wet.mask(nth)

    assert decode(profile, values | {leak: values[leak] | mask}, zone).wet is True
    assert decode(profile, values | {leak: values[leak] & ~mask}, zone).wet is False


@pytest.mark.parametrize("name", SHIPPED)
def test_all_zeros_are_dry_and_well(name: str):
    profile = SHIPPED[name]
    zone = profile.zones.first if profile.zones else None
    reading = decode(profile, dict.fromkeys(registers(profile, zone), 0), zone)

    assert (reading.wet, reading.distance_m) == (False, None)
    assert not reading.fault


@pytest.mark.parametrize("name", RLE)
def test_rle_counts_metres_or_feet_as_its_unit_register_says(name: str):
    profile = SHIPPED[name]

    assert decode(profile, rle(1, 12, 0)).distance_m == 12.0
    assert decode(profile, rle(1, 40, 1)).distance_m == 12.19
    assert decode(profile, rle(1, 40, 2)).distance_m is None
    assert decode(profile, rle(2, 40)).fault == "cable break"
    assert decode(profile, rle(6, 40)).fault == "cable break; contamination"


def test_aqualeak_counts_decimetres():
    assert decode(SHIPPED["aqualeak-10k"], rle(1, 123, 0)).distance_m == 12.3


def test_leak_with_a_cable_break_is_both():
    reading = decode(SHIPPED["rle-ld2000"], rle(3, 7))

    assert (reading.wet, reading.fault, reading.distance_m) == (True, "cable break", 7.0)


def test_each_zone_of_an_ldra6_has_a_bit():
    values = {Register("input", 0): 0b000100}
    wet = [decode(SHIPPED["veris-ldra6"], values, zone).wet for zone in range(1, 7)]

    assert wet == [False, False, True, False, False, False]


def test_cable_of_a_ttk_is_named_by_circuit_and_number():
    assert registers(SHIPPED["ttk-fg-sys-cable"], 207) == tuple(
        Register("holding", address) for address in (7207, 8207, 9207)
    )


def test_zone_of_an_ld2100_stands_in_every_second_register():
    wanted = [registers(SHIPPED["rle-ld2100-zone"], zone)[0].address + 30001 for zone in (2, 3, 16)]

    assert wanted == [30012, 30014, 30040]


# --- what a device may be -----------------------------------------------------------------------------


def test_registers_that_make_no_sense_are_no_rle():
    profile = SHIPPED["rle-ld2000"]

    assert mismatch(profile, rle(1, 40, 1)) == ""
    assert "more than 15" in mismatch(profile, rle(0x4000, 40, 1))
    assert "unit of length is 7" in mismatch(profile, rle(1, 40, 7))


def test_bit_that_has_no_meaning_is_no_ttk():
    profile = SHIPPED["ttk-fg-sys-circuit"]
    values = dict.fromkeys(scan_registers(profile), 0x0010)

    assert mismatch(profile, values) == ""
    assert "only 0x0090 has a meaning" in mismatch(profile, dict.fromkeys(values, 0x0011))


# --- files --------------------------------------------------------------------------------------------

OWN = """
name = "Own"
source = "its label"
[wet]
holding = 3
bit = 15
[distance]
input = 4
unit = "ft"
"""


def problems(text: str) -> str:
    with pytest.raises(ConfigError) as error:
        profile_file.parse("own", text)
    return "\n".join(f"{key}: {problem}" for key, problem in error.value.problems)


def test_file_of_ones_own_is_a_profile(tmp_path: Path):
    file = tmp_path / "own.toml"
    file.write_text(OWN)

    profile = profile_file.load(str(file))

    assert registers(profile, None) == (Register("holding", 3), Register("input", 4))
    assert decode(profile, {Register("holding", 3): 0x8000, Register("input", 4): 10}).distance_m == 3.05


@pytest.mark.parametrize(
    ("was", "becomes", "expected"),
    [
        ('name = "Own"', "", "own: name: missing"),
        ("bit = 15", "bit = 16", "own: wet.bit: 16; give a whole number from 0 to 15"),
        ("bit = 15", "bit = true", "own: wet.bit: True"),
        ("bit = 15", "bits = 15", "own: wet.bits: unknown key"),
        ("holding = 3", "coil = 3", "give the register"),
        ("holding = 3", "holding = 3\ninput = 3", "give the register"),
        ("holding = 3", "holding = 70000", "from 0 to 65535"),
        ('unit = "ft"', 'unit = "yd"', "distance.unit: 'yd' is not allowed; give one of m, dm, ft"),
        ('unit = "ft"', "", "give either unit, or unit_register with units"),
        ('unit = "ft"', 'unit_register = {input = 1}\nunits = {x = "m"}', "units.x: is no whole number"),
        ("[wet]", "[zones]\nfirst = 2\nlast = 1\n[wet]", "2 to 1 is no range"),
        ("[wet]", "limits = 3\n[wet]", "limits: is no list"),
        ("[wet]", "faults = 3\n[wet]", "faults: is no table"),
        ("[wet]", "[wet", "is not TOML"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_key(was: str, becomes: str, expected: str):
    assert expected in problems(OWN.replace(was, becomes))


def test_everything_that_is_wrong_is_told_at_once():
    assert len(problems("[wet]\nbit = 99").splitlines()) >= 4


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("no-such", "known: aqualeak-10k"),
        ("/no/such.toml", "cannot be read"),
        ("./own.toml", "absolute"),
        ("/dev/zero", "larger than"),
        ("/tmp", "cannot be read"),
        ("/\0", "no path"),
    ],
)
def test_profile_that_cannot_be_had_is_a_clear_error(name: str, expected: str):
    with pytest.raises(ConfigError, match=expected):
        profile_file.load(name)


@given(st.text(max_size=200))
def test_no_text_raises_anything_but_the_typed_error(text: str):
    try:
        profile_file.parse("own", text)
    except ConfigError as error:
        assert error.problems  # noqa: PT017


def test_every_profile_is_in_the_package_and_in_the_documentation():
    assert "drivers/modbus/profiles/*.toml" in (ROOT / "setup.cfg").read_text(encoding="utf-8")
    text = (ROOT / "docs" / "hardware.md").read_text(encoding="utf-8")
    assert [name for name in SHIPPED if f"`{name}`" not in text] == []
