from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.drivers.gpio.config import Config
from gateway.drivers.gpio.lines import GpioLines
from tests.drivers.gpio import model_gpiod
from tests.drivers.gpio.model_gpiod import Bank, plug

MODULE = "tests.drivers.gpio.model_gpiod"


@pytest.fixture
def header(tmp_path: Path) -> Iterator[Bank]:
    """The chip of a Pi 4's header, the only one so far."""
    yield plug(tmp_path, "gpiochip0", "pinctrl-bcm2711", 28, ("ID_SDA", "ID_SCL", "SDA1"))
    model_gpiod.banks.clear()


@pytest.fixture
async def lines(header: Bank, tmp_path: Path):
    board = GpioLines(Config(), folder=tmp_path, module=MODULE)
    await board.open()
    yield board
    board.close()
