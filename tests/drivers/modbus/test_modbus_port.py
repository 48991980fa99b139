"""One port on a line of leak detectors: real pty, real pymodbus and pyserial, no register of their making."""

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.domain.ports import Register
from gateway.drivers.modbus.config import MOST_TIMEOUT_S, Config
from gateway.drivers.modbus.port import Port
from gateway.drivers.modbus.thread import LineThread
from gateway.errors import DriverError
from tests.drivers.modbus.conftest import STATUS, bench_of
from tests.fakes.rs485 import Slave, rope

INPUT_0, INPUT_1, INPUT_2 = STATUS
SLACK_S = 0.3
"""What a busy machine may add; never more than one silent device costs."""


async def test_answers_come_round_after_round(tmp_path: Path):
    async with bench_of(tmp_path, {2: rope(leak=True, distance=12)}) as bench:
        bench.poll(2)
        bench.start()
        await bench.until(2, 3)

    assert [said for _, said in bench.good(2)][:3] == [{INPUT_0: 1, INPUT_1: 12, INPUT_2: 0}] * 3
    assert bench.problems(2) == []


async def test_neighbouring_registers_of_all_who_ask_go_in_one_request(tmp_path: Path):
    slaves = {2: rope()}
    async with bench_of(tmp_path, slaves) as bench:
        bench.poll(2, (INPUT_0, INPUT_1))
        bench.poll(2, (INPUT_2, Register("input", 5)))
        bench.start()
        await bench.until(2, 2)

    assert slaves[2].asked[:2] == [("input", 0, 3), ("input", 5, 1)]
    assert {register for _, said in bench.good(2)[:2] for register in said} == {*STATUS, Register("input", 5)}


async def test_wrong_register_of_one_sensor_does_not_cost_the_other(tmp_path: Path):
    async with bench_of(tmp_path, {2: rope()}) as bench:
        bench.poll(2, (Register("input", 8),))
        bench.poll(2, (Register("input", 9),))
        bench.start()
        await bench.until_good(2, 3)

    assert "refused with code 2: it has no such register" in bench.problems(2)[-1]


async def test_device_that_gives_few_registers_at_once_says_so(tmp_path: Path):
    slave = rope()
    slave.most = 2
    async with bench_of(tmp_path, {2: slave}) as bench:
        bench.poll(2)
        bench.start()
        await bench.until(2)

    assert "code 3" in bench.problems(2)[0]


# --- devices that do not answer -----------------------------------------------------------------------


async def test_three_dead_of_eight_cost_the_others_no_more_than_one_silence_at_a_time(tmp_path: Path):
    slaves = {unit: rope() for unit in range(1, 9)}
    for unit in (2, 3, 5):
        slaves[unit].is_dead = True
    async with bench_of(tmp_path, slaves) as bench:
        for unit in slaves:
            bench.poll(unit)
        bench.start()
        await asyncio.sleep(6)

    alive = sorted(set(slaves) - {2, 3, 5})
    for unit in alive:
        times_s = [at_s for at_s, _ in bench.good(unit)]
        gaps_s = [later - sooner for sooner, later in itertools.pairwise(times_s)]
        assert max(gaps_s[1:]) < 0.5 + MOST_TIMEOUT_S + SLACK_S
        assert bench.problems(unit) == []
    for unit in (2, 3, 5):
        assert set(bench.problems(unit)) == {"no answer"}


async def test_silent_device_costs_no_more_than_its_share_and_is_asked_less_and_less(tmp_path: Path):
    async with bench_of(tmp_path, {}) as bench:
        bench.poll(7)
        begin_s = bench.now_s
        bench.start()
        await bench.until(7)
        first_s = bench.now_s - begin_s
        await asyncio.sleep(6)

    assert first_s < MOST_TIMEOUT_S + SLACK_S + 0.5  # and the library's import
    times_s = [at_s for at_s, _ in bench.heard[7]]
    assert times_s[-1] - times_s[-2] > 2 * (times_s[1] - times_s[0])


async def test_device_that_comes_to_life_is_asked_at_the_usual_pace_again(tmp_path: Path):
    slaves = {7: rope()}
    slaves[7].is_dead = True
    async with bench_of(tmp_path, slaves) as bench:
        bench.poll(7)
        bench.start()
        await bench.until(7, 4)
        slaves[7].is_dead = False
        await bench.until_good(7, 3)

    times_s = [at_s for at_s, _ in bench.good(7)]
    assert times_s[2] - times_s[1] < 0.5 + SLACK_S


