"""What `[adc.<id>]` may say."""

from pathlib import Path

import pytest

from gateway.drivers.adc.config import Config
from gateway.errors import ConfigError

SPI, I2C = Path("/dev/spidev0.1"), Path("/dev/i2c-1")


def test_device_file_of_spi_names_bus_and_chip_select():
    assert Config(kind="mcp3008", device=SPI).spi == (0, 1)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"kind": "mcp3008", "device": I2C}, "device"),
        ({"kind": "mcp3008", "device": SPI, "supply_channel": 7}, "supply_channel"),
        ({"kind": "ads1115", "device": I2C, "address": 0x47}, "address"),
        ({"kind": "ads1115", "device": I2C, "supply_v": 12.0}, "supply_v"),
        ({"kind": "ads1115", "device": I2C, "supply_v": 0.0}, "supply_v"),
        ({"kind": "ads1115", "device": I2C, "supply_channel": 4}, "supply_channel"),
        ({"kind": "ads1115", "device": I2C, "samples_per_s": 100}, "samples_per_s"),
    ],
)
def test_wrong_value_names_its_key(values: dict[str, object], key: str):
    with pytest.raises(ConfigError) as error:
        Config(**values)  # type: ignore[arg-type]

    assert [name for name, _ in error.value.problems] == [key]
