"""The gateway in one process, on a board in memory."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from gateway.app import gateway as wiring
from gateway.app import heartbeat
from gateway.app.disk_reports import DiskReports
from gateway.app.gateway import Gateway
from gateway.app.notify import Notifier
from gateway.config.model import Config
from gateway.config.read import read
from gateway.errors import DriverError
from gateway.store.report import BootInfo
from gateway.store.store import Store
from tests.fakes.board import FakeBoard
from tests.fakes.house import CONFIG

IN_2030_UNIX_S = 1_893_456_000


class Board(FakeBoard):
    """Its lines go away when told to; a radio hangs on it beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.levels["lobby"] = True  # released: the button pulls to ground
        self.opened = asyncio.Semaphore(0)
        self.heard = asyncio.Semaphore(0)
        self.radio_ends = 0
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self) -> None:
        self.gone = asyncio.get_running_loop().create_future()
        self.opened.release()

    async def run(self) -> None:
        await self.gone

    def parts(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        return {"bluetooth/hci0": self._radio}

    async def _radio(self) -> None:
        self.heard.release()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.radio_ends += 1


@pytest.fixture
def config(tmp_path: Path) -> Config:
    file = tmp_path / "gateway.toml"
    file.write_text(CONFIG)
    (tmp_path / "state").mkdir()
    (tmp_path / "run").mkdir()
    return read(file)


@asynccontextmanager
async def running(config: Config, board: Board, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    monkeypatch.setattr(wiring, "assemble", lambda _config: board)
    reports = DiskReports()
    store = await Store.open(config.store, BootInfo("boot"), reports.take)
    task = asyncio.get_running_loop().create_task(Gateway(config, store, reports, Notifier(), "boot").run())
    try:
        async with asyncio.timeout(5):
            await board.heard.acquire()
        yield store
    finally:
        task.cancel()
        await asyncio.wait([task])
        await store.close()


async def test_radio_goes_on_while_the_lines_are_away(config: Config, monkeypatch: pytest.MonkeyPatch):
    board = Board()
    async with running(config, board, monkeypatch):
        await board.opened.acquire()
        board.gone.set_exception(DriverError("gpiochip1: the GPIO chip has gone"))
        async with asyncio.timeout(5):
            await board.opened.acquire()

        assert board.radio_ends == 0
    assert board.radio_ends == 1


async def test_moment_that_is_past_is_known_though_the_disk_tells_it_late(
    config: Config, monkeypatch: pytest.MonkeyPatch
):
    async with running(config, Board(), monkeypatch) as store:
        store.on_late_memory({heartbeat.CLOCK_KEY: IN_2030_UNIX_S})

    again = await Store.open(config.store, BootInfo("boot"), lambda _report: None)
    await again.close()
    kept = (again.memory or {})[heartbeat.CLOCK_KEY]
    assert isinstance(kept, int)
    assert kept >= IN_2030_UNIX_S


async def test_core_that_fails_says_no_stopping_so_that_systemd_goes_on_watching(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    board = Board()
    monkeypatch.setattr(wiring, "assemble", lambda _config: board)
    reports = DiskReports()
    store = await Store.open(config.store, BootInfo("boot"), reports.take)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.setblocking(False)
        gateway = Gateway(config, store, reports, Notifier(str(tmp_path / "notify")), "boot")
        running = asyncio.get_running_loop().create_task(gateway.run())
        async with asyncio.timeout(5):
            await board.heard.acquire()
        gateway._fail(ZeroDivisionError("a fault of the core"))
        await asyncio.wait([running], timeout=5)
        await store.close()
        said = [ear.recv(4096).decode()]
        with suppress(BlockingIOError):
            while True:
                said.append(ear.recv(4096).decode())
    assert isinstance(running.exception(), BaseExceptionGroup)
    assert any("READY=1" in each for each in said)
    assert not any("STOPPING=1" in each for each in said)
