import pytest

from gateway.domain.events import SensorRead
from gateway.domain.model import Reading
from gateway.drivers.sensors.contact import Config, line_of
from gateway.errors import ConfigError
from tests.fakes.board import FakeBoard
from tests.fakes.sensing import sensing


def said(wet: bool) -> SensorRead:
    return SensorRead("s", Reading("contact", wet=wet))


async def test_present_level_is_told_at_start_then_every_change():
    board = FakeBoard()
    board.drive("leak-1", True)

    async with sensing("contact", Config(line="leak-1"), board) as events:
        board.drive("leak-1", False)
        board.drive("leak-1", True)

    assert events == [said(wet=False), said(wet=True), said(wet=False)]


async def test_contact_that_is_wet_at_start_is_told_as_wet():
    board = FakeBoard()
    board.drive("leak-1", False)

    async with sensing("contact", Config(line="leak-1"), board) as events:
        pass

    assert events == [said(wet=True)]


async def test_cancelled_contact_leaves_its_line():
    board = FakeBoard()

    async with sensing("contact", Config(line="leak-1"), board):
        assert len(board.watched) == 1

    assert board.watched == []


@pytest.mark.parametrize(
    ("config", "wet_at_level"),
    [
        (Config(line="l", bias="up"), False),
        (Config(line="l", bias="down"), True),
        (Config(line="l", bias="none"), True),
        (Config(line="l", bias="none", closed_reads="low"), False),
        (Config(line="l", bias="up", closed_reads="high"), True),
        (Config(line="l", bias="up", normally="closed"), True),
        (Config(line="l", bias="down", normally="closed"), False),
    ],
)
def test_wiring_decides_which_level_is_wet(config: Config, wet_at_level: bool):
    assert line_of(config).active_low is not wet_at_level


def test_cut_wire_of_a_normally_closed_contact_reads_wet():
    open_contact_level = True  # pulled up, nothing pulls it down

    assert open_contact_level ^ line_of(Config(line="l", normally="closed")).active_low


@pytest.mark.parametrize(("key", "values"), [("line", {"line": ""}), ("debounce_s", {"debounce_s": 2.0})])
def test_wrong_value_names_its_key(key: str, values: dict[str, object]):
    with pytest.raises(ConfigError) as error:
        Config(**({"line": "l"} | values))

    assert [name for name, _ in error.value.problems] == [key]
