"""The ADS1115 driver against a chip with registers and a conversion time."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.ports import Failure
from gateway.drivers.adc.ads1115 import Ads1115
from gateway.drivers.adc.config import SAMPLES_PER_S, Config
from gateway.errors import DriverError
from tests.fakes.converters import Ads1115Chip

I2C = Path("/dev/i2c-1")
CONFIG = Config(kind="ads1115", device=I2C)
MEASURED = Config(kind="ads1115", device=I2C, supply_channel=3)


def connected(chip: Ads1115Chip, config: Config = CONFIG) -> Ads1115:
    driver = Ads1115(config, chip.opened, chip.sleep)
    driver.open()
    return driver


@given(volts=st.lists(st.floats(0, 3.3), min_size=4, max_size=4), rate=st.sampled_from(SAMPLES_PER_S))
def test_each_input_is_read_as_its_part_of_the_supply(volts: list[float], rate: int):
    driver = connected(Ads1115Chip(volts), Config(kind="ads1115", device=I2C, samples_per_s=rate))

    for channel, volt in enumerate(volts):
        assert driver.ratio(channel) == pytest.approx(volt / 3.3, abs=1e-4)


@given(supply_v=st.floats(2.65, 3.95), ratio=st.floats(0, 1))
def test_measured_supply_makes_the_ratio_independent_of_it(supply_v: float, ratio: float):
    driver = connected(Ads1115Chip([supply_v * ratio, 0, 0, supply_v]), MEASURED)

    assert driver.ratio(0) == pytest.approx(ratio, abs=2e-4)


def test_five_volts_are_measured_on_the_wide_scale():
    config = Config(kind="ads1115", device=I2C, supply_v=5.0, supply_channel=3)
    driver = connected(Ads1115Chip([4.8, 0, 0, 5.1]), config)

    assert driver.ratio(0) == pytest.approx(4.8 / 5.1, abs=2e-4)
    driver.check(0)


def test_result_is_not_read_before_the_conversion_is_done():
    chip = Ads1115Chip([1.0, 2.0, 0, 0], slowness=1.6)
    driver = connected(chip)

    assert [driver.ratio(0), driver.ratio(1), driver.ratio(0)] == pytest.approx(
        [1 / 3.3, 2 / 3.3, 1 / 3.3], abs=1e-4
    )
    assert chip.conversions == 3


def test_conversion_that_never_ends_is_told():
    chip = Ads1115Chip()
    driver = connected(chip)
    chip.is_dead = True

    with pytest.raises(DriverError, match="a conversion does not end"):
        driver.ratio(0)


def test_chip_that_lost_its_power_meanwhile_is_not_taken_at_its_word():
    chip = Ads1115Chip([2.3, 0, 0, 0])

    def sleep(seconds: float) -> None:
        chip.sleep(seconds)
        chip.lose_power()

    driver = Ads1115(CONFIG, chip.opened, sleep)
    driver.open()

    with pytest.raises(DriverError, match="reads back as 0x8583; it is another chip, or lost its power"):
        driver.ratio(0)


@pytest.mark.parametrize("supply_v", [3.3, 5.0])
@pytest.mark.parametrize("volts", [0.0, 0.02, 1.05, 2.27, 3.3])
def test_chip_that_measures_passes_the_check(volts: float, supply_v: float):
    connected(Ads1115Chip([volts, 0, 0, 0]), Config(kind="ads1115", device=I2C, supply_v=supply_v)).check(0)


def test_chip_that_gives_one_code_for_everything_is_told_as_frozen():
    chip = Ads1115Chip([2.27, 0, 0, 0])
    driver = connected(chip)
    driver.ratio(0)
    chip.is_frozen = True

    with pytest.raises(DriverError, match=r"reads 2\.27 V, then 3\.41 V at another full scale; it is frozen"):
        driver.check(0)


def test_missing_chip_is_noticed_when_the_bus_is_opened():
    with pytest.raises(DriverError, match=r"address 0x48: No such device or address; no chip answers there"):
        connected(Ads1115Chip(is_there=False))


def test_missing_bus_says_how_to_switch_it_on():
    with pytest.raises(DriverError, match="No such file or directory; switch the bus on with dtparam"):
        Ads1115(Config(kind="ads1115", device=Path("/dev/i2c-99"))).open()


def test_supply_that_is_not_wired_to_its_input_is_told():
    with pytest.raises(DriverError, match=r"the supply has 0\.02 V at input 3 instead of 3\.3 V"):
        connected(Ads1115Chip([2.0, 0, 0, 0.02]), MEASURED).ratio(0)


def test_foreign_voltage_on_one_wire_fails_this_input_only():
    driver = connected(Ads1115Chip([4.0, 1.65, 0, 0]))

    heard = driver.ratio(0)

    assert isinstance(heard, Failure)
    assert "a foreign voltage is on the wire" in heard.problem
    assert driver.ratio(1) == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize(("volts", "ratio"), [(-0.003, 0.0), (3.31, 1.0)])
def test_offset_at_either_end_stays_within_the_supply(volts: float, ratio: float):
    assert connected(Ads1115Chip([volts, 0, 0, 0])).ratio(0) == ratio


def test_closed_driver_refuses_and_has_let_go_of_the_bus():
    chip = Ads1115Chip()
    driver = connected(chip)
    driver.close()
    driver.close()

    with pytest.raises(DriverError, match="closed"):
        driver.ratio(0)
    assert not chip.is_open
