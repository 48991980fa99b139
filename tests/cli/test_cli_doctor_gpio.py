from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli.checks import gpio
from gateway.cli.checks.finding import Finding, Verdict
from gateway.config.read import read
from gateway.drivers.gpio.chips import CONSUMER, Chips
from tests.drivers.gpio import model_gpiod
from tests.drivers.gpio.model_gpiod import Bank, plug

CONFIG = """
[gateway]
id = "house-7"
[board]
kind = "linux"
[sensor.floor]
kind = "contact"
line = "GPIO4"
[zone.cellar]
sensors = ["floor"]
valves = ["main"]
[valve.main]
kind = "motorised"
open_line = "GPIO17"
close_line = "GPIO18"
[button.lobby]
line = "GPIO6"
[indicator]
led_line = "GPIO7"
"""


@pytest.fixture
def header(tmp_path: Path) -> Iterator[Bank]:
    yield plug(tmp_path, "gpiochip0", "pinctrl-bcm2711", 28)
    model_gpiod.banks.clear()


def inspect(tmp_path: Path, config: str = CONFIG, persists: str | None = "Y") -> list[Finding]:
    (tmp_path / "gateway.toml").write_text(config)
    parameters = tmp_path / "sys" / "module" / "pinctrl_bcm2835" / "parameters"
    parameters.mkdir(parents=True)
    if persists is not None:
        (parameters / "persist_gpio_outputs").write_text(persists + "\n")
    chips = Chips(folder=tmp_path, module="tests.drivers.gpio.model_gpiod")
    return gpio.inspect(read(tmp_path / "gateway.toml"), chips, tmp_path / "sys")


def bad(findings: list[Finding]) -> list[str]:
    return [finding.text for finding in findings if finding.verdict is not Verdict.OK]


def test_sound_machine_has_no_worries(header: Bank, tmp_path: Path):
    header.lines[17].foreign = CONSUMER

    findings = inspect(tmp_path)

    assert bad(findings) == []
    assert findings[-1].text == "5 configured, 1 held by the gateway"
    assert header.open_chips == []


def test_missing_chip_and_lines_are_failures(tmp_path: Path):
    texts = bad(inspect(tmp_path))

    assert len(texts) == 6
    assert all("there is no GPIO chip" in text for text in texts)


def test_line_of_another_program_and_line_that_is_not_there_are_named(header: Bank, tmp_path: Path):
    header.lines[4].foreign = "w1"

    texts = bad(inspect(tmp_path, CONFIG.replace("GPIO7", "GPIO77")))

    assert any('sensor.floor.line: line "GPIO4"' in text and 'held by "w1"' in text for text in texts)
    assert any(
        'indicator.led_line: gpiochip0 (pinctrl-bcm2711) has no line "GPIO77"' in text for text in texts
    )


@pytest.mark.parametrize(
    ("persists", "text"), [("N", "fall to their pull resistors"), (None, "does not tell")]
)
def test_kernel_that_lets_go_of_outputs_is_a_warning(
    header: Bank, tmp_path: Path, persists: str | None, text: str
):
    (warning,) = (f for f in inspect(tmp_path, persists=persists) if f.verdict is Verdict.WARN)

    assert text in warning.text


@pytest.mark.parametrize(
    ("line", "extra", "text"),
    [
        ("GPIO3", "", "pulled up from power-on"),
        ("GPIO14", "", "serial console"),
        ("GPIO17", "coils_active_low = true", "pulled down from power-on"),
        ("GPIO3", "coils_active_low = true", None),
    ],
)
def test_coil_that_boot_would_energise_is_a_warning(
    header: Bank, tmp_path: Path, line: str, extra: str, text: str | None
):
    config = CONFIG.replace('open_line = "GPIO17"', f'open_line = "{line}"\n{extra}')

    texts = [found for found in bad(inspect(tmp_path, config)) if "open_line" in found]

    assert len(texts) == (text is not None)
    assert text is None or text in texts[0]


def test_simulated_board_has_no_lines_to_look_at(tmp_path: Path):
    config = CONFIG.replace('kind = "linux"', 'kind = "sim"\nsocket = "building"')

    assert inspect(tmp_path, config) == []
