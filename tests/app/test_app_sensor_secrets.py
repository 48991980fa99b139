"""Sensors whose key is a secret: they wait for nobody, and nobody waits for them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path

import pytest

from gateway.app import bulkhead, sensor_secrets
from gateway.app.hardware import Hardware
from gateway.config.check import warnings
from gateway.config.read import read
from gateway.domain.events import AdapterFailed, Event, SensorRead
from gateway.domain.ports import Advert
from gateway.drivers.sensors.bthome import Config as Bthome
from gateway.drivers.sensors.contact import Config as Contact
from gateway.errors import ConfigError, DriverError
from gateway.sim.radio import Status, bthome
from tests.fakes.board import FakeBoard

ADDRESS = "54:48:E6:8F:80:A5"
KEY = "231d39c1d7cc1ab1aee224cd096db932"
CONFIG = f"""
[gateway]
id = "house-7"
state_dir = "state"
runtime_dir = "run"
[board]
kind = "sim"
socket = "building.sock"
[sensor.floor]
kind = "contact"
line = "leak"
[sensor.cellar]
kind = "bthome"
address = "{ADDRESS}"
key = "secret:cellar"
"""


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG)
    return path


def lay_open(folder: Path, name: str = "cellar", secret: str = KEY) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(secret)


# --- in the configuration -------------------------------------------------------------------------------


def test_a_sensor_that_speaks_of_a_secret_is_a_keyed_one(config_file: Path):
    assert read(config_file).site.sensors["cellar"].keyed


@pytest.mark.parametrize("name", ["", "Cellar", "../cellar", "a b"])
def test_a_name_that_no_secret_can_have_is_a_mistake(config_file: Path, name: str):
    config_file.write_text(CONFIG.replace("secret:cellar", f"secret:{name}"))

    with pytest.raises(ConfigError, match=r"sensor\.cellar\.key: names the secret .*; allowed: 1 to 64"):
        read(config_file)


def notes(config_file: Path) -> list[str]:
    return [note for note in warnings(read(config_file)) if "secret" in note or "keys" in note]


def test_a_secret_that_nobody_has_set_is_noted(config_file: Path, tmp_path: Path):
    assert notes(config_file) == [
        "sensor.cellar.key: there is no secret cellar; set it: reed-gateway secret set cellar"
    ]

    lay_open(tmp_path / "state" / "identity" / "secrets")
    assert notes(config_file) == []


def test_a_configuration_that_only_speaks_of_secrets_may_be_read_by_everybody(
    config_file: Path, tmp_path: Path
):
    lay_open(tmp_path / "state" / "identity" / "secrets")
    config_file.chmod(0o644)
    assert notes(config_file) == []

    config_file.write_text(CONFIG.replace("secret:cellar", KEY))
    assert notes(config_file) == [f"{config_file}: holds sensor keys and everybody can read it; chmod o-r"]


# --- revealed -------------------------------------------------------------------------------------------


def test_a_secret_takes_the_place_of_its_name(tmp_path: Path):
    lay_open(tmp_path)

    revealed = sensor_secrets.revealed(Bthome(address=ADDRESS, key="secret:cellar"), [tmp_path])

    assert revealed == Bthome(address=ADDRESS, key=KEY)


@pytest.mark.parametrize("config", [Bthome(address=ADDRESS, key=KEY), Contact(line="leak")])
def test_a_sensor_without_a_secret_is_left_as_it_is(tmp_path: Path, config: object):
    assert sensor_secrets.revealed(config, [tmp_path]) is config


def test_systemds_credential_comes_first(tmp_path: Path, config_file: Path):
    lay_open(tmp_path / "credentials")
    lay_open(tmp_path / "run" / "secrets", secret="0" * 32)
    places = sensor_secrets.folders(
        read(config_file), {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
    )

    assert sensor_secrets.revealed(Bthome(address=ADDRESS, key="secret:cellar"), places).key == KEY


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "its key is the secret cellar, which is not open; run: reed-gateway secret open"),
        ("12", "secret cellar is no key of such a sensor: 2 characters; allowed: 32 hexadecimal digits"),
        ("\xff" * 32, "secret cellar is no key of such a sensor"),
        ("x" * 100_000, "secret cellar is no key of such a sensor: 4096 characters"),
    ],
)
def test_a_secret_that_is_no_key_is_one_line_without_it(tmp_path: Path, content: str | None, complaint: str):
    if content is not None:
        lay_open(tmp_path, secret=content)

    with pytest.raises(DriverError) as raised:
        sensor_secrets.revealed(Bthome(address=ADDRESS, key="secret:cellar"), [tmp_path])
    assert str(raised.value).startswith(complaint)
    assert "xxx" not in str(raised.value)


def test_a_secret_that_may_not_be_read_says_where_it_is(tmp_path: Path):
    (tmp_path / "cellar").mkdir()

    with pytest.raises(DriverError, match=f"{tmp_path}/cellar: the sensor's key cannot be read"):
        sensor_secrets.revealed(Bthome(address=ADDRESS, key="secret:cellar"), [tmp_path])


# --- in the gateway -------------------------------------------------------------------------------------


class Bench:
    """Hardware with a wired and a keyed sensor."""

    def __init__(self, config_file: Path) -> None:
        self.board = Staying()
        self.board.levels["leak"] = True
        self.events: list[Event] = []
        self._news = asyncio.Event()
        self.hardware = Hardware(read(config_file), self.board, self._hear, lambda _found: None)

    def _hear(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    def read_from(self, sensor_id: str) -> list[SensorRead]:
        return [e for e in self.events if isinstance(e, SensorRead) and e.sensor_id == sensor_id]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.get_running_loop().create_task(self.hardware.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                self._news.clear()
                await self._news.wait()


class Staying(FakeBoard):
    def __init__(self) -> None:
        super().__init__()
        self.heard_by_somebody = asyncio.Event()

    async def run(self) -> None:
        await asyncio.get_running_loop().create_future()

    def listen(self, address: str, on_advert: Callable[[Advert], None]) -> AbstractContextManager[None]:
        self.heard_by_somebody.set()
        return super().listen(address, on_advert)


MISSING = AdapterFailed(
    "sensor/cellar", "its key is the secret cellar, which is not open; run: reed-gateway secret open"
)


async def test_a_secret_that_is_not_open_is_trouble_of_that_sensor_alone(config_file: Path):
    bench = Bench(config_file)

    async with bench.running():
        await bench.until(lambda: MISSING in bench.events)
        await bench.until(lambda: bench.read_from("floor"))

        bench.board.drive("leak", False)  # to ground
        assert bench.read_from("floor")[-1].reading.wet


async def test_a_secret_that_is_opened_later_is_found(
    config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bulkhead.Patience, "pause_s", lambda _self, _failures: 0.02)
    bench = Bench(config_file)

    async with bench.running():
        await bench.until(lambda: MISSING in bench.events)
        lay_open(tmp_path / "run" / "secrets")
        async with asyncio.timeout(10):
            await bench.board.heard_by_somebody.wait()
        sender = bytes.fromhex(ADDRESS.replace(":", ""))
        sent = bthome(sender, bytes.fromhex(KEY), Status(True, 97, 21.5, 9))
        bench.board.hear(Advert(ADDRESS, sent[0], sent[1]))

        await bench.until(lambda: bench.read_from("cellar"))
        assert bench.read_from("cellar")[0].reading.authentic
