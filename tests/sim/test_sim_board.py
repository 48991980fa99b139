"""Both boards show the same building, and the one over the socket survives its loss."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.domain.ports import Advert, Board, InputSpec
from gateway.errors import DriverError
from gateway.sim import news
from gateway.sim.board import SimBoard
from gateway.sim.building import Building
from gateway.sim.config import Config
from gateway.sim.direct import DirectBoard
from gateway.sim.hands import Leak, Press, Soak
from gateway.sim.plan import Plan
from gateway.sim.server import BACKLOG_BYTES, Server, serve
from tests.fakes.waiting import until

LEAK = InputSpec("leak-1", active_low=True, bias="up")


@pytest.fixture
async def server(plan: Plan, tmp_path: Path) -> AsyncIterator[Server]:
    async with serve(plan, tmp_path / "building") as running:
        yield running


@pytest.fixture
async def board(server: Server, tmp_path: Path) -> AsyncIterator[SimBoard]:
    connected = SimBoard(Config(socket=tmp_path / "building"))
    await connected.open()
    yield connected
    connected.close()
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("bias", "active_low", "wet"), [("up", True, False), ("up", False, True), ("none", True, False)]
)
def test_open_contact_to_ground_reads_as_its_bias_says(
    building: Building, bias: str, active_low: bool, wet: bool
):
    with DirectBoard(building).watch(InputSpec("leak-1", active_low, bias), print) as level:
        assert level is wet


def test_contact_to_supply_needs_no_inversion(building: Building):
    with DirectBoard(building).watch(InputSpec("leak-2", bias="down"), print) as closed:
        assert closed is True


def test_wet_edge_reaches_a_valve_in_the_same_moment_and_the_valve_stops_the_water(building: Building):
    board = DirectBoard(building)
    close = board.output("main-close")
    edges: list[tuple[bool, float]] = []

    def on_level(wet: bool) -> None:
        edges.append((wet, board.now_s))
        if wet:
            close.set(True)

    with board.watch(LEAK, on_level):
        Leak(pipe="main").do(building)
        board.advance(86400.0)

    (_, wet_s), (_, dry_s) = edges
    assert close.level() is True
    assert building.pipes.leaked_l["main"] < 30.0 * (wet_s + 4.0) / 60
    assert wet_s < 1 < dry_s < 60


def test_edges_are_heard_only_while_watching(building: Building):
    board = DirectBoard(building)
    edges: list[bool] = []
    with board.watch(LEAK, edges.append):
        Soak(sensor="floor", for_s=1).do(building)
        board.advance(0.5)
    board.advance(2.0)

    assert edges == [True]


def test_adverts_are_heard_by_address(building: Building):
    board = DirectBoard(building)
    heard: list[Advert] = []
    with board.listen("C0:4E:30:00:00:03", heard.append):
        board.advance(100.0)

    assert {advert.address for advert in heard} == {"C0:4E:30:00:00:03"}
    assert len(heard) == 4


async def test_unknown_lines_are_refused_by_both_boards(board: SimBoard, building: Building):
    boards: tuple[Board, ...] = (board, DirectBoard(building))
    for each in boards:
        with pytest.raises(DriverError, match='line "x" is no output'):
            each.output("x")
        with pytest.raises(DriverError, match='line "x" is no input'), each.watch(InputSpec("x"), print):
            pass


async def test_gateway_sees_levels_edges_and_adverts_of_the_building_process(board: SimBoard, server: Server):
    edges: list[bool] = []
    heard: list[Advert] = []
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(board.run())
        with board.watch(LEAK, edges.append) as wet, board.listen("A4:C1:38:00:00:01", heard.append):
            Soak(sensor="floor", for_s=0.05).do(server.building)
            Soak(sensor="pump", for_s=60).do(server.building)
            server.catch_up()
            await until(lambda: edges == [True, False] and heard)
        serving.cancel()

    assert wet is False
    assert heard[0].rssi_dbm == -62


async def test_output_is_driven_in_the_building_and_stays_when_the_gateway_dies(
    board: SimBoard, server: Server
):
    output = board.output("main-close")
    output.set(True)
    await until(lambda: server.building.outputs["main-close"])
    board.close()
    await asyncio.sleep(0.01)

    reborn = SimBoard(board._config)
    await reborn.open()
    assert reborn.output("main-close").level() is True
    assert server.building.valves["main"].moving
    reborn.close()
    await asyncio.sleep(0)


async def test_lost_building_is_an_error_and_the_next_run_reads_all_levels_again(plan: Plan, tmp_path: Path):
    path = tmp_path / "building"
    board = SimBoard(Config(socket=path))
    edges: list[bool] = []
    with contextlib.ExitStack() as watching:
        async with serve(plan, path):
            await board.open()
            watching.enter_context(board.watch(LEAK, edges.append))
            output = board.output("main-close")
            serving = asyncio.create_task(board.run())  # noqa: TID251  # awaited below
        with pytest.raises(DriverError, match="the simulated building has gone"):
            await serving
        with pytest.raises(DriverError, match="is gone"):
            output.set(True)
        with pytest.raises(DriverError, match="no simulated building listens there"):
            await board.run()

        async with serve(plan, path) as server:
            Soak(sensor="floor", for_s=60).do(server.building)
            again = asyncio.create_task(board.run())  # noqa: TID251  # awaited below
            await until(lambda: edges)
            output.set(True)
            await until(lambda: server.building.outputs["main-close"])
            again.cancel()
            await asyncio.wait([again])

    assert edges == [True]


async def test_open_refuses_a_missing_building_and_one_that_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gateway.sim.board.HELLO_S", 0.05)
    with pytest.raises(DriverError, match="start one with"):
        await SimBoard(Config(socket=tmp_path / "none")).open()

    hung_up = asyncio.Event()

    async def listen_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        hung_up.set()

    async with await asyncio.start_unix_server(listen_only, str(tmp_path / "mute")):
        with pytest.raises(DriverError, match="it is no simulated building"):
            await SimBoard(Config(socket=tmp_path / "mute")).open()
        await hung_up.wait()


async def test_something_else_that_talks_is_no_building(tmp_path: Path):
    def shout(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail ready\n")
        writer.close()

    async with await asyncio.start_unix_server(shout, str(tmp_path / "mail")):
        with pytest.raises(DriverError, match="says something unknown"):
            await SimBoard(Config(socket=tmp_path / "mail")).open()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"type": 1}',
        b'{"type": "contact", "line": "leak-1"}',
        b'{"type": "advert"}',
        b'{"type": "advert", "address": "A4:C1:38:00:00:01", "service_data": {"x": "AA=="}}',
        b'{"type": "advert", "address": "A4:C1:38:00:00:01", "service_data": {"1": "A"}}',
    ],
)
def test_news_in_another_form_is_an_error(line: bytes):
    with pytest.raises(DriverError, match="says something unknown"):
        news.read(line)


def test_news_for_people_is_none_for_a_board():
    assert news.read(b'{"type": "sensor", "at_s": 1.0, "sensor": "floor", "wet": true}') is None


async def test_frozen_gateway_is_dropped_instead_of_filling_memory(server: Server, tmp_path: Path):
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "building"))
    writer.write(b'{"do": "observe"}\n')
    await reader.readline()
    writer.transport.pause_reading()
    client = next(iter(server._clients))

    line = b"x" * 65536 + b"\n"
    for _ in range(3 * BACKLOG_BYTES // len(line)):
        client.write(line)

    await until(lambda: not server._clients)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def test_press_of_a_person_is_an_edge_for_the_gateway(board: SimBoard, server: Server):
    edges: list[bool] = []
    with board.watch(InputSpec("lobby", active_low=True, bias="up"), edges.append) as pressed:
        Press(button="lobby", for_s=0.03).do(server.building)
        server.catch_up()
        await until(lambda: edges == [True, False])

    assert pressed is False