async def test_device_that_answers_too_late_spoils_nothing_for_the_others(tmp_path: Path):
    slow = rope(leak=True, distance=99)
    slow.delay_s = 0.45  # falls into the turns of the others
    async with bench_of(tmp_path, {1: slow, 2: rope(distance=7), 3: rope(distance=8)}) as bench:
        for unit in (1, 2, 3):
            bench.poll(unit)
        bench.start()
        await asyncio.sleep(5)

    assert bench.good(1) == []
    for unit, distance in ((2, 7), (3, 8)):
        assert len(bench.good(unit)) >= 4
        assert {said[INPUT_1] for _, said in bench.good(unit)} == {distance}


async def test_device_that_takes_its_time_is_heard(tmp_path: Path):
    slow = rope(distance=9)
    slow.delay_s = 0.15
    async with bench_of(tmp_path, {1: slow}) as bench:
        bench.poll(1)
        bench.start()
        await bench.until(1, 2)

    assert bench.problems(1) == []


# --- what else may be on a line -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("garble", "words"),
    [
        (lambda frame: frame[:-1] + bytes((frame[-1] ^ 1,)), "damaged"),
        (lambda frame: frame[:6], "damaged"),
        (lambda _: b"\xf7\x00\xff" * 7, "garbage"),
        (lambda _: bytes(200), "garbage"),
        (lambda _: b"", "no answer"),
    ],
    ids=["wrong crc", "cut off", "garbage", "a lot of garbage", "nothing"],
)
async def test_what_is_no_answer_is_told_in_words(tmp_path: Path, garble, words: str):  # noqa: ANN001
    slave = rope()
    slave.garble = garble
    async with bench_of(tmp_path, {2: slave, 3: rope(distance=5)}) as bench:
        bench.poll(2)
        bench.poll(3)
        bench.start()
        await bench.until(2, 2)
        await bench.until_good(3, 2)

    assert words in bench.problems(2)[0]
    assert bench.good(2) == []
    assert bench.problems(3) == []


async def test_noise_before_and_after_an_answer_does_not_hide_it(tmp_path: Path):
    slave = rope(distance=4)
    slave.garble = lambda frame: b"\x00\xff\x02" + frame + b"\x00\x02\x04"
    async with bench_of(tmp_path, {2: slave}) as bench:
        bench.poll(2)
        bench.start()
        await bench.until(2, 2)

    assert [said[INPUT_1] for _, said in bench.good(2)] == [4] * len(bench.heard[2])


async def test_adapter_that_echoes_what_is_sent_does_not_disturb(tmp_path: Path):
    slave = rope(distance=4)
    slave.garble = lambda frame: bytes.fromhex("020400000003b038") + frame
    async with bench_of(tmp_path, {2: slave}) as bench:
        bench.poll(2)
        bench.start()
        await bench.until(2, 2)

    assert bench.problems(2) == []


async def test_line_that_never_is_silent_does_not_stop_the_round(tmp_path: Path):
    async with bench_of(tmp_path, {}) as bench:

        async def babble() -> None:
            while True:
                bench.line.say(b"\xaa\x55\x02")
                await asyncio.sleep(0.01)

        babbling = asyncio.get_running_loop().create_task(babble())
        bench.poll(2)
        bench.poll(3)
        bench.start()
        await bench.until(2, 2)
        await bench.until(3, 2)
        babbling.cancel()

    assert "garbage" in bench.problems(2)[0]


@pytest.mark.parametrize("delay_s", [0.25, 0.3])
async def test_late_answer_is_not_taken_for_that_to_the_next_question(tmp_path: Path, delay_s: float):
    wet, ejected, distance = (Register("holding", address) for address in (7101, 8101, 9101))
    truth = {wet: 16, ejected: 0, distance: 77}
    slow = Slave({(table, address): value for (table, address), value in truth.items()}, delay_s=delay_s)
    async with bench_of(tmp_path, {1: slow}) as bench:
        bench.poll(1, (wet, ejected, distance))
        bench.start()
        await bench.until(1, 3)

    assert [said for _, said in bench.good(1) if said != truth] == []


async def test_port_whose_driver_hangs_gets_no_second_thread(tmp_path: Path):
    made = []

    class Hanging(LineThread):
        async def open(self) -> None:
            raise DriverError("its driver hangs")

        def close(self) -> None:
            pass  # its thread does not come to that

    def line_of(config: Config, on_lost: Callable[[], None]) -> LineThread:
        made.append(Hanging(config, on_lost))
        return made[-1]

    port = Port(Config(device=tmp_path / "ttyUSB0"), line_of)
    try:
        for _ in range(3):
            with pytest.raises(DriverError, match="hangs"):
                await port.run()
        assert len(made) == 1
    finally:
        for line in made:
            LineThread.close(line)
