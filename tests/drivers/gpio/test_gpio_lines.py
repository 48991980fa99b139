import asyncio
import errno
import itertools
from pathlib import Path

import pytest

from gateway.domain.ports import InputSpec
from gateway.drivers.gpio import inputs
from gateway.drivers.gpio.config import Config
from gateway.drivers.gpio.inputs import BUFFER_EDGES
from gateway.drivers.gpio.lines import GpioLines
from gateway.errors import DriverError
from tests.drivers.gpio import model_gpiod
from tests.drivers.gpio.conftest import MODULE
from tests.drivers.gpio.model_gpiod import Bank, plug

CONTACT = InputSpec("GPIO4", active_low=True, bias="up", debounce_s=0.01)


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_contact_is_entered_with_its_level_and_tells_every_change(lines: GpioLines, header: Bank):
    heard: list[bool] = []
    header.lines[4].connect(False)

    with lines.watch(CONTACT, heard.append) as wet:
        header.lines[4].connect(None)
        header.lines[4].connect(False)
        await turns()

    assert wet is True
    assert heard == [False, True]


async def test_edge_between_reading_and_watching_is_told(lines: GpioLines, header: Bank):
    heard: list[bool] = []

    with lines.watch(CONTACT, heard.append) as wet:
        header.lines[4].connect(False)  # before the loop has had a turn
        assert wet is False
        await turns()

    assert heard == [True]


@pytest.mark.parametrize("edges", [BUFFER_EDGES + 100, BUFFER_EDGES + 101])
async def test_more_edges_than_the_kernel_keeps_end_at_the_right_level(
    lines: GpioLines, header: Bank, edges: int
):
    heard: list[bool] = []
    levels = itertools.islice(itertools.cycle((False, None)), edges)

    with lines.watch(CONTACT, heard.append):
        for level in levels:
            header.lines[4].connect(level)
        await turns()

    assert heard[-1] is (edges % 2 == 1)
    assert BUFFER_EDGES - 1 <= len(heard) <= BUFFER_EDGES + 1


async def test_chip_without_debounce_is_debounced_by_the_gateway(lines: GpioLines, header: Bank):
    header.lines[4].refuses_debounce = True
    heard: list[bool] = []

    with lines.watch(CONTACT, heard.append):
        for _ in range(3):  # bounces, ends closed
            header.lines[4].connect(False)
            await turns()
            header.lines[4].connect(None)
            await turns()
        header.lines[4].connect(False)
        assert heard == []
        await asyncio.sleep(0.05)
        assert heard == [True]
        header.lines[4].connect(None)
        header.lines[4].connect(False)
        await asyncio.sleep(0.05)

    assert heard == [True]


async def test_read_that_fails_is_repeated_and_costs_no_other_line(
    lines: GpioLines, header: Bank, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(inputs, "RETRY_S", 0.001)
    header.lines[4].refuses_debounce = True
    heard: list[bool] = []

    with lines.watch(CONTACT, heard.append):
        header.lines[4].failing_reads = inputs.RETRIES
        header.lines[4].connect(False)
        await asyncio.sleep(0.1)

    assert heard == [True]


async def test_line_that_cannot_be_read_for_long_ends_the_board(
    lines: GpioLines, header: Bank, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(inputs, "RETRY_S", 0.001)
    header.lines[4].refuses_debounce = True
    await lines.open()

    with lines.watch(CONTACT, print):
        header.lines[4].failing_reads = inputs.RETRIES + 1
        header.lines[4].connect(False)
        async with asyncio.timeout(10):
            with pytest.raises(DriverError, match="Remote I/O error"):
                await lines.run()


async def test_line_without_interrupt_says_what_is_missing(lines: GpioLines, header: Bank):
    header.lines[4].has_interrupt = False

    with pytest.raises(DriverError, match="interrupt line"), lines.watch(CONTACT, print):
        pass

    assert header.lines[4].request is None


async def test_left_line_is_free_again_and_tells_nothing(lines: GpioLines, header: Bank):
    heard: list[bool] = []
    with lines.watch(CONTACT, heard.append):
        header.lines[4].connect(False)

    await turns()

    assert header.lines[4].request is None
    assert heard == []


async def test_callback_may_leave_the_line(lines: GpioLines, header: Bank):
    heard: list[bool] = []
    watching = lines.watch(CONTACT, lambda wet: (heard.append(wet), watching.__exit__(None, None, None)))
    watching.__enter__()

    header.lines[4].connect(False)
    header.lines[4].connect(None)
    await turns()

    assert heard == [True]
    assert header.lines[4].request is None


@pytest.mark.parametrize("level", [False, True])
async def test_output_is_taken_at_the_level_that_it_drives(lines: GpioLines, header: Bank, level: bool):
    header.lines[17].drives = level

    output = lines.output("GPIO17")

    assert output.level() is level
    assert header.lines[17].writes == [level]


@pytest.mark.parametrize("level", [False, True])
async def test_input_becomes_an_output_at_the_level_that_it_is_pulled_to(
    lines: GpioLines, header: Bank, level: bool
):
    header.lines[17].outside = level

    lines.output("GPIO17")

    assert header.lines[17].writes == [level]


async def test_output_taken_twice_is_the_same_line(lines: GpioLines, header: Bank):
    lines.output("GPIO17").set(True)

    assert lines.output("GPIO17").level() is True
    assert header.lines[17].writes == [False, True]


async def test_closed_board_leaves_its_outputs_driving(lines: GpioLines, header: Bank):
    lines.output("GPIO17").set(True)

    lines.close()

    assert header.lines[17].request is None
    assert header.lines[17].level is True


async def test_line_that_another_program_holds_names_it(lines: GpioLines, header: Bank):
    header.lines[17].foreign = "gpioset"

    with pytest.raises(DriverError, match=r'line "GPIO17" .*gpiochip0 line 17.*held by "gpioset"'):
        lines.output("GPIO17")


async def test_one_line_cannot_be_input_and_output(lines: GpioLines):
    lines.output("17")

    with pytest.raises(DriverError, match="holds it already"), lines.watch(InputSpec("GPIO17"), print):
        pass


@pytest.mark.parametrize("line", ["GPIO2", "2", "SDA1"])
async def test_line_is_known_by_number_by_kernel_name_and_by_the_headers_name(
    lines: GpioLines, header: Bank, line: str
):
    lines.output(line).set(True)

    assert header.lines[2].level is True


@pytest.mark.parametrize("line", ["mcp23017:3", "gpiochip1:3", "mcp23017:GPA3"])
async def test_line_of_another_chip_names_that_chip(lines: GpioLines, tmp_path: Path, line: str):
    names = tuple(f"GPA{number}" for number in range(8))
    expander = plug(tmp_path, "gpiochip1", "mcp23017", 16, names)

    lines.output(line).set(True)

    assert expander.lines[3].level is True


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("GPIO99", r'no line "GPIO99"; it has 0 to 27 \(ID_SDA, ID_SCL, SDA1\)'),
        ("99", 'no line "99"'),
        ("", 'no line ""'),
        ("other:3", r'no GPIO chip "other"; there are: gpiochip0 \(pinctrl-bcm2711\)'),
    ],
)
async def test_line_that_is_not_there_says_what_is(lines: GpioLines, line: str, problem: str):
    with pytest.raises(DriverError, match=problem):
        lines.output(line)


