"""Button and lamp on gpiozero, with the version that is installed; 1.6.2 of Debian 13 is tried in the VM."""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path

import gpiozero
import pytest

from gateway.domain.ports import InputSpec
from gateway.drivers.gpio.chips import Chips
from gateway.drivers.gpio.factory import LibgpiodFactory
from gateway.drivers.gpio.lines import GpioLines
from gateway.errors import DriverError
from tests.drivers.gpio.conftest import MODULE
from tests.drivers.gpio.model_gpiod import Bank

WIRINGS = [
    (InputSpec("GPIO6", active_low=True, bias="up"), False, None),
    (InputSpec("GPIO6", active_low=False, bias="up"), None, False),
    (InputSpec("GPIO6", active_low=False, bias="down"), True, None),
    (InputSpec("GPIO6", active_low=True, bias="none"), False, True),
]


@pytest.fixture
def factory(header: Bank, tmp_path: Path):
    made = LibgpiodFactory(Chips(folder=tmp_path, module=MODULE))
    yield made
    made.close()


def eventually(holds: Callable[[], bool]) -> bool:
    ends_s = time.monotonic() + 5
    while not holds() and time.monotonic() < ends_s:
        time.sleep(0.01)
    return bool(holds())


@pytest.mark.parametrize(("spec", "pressed", "released"), WIRINGS)
async def test_press_and_release_are_heard_in_the_loop(
    lines: GpioLines, header: Bank, spec: InputSpec, pressed: bool | None, released: bool | None
):
    heard: list[tuple[bool, int]] = []
    header.lines[6].outside = released

    with lines.button(spec, lambda level: heard.append((level, threading.get_ident()))) as level:
        for outside in (pressed, released):
            header.lines[6].connect(outside)
            await asyncio.sleep(0.01)

    assert level is False
    assert heard == [(True, threading.get_ident()), (False, threading.get_ident())]


@pytest.mark.parametrize(("spec", "pressed", "released"), WIRINGS)
async def test_button_that_is_held_at_start_is_entered_as_pressed(
    lines: GpioLines, header: Bank, spec: InputSpec, pressed: bool | None, released: bool | None
):
    header.lines[6].outside = pressed

    with lines.button(spec, print) as level:
        assert level is True


async def test_left_button_is_free_and_can_be_taken_again(lines: GpioLines, header: Bank):
    for _ in range(2):
        with lines.button(WIRINGS[0][0], print):
            assert header.lines[6].request is not None
        assert header.lines[6].request is None


async def test_buttons_and_lamps_need_no_thread(lines: GpioLines):
    before = threading.active_count()

    lines.lamp("GPIO7").set(True)
    with lines.button(WIRINGS[0][0], print):
        assert threading.active_count() == before


async def test_lamp_is_off_until_it_is_set(lines: GpioLines, header: Bank):
    header.lines[7].drives = True  # as a killed gateway left it

    lamp = lines.lamp("GPIO7")
    assert (lamp.level(), header.lines[7].level) == (False, False)
    lamp.set(True)
    assert (lamp.level(), header.lines[7].level) == (True, True)


async def test_lamp_can_be_taken_again_after_it_failed(lines: GpioLines, header: Bank):
    lines.lamp("GPIO7").set(True)

    lines.lamp("GPIO7")

    assert header.lines[7].level is False


async def test_lamp_on_a_valves_line_is_refused(lines: GpioLines):
    lines.output("GPIO17")

    with pytest.raises(DriverError, match="holds it already"):
        lines.lamp("GPIO17")


async def test_lamp_and_button_come_back_after_the_chip_was_away(
    lines: GpioLines, header: Bank, tmp_path: Path
):
    run = asyncio.get_running_loop().create_task(lines.run())
    lamp = lines.lamp("GPIO7")
    button = lines.button(WIRINGS[0][0], print)
    button.__enter__()
    await asyncio.sleep(0)
    header.vanish()
    with pytest.raises(DriverError, match="has gone"):
        await run
    with pytest.raises(DriverError):
        lamp.set(True)
    button.__exit__(None, None, None)

    header.gone = False
    await lines.open()

    lines.lamp("GPIO7").set(True)
    assert header.lines[7].level is True
    with lines.button(WIRINGS[0][0], print) as pressed:
        assert pressed is False


async def test_missing_gpiozero_costs_buttons_and_lamps_only(
    lines: GpioLines, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gateway.drivers.gpio.lines._PANEL", "no_such_module")

    with pytest.raises(DriverError, match="install python3-gpiozero"):
        lines.lamp("GPIO7")
    lines.output("GPIO17")


def test_gpiozero_button_tells_pressed_held_and_released(factory: LibgpiodFactory, header: Bank):
    heard: list[str] = []
    button = gpiozero.Button(6, hold_time=0.05, pin_factory=factory)
    button.when_pressed = lambda: heard.append("pressed")
    button.when_held = lambda: heard.append("held")
    button.when_released = lambda: heard.append("released")

    header.lines[6].connect(False)
    assert eventually(lambda: "held" in heard)
    header.lines[6].connect(None)
    assert eventually(lambda: "released" in heard)
    button.close()

    assert heard == ["pressed", "held", "released"]


def test_gpiozero_output_devices_drive_their_lines(factory: LibgpiodFactory, header: Bank):
    with (
        gpiozero.LED("GPIO7", pin_factory=factory) as led,
        gpiozero.DigitalOutputDevice(
            8, active_high=False, initial_value=True, pin_factory=factory
        ) as inverted,
    ):
        led.on()
        assert header.lines[7].level is True
        led.toggle()
        assert (led.value, header.lines[7].level) == (0, False)
        assert (inverted.value, header.lines[8].level) == (1, False)


def test_gpiozero_says_who_uses_a_line_by_whatever_name(factory: LibgpiodFactory):
    with (
        gpiozero.LED(7, pin_factory=factory),
        pytest.raises(gpiozero.GPIOPinInUse, match=r"line 7 .*LED"),
    ):
        gpiozero.LED("GPIO7", pin_factory=factory)

    gpiozero.LED("GPIO7", pin_factory=factory).close()


def test_pwm_is_refused(factory: LibgpiodFactory):
    with pytest.raises(gpiozero.PinPWMUnsupported):
        gpiozero.PWMLED(7, pin_factory=factory)
