"""The MCP3008 driver against a chip that shifts bits as the data sheet shows."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.drivers.adc.config import Config
from gateway.drivers.adc.mcp3008 import Mcp3008
from gateway.errors import DriverError
from tests.fakes.converters import Mcp3008Chip

CONFIG = Config(kind="mcp3008", device=Path("/dev/spidev0.1"))
LSB = 1 / 1024


def connected(chip: Mcp3008Chip) -> Mcp3008:
    driver = Mcp3008(CONFIG, lambda: chip)
    driver.open()
    return driver


@given(ratios=st.lists(st.floats(0, 1), min_size=8, max_size=8))
def test_each_input_is_read_as_its_part_of_the_reference(ratios: list[float]):
    driver = connected(Mcp3008Chip(ratios))

    for channel, ratio in enumerate(ratios):
        assert driver.ratio(channel) == pytest.approx(ratio, abs=LSB * 1.01)


def test_bus_is_opened_as_the_device_file_says_and_slow_enough_for_a_loop():
    chip = Mcp3008Chip()

    connected(chip)

    assert (chip.path, chip.mode) == ("/dev/spidev0.1", 0)
    assert chip.max_speed_hz <= 100_000


def test_missing_chip_is_known_by_its_null_bit():
    with pytest.raises(DriverError, match=r"spidev0\.1: no chip answers there: check its power"):
        connected(Mcp3008Chip(is_there=False)).ratio(0)


def test_chip_whose_line_is_held_low_reads_as_a_short():
    chip = Mcp3008Chip(ratios=[0.7] * 8)
    driver = connected(chip)
    chip.stuck_code = 0

    assert driver.ratio(0) == 0.0


@given(a=st.floats(0, 1), b=st.floats(0, 1))
def test_chip_that_measures_passes_the_check_at_any_voltage(a: float, b: float):
    driver = connected(Mcp3008Chip([a, b, 0, 0, 0, 0, 0, 0]))

    driver.check(0)
    driver.check(1)


def test_chip_that_gives_one_code_for_everything_is_told_as_frozen():
    chip = Mcp3008Chip([0.7] * 8)
    driver = connected(chip)
    driver.check(3)
    chip.stuck_code = 705

    with pytest.raises(
        DriverError, match="gives 705 and 705 for a difference and its opposite; it is frozen"
    ):
        driver.check(3)


def test_error_of_the_bus_names_the_place_and_what_to_do():
    chip = Mcp3008Chip(failures=1)

    with pytest.raises(
        DriverError, match=r"^mcp3008 at /dev/spidev0\.1: Input/output error; no chip answers"
    ):
        connected(chip).ratio(0)


def test_device_file_that_does_not_exist_says_how_to_switch_the_bus_on():
    pytest.importorskip("spidev", reason="spidev is not installed: pip must compile it")
    driver = Mcp3008(Config(kind="mcp3008", device=Path("/dev/spidev9.9")))

    with pytest.raises(DriverError, match="No such file or directory; switch the bus on with dtparam=spi=on"):
        driver.open()


def test_closed_driver_refuses():
    chip = Mcp3008Chip()
    driver = connected(chip)
    driver.close()
    driver.close()

    with pytest.raises(DriverError, match="closed"):
        driver.ratio(0)
    assert chip.path == ""