async def test_two_chips_of_one_label_have_to_be_told_apart(lines: GpioLines, tmp_path: Path):
    plug(tmp_path, "gpiochip1", "mcp23017", 16)
    second = plug(tmp_path, "gpiochip2", "mcp23017", 16)

    with pytest.raises(DriverError, match="could be each of gpiochip1, gpiochip2"):
        lines.output("mcp23017:3")

    lines.output("gpiochip2:3").set(True)
    assert second.lines[3].level is True


async def test_machine_without_a_header_costs_only_its_lines(tmp_path: Path):
    board = GpioLines(Config(), folder=tmp_path, module=MODULE)
    await board.open()

    with pytest.raises(DriverError, match=r"there are: none; set board\.chip"):
        board.output("GPIO17")


async def test_header_that_this_user_may_not_open_says_so(lines: GpioLines, header: Bank):
    header.forbidden = True

    with pytest.raises(DriverError, match="permission denied; add this user to group gpio"):
        lines.output("GPIO17")


async def test_missing_libgpiod_is_a_driver_error(tmp_path: Path):
    (tmp_path / "gpiochip0").touch()
    board = GpioLines(Config(), folder=tmp_path, module="no_such_module")
    await board.open()

    with pytest.raises(DriverError, match="python3-libgpiod"):
        board.output("GPIO17")


async def test_chip_that_goes_away_ends_the_run_and_comes_back_with_the_next(
    lines: GpioLines, header: Bank, tmp_path: Path
):
    run = asyncio.get_running_loop().create_task(lines.run())
    heard: list[bool] = []
    output = lines.output("GPIO17")
    watching = lines.watch(CONTACT, heard.append)
    watching.__enter__()
    await turns()

    header.vanish()
    with pytest.raises(DriverError, match="has gone"):
        await run
    with pytest.raises(DriverError, match="No such device"):
        output.set(True)
    watching.__exit__(None, None, None)

    again = plug(tmp_path, "gpiochip0", "pinctrl-bcm2711", 28)
    await lines.open()
    lines.output("GPIO17").set(True)
    assert again.lines[17].level is True


async def test_chip_that_goes_while_a_line_is_looked_for_is_a_driver_error(
    lines: GpioLines, header: Bank, monkeypatch: pytest.MonkeyPatch
):
    def get_info(_chip: object) -> None:
        raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr(model_gpiod.Chip, "get_info", get_info)

    with pytest.raises(DriverError, match='line "GPIO17": No such device'):
        lines.output("GPIO17")


async def test_chip_that_went_without_a_word_leaves_nothing_in_the_loop(
    lines: GpioLines, header: Bank, tmp_path: Path
):
    expander = plug(tmp_path, "gpiochip1", "mcp23017", 16)
    lines.output("GPIO17")
    output = lines.output("mcp23017:3")
    expander.gone = True  # its file does not hang up, as in kernels before 6.6
    with pytest.raises(DriverError, match="No such device"):
        output.set(True)
    with pytest.raises(DriverError):
        await lines.run()
    await lines.open()

    expander.gone = False
    lines.output("mcp23017:3")  # its files get the numbers of those that were closed
    expander.vanish()
    async with asyncio.timeout(10):
        with pytest.raises(DriverError, match="has gone"):
            await lines.run()


async def test_outputs_of_other_chips_stay_taken_when_one_goes(
    lines: GpioLines, header: Bank, tmp_path: Path
):
    expander = plug(tmp_path, "gpiochip1", "mcp23017", 16)
    lines.output("GPIO17").set(True)
    lines.output("mcp23017:3").set(True)

    expander.vanish()
    model_gpiod.banks.pop(str(tmp_path / "gpiochip1"))
    with pytest.raises(DriverError):
        await lines.run()
    await lines.open()

    assert header.lines[17].request is not None
    lines.output("GPIO17").set(False)
    assert header.lines[17].writes == [False, True, False]
    with pytest.raises(DriverError, match='no GPIO chip "mcp23017"'):
        lines.output("mcp23017:3")
