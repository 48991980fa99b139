"""What every kind of sensor keeps to; a new file in gateway/drivers/sensors is found by itself.

A failure says what to do: docs/adding-a-sensor.md leads to the first green run.
"""

import dataclasses
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.config.site import SENSOR_KEYS
from gateway.domain.events import Event, FrameRejected, SensorRead
from gateway.domain.model import Reading
from gateway.domain.ports import Advert, Failure
from gateway.drivers import sensors
from gateway.drivers.sensors import Sensor, kinds, load
from gateway.errors import ConfigError, DecodeError
from tests.fakes.board import FakeBoard
from tests.fakes.examples import EXAMPLES, Example, ExampleBoard, Heard
from tests.fakes.frames import ADDRESS
from tests.fakes.sensing import sensing

KEY = "231d39c1d7cc1ab1aee224cd096db932"
SECRETS = re.compile("key|secret|password|passphrase|token|pin$")
MANUAL = Path(__file__).parents[2] / "docs" / "configuration.md"

RADIO_KINDS = [kind for kind in kinds() if load(kind).decode or load(kind).claims]
WIRED_KINDS = [kind for kind in kinds() if kind not in RADIO_KINDS]


@pytest.fixture(params=kinds())
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def sensor(kind: str) -> Sensor[Any]:
    return load(kind)


@pytest.fixture(params=RADIO_KINDS)
def radio_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def radio(radio_kind: str) -> Sensor[Any]:
    return load(radio_kind)


@pytest.fixture(params=WIRED_KINDS)
def wired_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def example_of(kind: str) -> Example:
    if kind not in EXAMPLES:
        pytest.fail(
            f'tests/fakes/examples.py has no EXAMPLES["{kind}"]: add its required keys, and what it hears '
            "while dry and while wet",
            pytrace=False,
        )
    return EXAMPLES[kind]


def config_of(kind: str, **given: str) -> Any:  # noqa: ANN401  # each kind has its own
    keys = example_of(kind).keys
    missing = sorted(required(load(kind)) - set(keys))
    assert not missing, f'EXAMPLES["{kind}"].keys lacks {missing}: each key without a default needs a value'
    return load(kind).config(**(dict(keys) | given))


def required(sensor: Sensor[Any]) -> set[str]:
    fields = dataclasses.fields(sensor.config)
    return {f.name for f in fields if dataclasses.MISSING is f.default is f.default_factory}


def has_key(sensor: Sensor[Any]) -> bool:
    return any(f.name == "key" for f in dataclasses.fields(sensor.config))


def frames_of(kind: str) -> list[Advert]:
    example = example_of(kind)
    return [frame for frame in (example.dry, example.wet, example.keyed) if isinstance(frame, Advert)]


def emptied(advert: Advert) -> Advert:
    """The shortest advertisement of the same format."""
    return Advert(
        advert.address, dict.fromkeys(advert.service_data, b""), dict.fromkeys(advert.manufacturer_data, b"")
    )


def said(events: list[Event]) -> list[bool | None]:
    return [event.reading.wet for event in events if isinstance(event, SensorRead)]


async def hear(kind: str, board: ExampleBoard, *all_heard: Heard | Failure) -> list[Event]:
    """Let a sensor of the kind hear each of these until it need not wait for more to be sure."""
    async with sensing(kind, config_of(kind), board) as events:
        await board.attached()
        for heard in all_heard:
            for _ in range(10):
                board.feed(heard)
    return events


# --- every kind -----------------------------------------------------------------------------------------


def test_every_file_is_a_kind():
    files = {path.stem for path in Path(sensors.__path__[0]).glob("*.py")} - {"__init__"}

    assert set(kinds()) == files


def test_every_kind_has_its_example_and_every_example_its_kind(kind: str):
    example_of(kind)

    assert not set(EXAMPLES) - set(kinds()), "EXAMPLES names a kind without a file"


