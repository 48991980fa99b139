"""The building's socket: what people can do there, and what nonsense it survives."""

import asyncio
import json
from pathlib import Path

import pytest

from gateway.errors import DriverError
from gateway.sim.client import Visitor
from gateway.sim.hands import Leak
from gateway.sim.happening import SensorWetted
from gateway.sim.plan import Plan
from gateway.sim.server import serve
from gateway.sim.wire import MOST_BYTES


async def ask(path: Path, *lines: bytes) -> list[dict[str, object]]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    answers = []
    for line in lines:
        writer.write(line + b"\n")
        answers.append(json.loads(await reader.readline()))
    writer.close()
    await writer.wait_closed()
    return answers


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"hello",
        b"{}",
        b'{"do": "dance"}',
        b'{"do": "leak"}',
        b'{"do": "leak", "pipe": 3}',
        b"\xff\xfe",
        b"[" * 5000,
    ],
)
async def test_nonsense_is_refused_and_the_client_may_go_on(plan: Plan, tmp_path: Path, line: bytes):
    path = tmp_path / "building"
    async with serve(plan, path):
        refused, done = await ask(path, line, b'{"do": "leak", "pipe": "main"}')

    assert refused["type"] == "refused"
    assert str(refused["problem"]).startswith("not understood: ")
    assert done == {"type": "done"}


async def test_endless_line_ends_the_connection(plan: Plan, tmp_path: Path):
    path = tmp_path / "building"
    async with serve(plan, path):
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"x" * (MOST_BYTES + 1))
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()

    assert b"a request has at most" in answer


async def test_impossible_poke_is_refused_with_its_reason(plan: Plan, tmp_path: Path):
    path = tmp_path / "building"
    async with serve(plan, path):
        answers = await ask(
            path, b'{"do": "stall", "valve": "x"}', b'{"do": "set", "line": "x", "level": true}'
        )

    assert [answer["type"] for answer in answers] == ["refused", "refused"]
    assert "there is no valve" in str(answers[0]["problem"])


async def test_visitor_pokes_looks_and_observes(plan: Plan, tmp_path: Path):
    path = tmp_path / "building"

    def visit() -> tuple[object, object]:
        with Visitor(path) as observer, Visitor(path) as actor:
            happenings = observer.observe()
            actor.poke(Leak(pipe="main"))
            wet = next(event for event in happenings if isinstance(event, SensorWetted))
            with pytest.raises(DriverError, match='no pipe "x"'):
                actor.poke(Leak(pipe="x"))
            return wet.sensor, actor.look()["sensors"]

    async with serve(plan, path) as server:
        sensor, sensors = await asyncio.to_thread(visit)

    assert sensor == "floor"
    assert sensors["floor"] == {"wet": True}
    assert server.building.pipes.leak_l_per_min["main"] > 0


async def test_visitor_is_told_when_there_is_no_building(tmp_path: Path):
    with pytest.raises(DriverError, match="no simulated building listens there"):
        Visitor(tmp_path / "none")


async def test_second_building_is_refused_and_a_dead_ones_socket_is_taken_over(plan: Plan, tmp_path: Path):
    path = tmp_path / "building"
    async with serve(plan, path):
        with pytest.raises(DriverError, match="another building already listens there"):
            async with serve(plan, path):
                pass
    assert not path.exists()

    dead = await asyncio.get_running_loop().create_unix_server(asyncio.Protocol, str(path))
    path.rename(tmp_path / "kept")
    dead.close()
    await dead.wait_closed()
    (tmp_path / "kept").rename(path)
    async with serve(plan, path):
        assert (await ask(path, b'{"do": "look"}'))[0]["type"] == "seen"


async def test_file_that_is_no_socket_is_left_alone(plan: Plan, tmp_path: Path):
    path = tmp_path / "notes"
    path.write_text("mine")

    with pytest.raises(DriverError, match="exists and is no socket"):
        async with serve(plan, path):
            pass
    assert path.read_text() == "mine"


async def test_impossible_place_is_a_driver_error(plan: Plan, tmp_path: Path):
    for path in (tmp_path / "none" / "building", tmp_path / ("x" * 200)):
        with pytest.raises(DriverError, match=r"cannot make the socket|File name too long"):
            async with serve(plan, path):
                pass


async def test_quiet_building_does_not_wake_up(plan: Plan, tmp_path: Path):
    async with serve(plan, tmp_path / "building") as server:
        server.building.transmitters.clear()
        server.catch_up()

        assert server._timer is None
