"""`reed-gateway modbus` on a line with leak controllers: the command in a thread, the line in the loop."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.__main__ import main
from tests.fakes.rs485 import Rs485, Slave, rope


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Rs485]:
    other = Slave({("input", 0): 0x4000})
    made = Rs485(tmp_path, {2: rope(leak=True, distance=12), 5: rope(cable_break=True), 7: other})
    made.plug()
    yield made
    made.unplug()


async def modbus(*words: object) -> int:
    return await asyncio.to_thread(main, ["modbus", *map(str, words)])


async def test_scan_names_who_answers_and_what_it_may_be(line: Rs485, capsys: pytest.CaptureFixture[str]):
    assert await modbus("scan", line.device, "--units", "1-8", "--timeout", "0.1") == 0

    rows = [row.split(None, 1) for row in capsys.readouterr().out.splitlines()]
    assert [unit for unit, _ in rows] == ["UNIT", "2", "5", "7"]
    assert "rle-ld2000" in rows[1][1]
    assert "fits no profile" in rows[3][1]


async def test_scan_that_finds_nothing_is_1_and_says_what_to_try(
    line: Rs485, capsys: pytest.CaptureFixture[str]
):
    assert await modbus("scan", line.device, "--units", "20-21", "--timeout", "0.05") == 1
    assert "nobody answers at 9600 baud, parity none, 1 stop bit; try" in capsys.readouterr().out


async def test_scan_as_json(line: Rs485, capsys: pytest.CaptureFixture[str]):
    await modbus("scan", line.device, "--units", "7", "--json")

    assert json.loads(capsys.readouterr().out) == [{"unit": 7, "profiles": [], "problem": ""}]


async def test_read_decodes_with_a_profile(line: Rs485, capsys: pytest.CaptureFixture[str]):
    assert await modbus("read", line.device, 2, "--profile", "rle-ld2000") == 0
    wet = capsys.readouterr().out
    assert await modbus("read", line.device, 5, "--profile", "rle-ld2000", "--json") == 0
    broken = json.loads(capsys.readouterr().out)

    assert "water   WET at 12 m" in wet
    assert (broken["wet"], broken["fault"]) == (False, "cable break")


async def test_read_shows_raw_registers(line: Rs485, capsys: pytest.CaptureFixture[str]):
    assert await modbus("read", line.device, 2, "--input", "7-8", "--json") == 0

    assert json.loads(capsys.readouterr().out) == [
        {"table": "input", "address": 7, "value": 2800},
        {"table": "input", "address": 8, "value": 210},
    ]


async def test_port_of_the_configuration_is_taken_with_its_settings(
    line: Rs485, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    config = tmp_path / "gateway.toml"
    config.write_text(
        '[gateway]\nid = "house-7"\n[board]\nkind = "sim"\nsocket = "sim"\n'
        f'[serial.ropes]\ndevice = "{line.device}"\nbaud = 19200\n'
    )

    assert await modbus("read", "ropes", 2, "--input", "1", "--config", config, "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["value"] == 12
    assert await modbus("read", "ropen", 2, "--input", "1", "--config", config) == 78
    assert "known: ropes" in capsys.readouterr().err


async def test_nothing_is_ever_written(line: Rs485):
    functions: set[int] = set()
    for slave in line.slaves.values():
        answer = slave.answer
        slave.answer = lambda unit, function, start, count, answer=answer: (  # type: ignore[method-assign]
            functions.add(function) or answer(unit, function, start, count)
        )
    await modbus("scan", line.device, "--units", "1-8", "--timeout", "0.05")
    await modbus("read", line.device, 2, "--profile", "rle-ld2000")

    assert functions == {3, 4}


async def test_port_that_the_gateway_holds_is_told_with_what_to_do(
    line: Rs485, capsys: pytest.CaptureFixture[str]
):
    import fcntl  # noqa: PLC0415
    import os  # noqa: PLC0415

    fd = os.open(line.device, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert await modbus("read", line.device, 2, "--input", "0") == 69
    os.close(fd)

    assert "systemctl stop reed-gateway" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "status", "expected"),
    [
        (("read", "/dev/null", 2, "--input", "0"), 69, "is no serial port"),
        (("read", "/dev/ttyNONE", 2, "--input", "0"), 69, "gone; check the cable"),
        (("read", "/dev/null", 2, "--profile", "no-such"), 78, "known: aqualeak-10k"),
        (("read", "/dev/null", 2, "--profile", "veris-ldra6"), 78, "allowed for Veris LDRA6"),
        (("scan", "/dev/null", "--baud", "1"), 78, "1200 to 115200"),
    ],
)
async def test_what_cannot_be_done_is_one_line(
    words: tuple[object, ...], status: int, expected: str, capsys: pytest.CaptureFixture[str]
):
    assert await modbus(*words) == status

    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line


@pytest.mark.parametrize("units", ["0-3", "1-248", "5-2", "x"])
def test_units_that_cannot_be_are_wrong_usage(units: str):
    with pytest.raises(SystemExit) as error:
        main(["modbus", "scan", "/dev/null", "--units", units])

    assert error.value.code == 64
