"""The whole way of an update on real wires: published, served by the cloud's nginx, fetched and verified."""

import logging
import random
import shutil
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from gateway.app.update_web import Ours, UpdateWeb
from gateway.domain.update.model import Code, Kind, Order
from gateway.errors import UpdateError
from gateway.update.part import Stopped
from gateway.update.spooler import Spooler
from gateway.update.trust.fetchers import WebFetcher
from gateway.update.trust.target import Device
from gateway.update.trust.trusted import Trusted
from tests.cloud.front import Front
from tests.fakes.authority import Authority
from tests.fakes.ota.house import Vendor

DATA = random.Random(5).randbytes(3_000_000)  # noqa: S311
CHANGED = DATA[:1_000_000] + b"another file" + DATA[1_010_000:]
ORDER = Order("o-1", Kind.OS, "os/reed-1.4.0.raucb", "1.4.0")
NEXT = Order("o-2", Kind.OS, "os/reed-1.5.0.raucb", "1.5.0")


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Vendor:
    made = Vendor(tmp_path_factory.mktemp("vendor"))
    made.release(ORDER.target, DATA)
    made.release(NEXT.target, CHANGED, version="1.5.0")
    return made


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("cloud"))
    home = made.home
    shutil.copy(home.cert_file("broker"), home.cert_file("web"))
    shutil.copy(home.key_file("broker"), home.key_file("web"))
    home.crl_file.write_bytes(made.crl())
    return made


@pytest.fixture(scope="module")
def front(authority: Authority, vendor: Vendor) -> Iterator[Front]:
    with Front(authority.home, "tests.cloud.echo:application", updates_dir=str(vendor.www)) as running:
        yield running


class House:
    """A gateway with a certificate."""

    def __init__(self, front: Front, vendor: Vendor, folder: Path, pair: tuple[Path, Path]) -> None:
        self._front = front
        self._pair = pair
        self.spool = folder / "spool"
        web = UpdateWeb(f"https://localhost:{front.port}/updates", cast("Ours", self))
        trusted = Trusted(folder / "tuf", vendor.root, WebFetcher(web), lambda: datetime.now(UTC))
        self.spooler = Spooler(self.spool, [trusted], web, lambda _: Device("house-7"))

    @contextmanager
    def lend(self) -> Iterator[ssl.SSLContext]:
        yield self._front.context(self._pair)

    @property
    def part(self) -> Path:
        (found,) = (self.spool / "targets").glob("*.part")
        return found

    def content(self) -> bytes:
        (found,) = (self.spool / "targets").glob("*.raucb")
        return found.read_bytes()


@pytest.fixture
def house(front: Front, vendor: Vendor, authority: Authority, folder: Path) -> House:
    return House(front, vendor, folder, authority.files("house-7"))


class Stopping:
    """Ends a download when it has come so far."""

    def __init__(self, until_percent: int) -> None:
        self.until_percent = until_percent
        self.percents: list[int] = []

    def now(self) -> bool:
        return max(self.percents, default=0) >= self.until_percent


def test_an_enrolled_gateway_gets_its_update(house: House) -> None:
    percents: list[int] = []
    house.spooler.work(ORDER, lambda: False, percents.append)
    assert house.content() == DATA
    assert percents[-1] == 100


def test_a_download_that_was_stopped_twice_goes_on_at_the_next_byte(house: House) -> None:
    for until_percent in (20, 60):
        stopping = Stopping(until_percent)
        with pytest.raises(Stopped):
            house.spooler.work(ORDER, stopping.now, stopping.percents.append)
        assert house.part.read_bytes() == DATA[: house.part.stat().st_size]
    begun = house.part.stat().st_size
    rest: list[int] = []
    house.spooler.work(ORDER, lambda: False, rest.append)
    assert house.content() == DATA
    assert rest[0] > begun * 100 // len(DATA) - 1


def test_of_the_next_system_only_what_differs_comes(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.spooler.work(ORDER, lambda: False, lambda _: None)
    with caplog.at_level(logging.INFO):
        house.spooler.work(NEXT, lambda: False, lambda _: None)
    assert house.content() == CHANGED
    assert "fetched 0.1 MB of 3.0 MB; the rest was here" in caplog.text


def test_a_denied_gateway_asks_again_later(
    front: Front, vendor: Vendor, authority: Authority, folder: Path
) -> None:
    denied = House(front, vendor, folder, authority.files("house-9"))
    authority.home.crl_file.write_bytes(authority.hold("house-9"))
    front.reload()
    with pytest.raises(UpdateError) as caught:
        denied.spooler.work(ORDER, lambda: False, lambda _: None)
    assert (caught.value.code, caught.value.passing) == (Code.UNREACHABLE, True)


def test_a_target_that_the_server_has_lost_is_asked_for_again_later(house: House, vendor: Vendor) -> None:
    (file,) = (vendor.www / "targets/os").glob("*1.4.0.raucb")
    away = file.rename(vendor.folder / "away")
    with pytest.raises(UpdateError) as caught:
        house.spooler.work(ORDER, lambda: False, lambda _: None)
    assert (caught.value.code, caught.value.passing) == (Code.UNREACHABLE, True)
    away.rename(file)
    house.spooler.work(ORDER, lambda: False, lambda _: None)
    assert house.content() == DATA


def test_a_file_that_grew_on_the_server_is_refused_before_it_comes(house: House, vendor: Vendor) -> None:
    (file,) = (vendor.www / "targets/os").glob("*1.4.0.raucb")
    file.write_bytes(DATA + b"more")
    try:
        with pytest.raises(UpdateError) as caught:
            house.spooler.work(ORDER, lambda: False, lambda _: None)
    finally:
        file.write_bytes(DATA)
    assert caught.value.code == Code.UNTRUSTED
    assert house.part.stat().st_size == 0
