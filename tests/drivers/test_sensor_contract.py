"""What every kind of sensor keeps to; a new file in gateway/drivers/sensors is found by itself."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.events import FrameRejected
from gateway.domain.ports import Advert
from gateway.drivers import sensors
from gateway.drivers.sensors import Sensor, kinds, load
from gateway.errors import ConfigError, DecodeError
from tests.fakes.board import FakeBoard
from tests.fakes.sensing import sensing

ADDRESS = "54:48:E6:8F:80:A5"
KEY = "231d39c1d7cc1ab1aee224cd096db932"
SAMPLES = {"line": "leak-1", "address": ADDRESS, "key": KEY}
"""A value for each required key of any kind; a new required key needs a line here."""
EMPTY_FRAMES = {
    "bthome": Advert(ADDRESS, service_data={0xFCD2: b""}),
    "mibeacon": Advert(ADDRESS, service_data={0xFE95: b""}),
    "switchbot": Advert(ADDRESS, manufacturer_data={0x0969: b""}),
    "mocreo": Advert(ADDRESS, manufacturer_data={0x8201: b""}),
}
"""The shortest advertisement that each radio format claims."""


@pytest.fixture(params=kinds())
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def sensor(kind: str) -> Sensor[Any]:
    return load(kind)


@pytest.fixture(params=[kind for kind in kinds() if load(kind).decode])
def radio_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def radio(radio_kind: str) -> Sensor[Any]:
    return load(radio_kind)


def config_of(sensor: Sensor[Any], **given: str) -> Any:  # noqa: ANN401  # each kind has its own
    required = [f.name for f in dataclasses.fields(sensor.config) if f.default is dataclasses.MISSING]
    return sensor.config(**({name: SAMPLES[name] for name in required} | given))


def has_key(sensor: Sensor[Any]) -> bool:
    return any(f.name == "key" for f in dataclasses.fields(sensor.config))


def test_every_file_is_a_kind():
    files = {path.stem for path in Path(sensors.__path__[0]).glob("*.py")} - {"__init__"}

    assert set(kinds()) == files


def test_kinds_are_listed_without_importing_them():
    program = (
        "import sys; from gateway.drivers.sensors import kinds; assert kinds();"
        "sys.exit(any(m.startswith('gateway.drivers.sensors.') for m in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_no_kind_imports_cryptography_before_a_keyed_sensor_starts(kind: str):
    program = (
        f"import sys; from gateway.drivers.sensors import load; load({kind!r});"
        "sys.exit('cryptography' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("keyed_kind", [kind for kind in kinds() if has_key(load(kind))])
def test_keyed_sensor_imports_cryptography_in_a_thread_before_it_listens(keyed_kind: str):
    program = f"""
import asyncio, sys, threading
from gateway.drivers.sensors import load
from tests.fakes.board import FakeBoard

where = set()
def note(event, args):
    if event == "import" and args[0].startswith("cryptography"):
        where.add(threading.current_thread() is threading.main_thread())
sys.addaudithook(note)

async def main():
    board, sensor = FakeBoard(), load({keyed_kind!r})
    config = sensor.config(address={ADDRESS!r}, key={KEY!r})
    running = asyncio.create_task(sensor.run("s", config, board, print))
    while not board.listening:
        await asyncio.sleep(0.001)
    assert where == {{False}}, where
    running.cancel()

asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_unknown_kind_is_a_lookup_error():
    with pytest.raises(LookupError, match="no-such"):
        load("no-such")


def test_config_is_frozen_documented_and_keyword_only(sensor: Sensor[Any]):
    parameters = sensor.config.__dataclass_params__

    assert parameters.frozen
    assert all(field.kw_only for field in dataclasses.fields(sensor.config))
    for field in dataclasses.fields(sensor.config):
        assert f"{field.name}:" in (sensor.config.__doc__ or "")


def test_kind_that_is_supervised_has_a_deadline_for_silence(sensor: Sensor[Any]):
    assert sensor.supervised == (sensor.default_silence_s is not None)


def test_wrong_address_is_a_problem_of_that_key(radio: Sensor[Any]):
    with pytest.raises(ConfigError) as error:
        config_of(radio, address="54:48")

    assert [key for key, _ in error.value.problems] == ["address"]


def test_key_makes_a_sensor_keyed_and_is_never_shown(radio: Sensor[Any]):
    if not has_key(radio):
        assert not radio.keyed(config_of(radio))
        return

    keyed = config_of(radio, key=KEY)

    assert radio.keyed(keyed)
    assert not radio.keyed(config_of(radio))
    assert KEY not in repr(keyed)
    with pytest.raises(ConfigError) as error:
        config_of(radio, key=KEY[:-1])
    assert KEY[:-1] not in str(error.value)


def test_decoder_refuses_an_advertisement_of_something_else(radio: Sensor[Any]):
    other = Advert(ADDRESS, service_data={0x180F: b"\x50"}, manufacturer_data={0x004C: b"\x02\x15"})

    assert radio.claims is not None
    assert radio.decode is not None
    assert not radio.claims(other)
    with pytest.raises(DecodeError):
        radio.decode(other, None)


def test_radio_sensor_has_all_that_a_radio_sensor_needs(radio: Sensor[Any]):
    assert radio.claims is not None
    assert "address" in [field.name for field in dataclasses.fields(radio.config)]


def test_format_is_claimed_by_one_kind_only(radio_kind: str):
    claimed_by = [
        other for other in kinds() if (claims := load(other).claims) and claims(EMPTY_FRAMES[radio_kind])
    ]

    assert claimed_by == [radio_kind]


async def test_frame_that_cannot_be_understood_is_told_and_others_are_ignored(
    radio_kind: str, radio: Sensor[Any]
):
    board = FakeBoard()

    async with sensing(radio_kind, config_of(radio), board) as events:
        board.hear(Advert(ADDRESS, name="only a name"))
        board.hear(EMPTY_FRAMES[radio_kind])

    assert [type(event) for event in events] == [FrameRejected]
    assert events[0].problem


async def test_cancelled_sensor_leaves_the_radio(radio_kind: str, radio: Sensor[Any]):
    board = FakeBoard()

    async with sensing(radio_kind, config_of(radio, address="5448e68f80a5"), board):
        assert [address for address, _ in board.listening] == [ADDRESS]

    assert board.listening == []