def test_kinds_are_listed_without_importing_them():
    program = (
        "import sys; from gateway.drivers.sensors import kinds; assert kinds();"
        "sys.exit(any(m.startswith('gateway.drivers.sensors.') for m in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_no_kind_imports_what_only_some_sites_need(kind: str):
    heavy = ("cryptography", "bleak", "pymodbus", "serial", "gpiod", "gpiozero", "spidev", "smbus2", "ctypes")
    program = (
        f"import sys; from gateway.drivers.sensors import load; load({kind!r});"
        f"print(*[m for m in {heavy!r} if m in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout

    assert not loaded.split(), f"{kind}.py imports {loaded.split()} at its top: import it where it is used"


def test_unknown_kind_is_a_lookup_error():
    with pytest.raises(LookupError, match="no-such"):
        load("no-such")


def test_config_is_frozen_with_slots_and_keyword_only(kind: str, sensor: Sensor[Any]):
    advice = f"write @dataclass(frozen=True, slots=True, kw_only=True) above Config in {kind}.py"

    assert sensor.config.__dataclass_params__.frozen, advice
    assert hasattr(sensor.config, "__slots__"), advice
    assert all(field.kw_only for field in dataclasses.fields(sensor.config)), advice


def test_every_key_is_documented_in_the_docstring(kind: str, sensor: Sensor[Any]):
    text = sensor.config.__doc__ or ""
    missing = [f.name for f in dataclasses.fields(sensor.config) if f"        {f.name}:" not in text]

    assert not missing, (
        f"the docstring of Config in {kind}.py lacks {missing} under Args: add what and which unit"
    )


def test_every_key_stands_in_the_manual(kind: str):
    place = f"<!-- keys: sensor {kind} -->"

    stands = place in MANUAL.read_text(encoding="utf-8")

    assert stands, (
        f"docs/configuration.md: add a section '### kind = \"{kind}\"' with the lines {place} and "
        "<!-- end -->, then run python tests/config/configuration_doc.py"
    )


def test_no_key_is_one_that_all_sensors_have(kind: str, sensor: Sensor[Any]):
    common = {"kind", *SENSOR_KEYS} & {f.name for f in dataclasses.fields(sensor.config)}

    assert not common, f"{sorted(common)} is common to all sensors: remove it from Config in {kind}.py"


def test_no_secret_is_ever_shown(kind: str, sensor: Sensor[Any]):
    shown = [f.name for f in dataclasses.fields(sensor.config) if SECRETS.search(f.name) and f.repr]

    assert not shown, f"{shown} would be shown in logs: write field(default=..., repr=False) in {kind}.py"


def test_a_kind_that_is_supervised_has_a_deadline_for_silence(kind: str, sensor: Sensor[Any]):
    assert sensor.supervised == (sensor.default_silence_s is not None), (
        f"SENSOR in {kind}.py: supervised=True means that silence is noticed, so it needs default_silence_s"
    )


async def test_dry_and_wet_of_the_example_are_told_as_such(kind: str):
    example = example_of(kind)

    assert set(said(await hear(kind, ExampleBoard(example.dry), example.dry))) == {False}, (
        "dry must be told as dry"
    )
    assert True in said(await hear(kind, ExampleBoard(example.dry), example.wet)), "wet must be told as wet"
    assert said(await hear(kind, ExampleBoard(example.wet), example.wet))[:1] == [True], (
        "wet from the start is wet"
    )


async def test_cancelled_sensor_leaves_the_board(kind: str):
    board = ExampleBoard(example_of(kind).dry)
    async with sensing(kind, config_of(kind), board):
        await board.attached()

    assert not board.is_attached, f"{kind}.py: use `with board...` so that cancellation undoes it"


# --- wired kinds ----------------------------------------------------------------------------------------


async def test_wired_sensor_that_cannot_be_read_is_told_and_never_dry(wired_kind: str):
    board = ExampleBoard(example_of(wired_kind).dry)

    events = await hear(wired_kind, board, Failure("no answer"))

    if board.told_failure:
        assert events, (
            f"{wired_kind}.py: a Failure must become SensorFaulted, at the latest after some misses"
        )
        assert False not in said(events), f"{wired_kind}.py: a Failure passed for dry"


# --- radio kinds ----------------------------------------------------------------------------------------


def test_radio_sensor_has_all_that_a_radio_sensor_needs(radio_kind: str, radio: Sensor[Any]):
    assert radio.claims is not None, f"SENSOR in {radio_kind}.py lacks claims="
    assert radio.decode is not None, (
        f"SENSOR in {radio_kind}.py lacks decode=: `reed-gateway decode` needs it"
    )
    assert radio.supervised, f"SENSOR in {radio_kind}.py lacks supervised=True: its silence must be noticed"
    assert "address" in [field.name for field in dataclasses.fields(radio.config)]
    assert isinstance(example_of(radio_kind).wet, Advert)


def test_wrong_address_is_a_problem_of_that_key(radio_kind: str):
    problems: list[str] = []
    try:
        config_of(radio_kind, address="54:48")
    except ConfigError as error:
        problems = [key for key, _ in error.problems]

    assert problems == ["address"], f"{radio_kind}.py: Config.__post_init__ must call adverts.check()"


def test_key_makes_a_sensor_keyed_and_is_never_shown(radio_kind: str, radio: Sensor[Any]):
    if not has_key(radio):
        assert not radio.keyed(config_of(radio_kind))
        return

    keyed = config_of(radio_kind, key=KEY)

    assert radio.keyed(keyed), f"SENSOR in {radio_kind}.py: keyed=lambda config: bool(config.key)"
    assert not radio.keyed(config_of(radio_kind))
    assert KEY not in repr(keyed)
    with pytest.raises(ConfigError) as error:
        config_of(radio_kind, key=KEY[:-1])
    assert KEY[:-1] not in str(error.value)


@pytest.mark.parametrize("keyed_kind", [kind for kind in RADIO_KINDS if has_key(load(kind))])
def test_only_the_right_key_makes_a_frame_authentic(keyed_kind: str):
    frame, decode = example_of(keyed_kind).keyed, load(keyed_kind).decode
    assert frame is not None, f'EXAMPLES["{keyed_kind}"] lacks keyed=: a wet frame signed with frames.KEY'
    assert decode is not None

    genuine, forged = decode(frame, bytes.fromhex(KEY)), decode(frame, bytes(16))

    assert (genuine.wet, genuine.authentic) == (True, True)
    assert genuine.counter is not None, "without a counter an old frame could be sent again"
    assert forged == Reading(forged.format, authentic=False, counter=forged.counter), (
        "a forged frame says nothing"
    )


@pytest.mark.parametrize("keyed_kind", [kind for kind in RADIO_KINDS if has_key(load(kind))])
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


def test_decoder_refuses_an_advertisement_of_something_else(radio_kind: str, radio: Sensor[Any]):
    other = Advert(ADDRESS, service_data={0x180F: b"\x50"}, manufacturer_data={0x004C: b"\x02\x15"})

    assert radio.claims is not None
    assert radio.decode is not None
    assert not radio.claims(other), f"{radio_kind}.py: claims() must name its UUID or company"
    problem = problem_of(radio.decode, other, None)
    assert not problem, f"decode() in {radio_kind}.py: {problem}. The frame: {other}"
    with pytest.raises(DecodeError):
        radio.decode(other, None)


def test_damaged_frames_raise_nothing_but_the_typed_error(radio_kind: str, radio: Sensor[Any]):
    assert radio.decode is not None
    for frame in frames_of(radio_kind):
        for broken in damages(frame):
            for key in (None, bytes.fromhex(KEY)):
                problem = problem_of(radio.decode, broken, key)
                if problem:
                    pytest.fail(f"decode() in {radio_kind}.py: {problem}. The frame: {broken}", pytrace=False)


def problem_of(decode: Callable[[Advert, bytes | None], Reading], broken: Advert, key: bytes | None) -> str:
    """Return what is wrong with how a decoder takes a damaged frame, or ""."""
    try:
        decode(broken, key)
    except DecodeError as error:
        return "" if str(error) and "\n" not in str(error) else f"{str(error)!r} is not one line for a person"
    except Exception as error:  # noqa: BLE001  # any other is the finding
        return f"let {error!r} out; check lengths before you index, and raise DecodeError"
    return ""


def damages(frame: Advert) -> list[Advert]:
    """Every shorter frame, and every frame with one byte that is all ones or zero."""
    return [
        Advert(
            frame.address,
            cut(frame.service_data, at, byte),
            cut(frame.manufacturer_data, at, byte),
            frame.name,
        )
        for at in range(32)
        for byte in (None, 0x00, 0xFF)
    ]


def cut(data: Any, at: int, byte: int | None) -> dict[int, bytes]:  # noqa: ANN401  # a mapping of bytes
    if byte is None:
        return {key: value[:at] for key, value in data.items()}
    return {
        key: value[:at] + bytes([byte])[: len(value) - at] + value[at + 1 :] for key, value in data.items()
    }


def test_format_is_claimed_by_one_kind_only(radio_kind: str):
    for frame in (*frames_of(radio_kind), *map(emptied, frames_of(radio_kind))):
        claimed_by = [other for other in kinds() if (claims := load(other).claims) and claims(frame)]

        assert claimed_by == [radio_kind], f"{frame} is claimed by {claimed_by}"


def test_every_reading_names_its_format(radio_kind: str, radio: Sensor[Any]):
    assert radio.decode is not None
    formats = {radio.decode(frame, bytes.fromhex(KEY)).format for frame in frames_of(radio_kind)}

    assert len(formats) == 1
    assert all(formats)


async def test_frame_that_cannot_be_understood_is_told_and_others_are_ignored(radio_kind: str):
    board = FakeBoard()

    async with sensing(radio_kind, config_of(radio_kind), board) as events:
        board.hear(Advert(ADDRESS, name="only a name"))
        board.hear(emptied(frames_of(radio_kind)[0]))

    assert [type(event) for event in events] == [FrameRejected], (
        f"{radio_kind}.py: use adverts.follow(), with None for what claims() refuses"
    )
    assert events[0].problem


async def test_address_is_listened_to_however_it_is_written(radio_kind: str):
    board = FakeBoard()

    async with sensing(radio_kind, config_of(radio_kind, address="5448e68f80a5"), board):
        assert [address for address, _ in board.listening] == [ADDRESS]
