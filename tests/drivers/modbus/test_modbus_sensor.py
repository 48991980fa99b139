"""The sensor kind "modbus": from answers to events, and as a whole through core and zone."""

from pathlib import Path

import pytest

from gateway.domain.events import SensorFaulted, SensorRead
from gateway.domain.model import Reading
from gateway.domain.ports import Failure, Register
from gateway.drivers.sensors.modbus import Config
from gateway.errors import ConfigError
from tests.fakes.board import FakeBoard
from tests.fakes.sensing import sensing

CONFIG = Config(port="rs485", unit=2, profile="rle-ld2000")
LEAK = {Register("input", 0): 1, Register("input", 1): 12, Register("input", 2): 0}
NOTHING = Failure("no answer")


@pytest.fixture
def board() -> FakeBoard:
    return FakeBoard()


async def polled(board: FakeBoard) -> None:
    """The sensor has read its profile in a thread."""
    from tests.fakes.waiting import until  # noqa: PLC0415

    await until(lambda: bool(board.polling))


async def test_each_answer_is_a_reading_with_the_place(board: FakeBoard):
    async with sensing("modbus", CONFIG, board) as events:
        await polled(board)
        ((spec, answer),) = board.polling
        answer(LEAK)
        answer(LEAK | {Register("input", 0): 2})

    assert (spec.port, spec.unit, spec.every_s) == ("rs485", 2, 2.0)
    assert events == [
        SensorRead("s", Reading("modbus", wet=True, distance_m=12.0, fault="")),
        SensorRead("s", Reading("modbus", wet=False, fault="cable break")),
    ]


async def test_third_miss_in_a_row_is_a_fault_with_the_words_and_told_once(board: FakeBoard):
    async with sensing("modbus", CONFIG, board) as events:
        await polled(board)
        ((_, answer),) = board.polling
        for said in (NOTHING, NOTHING, LEAK, NOTHING, NOTHING, NOTHING, NOTHING):
            answer(said)

    faults = [event for event in events if isinstance(event, SensorFaulted)]
    assert faults == [SensorFaulted("s", "unit 2 at rs485: no answer")]
    assert events.index(faults[0]) == 1


async def test_cancelled_sensor_leaves_the_bus(board: FakeBoard):
    async with sensing("modbus", CONFIG, board):
        await polled(board)

    assert board.polling == []


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("unit", {"unit": 0}),
        ("unit", {"unit": 248}),
        ("every_s", {"every_s": 0.1}),
        ("profile", {"profile": "no-such"}),
        ("zone", {"zone": 3}),
        ("zone", {"profile": "veris-ldra6"}),
        ("zone", {"profile": "veris-ldra6", "zone": 7}),
    ],
)
def test_wrong_value_names_its_key(key: str, values: dict[str, object]):
    with pytest.raises(ConfigError) as error:
        Config(**({"port": "rs485", "unit": 2, "profile": "rle-ld2000"} | values))

    assert [name for name, _ in error.value.problems] == [key]


def test_wrong_profile_of_ones_own_says_what_is_wrong_in_it(tmp_path: Path):
    file = tmp_path / "own.toml"
    file.write_text('name = "x"\nsource = "y"\n[wet]\ninput = 0\nbit = 77')

    with pytest.raises(ConfigError, match=r"wet\.bit: 77"):
        Config(port="rs485", unit=2, profile=str(file))
