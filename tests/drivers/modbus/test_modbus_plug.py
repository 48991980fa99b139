"""The serial port itself: unplugged, held by others, no port at all, slow to open."""

import asyncio
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.domain.ports import PollSpec
from gateway.drivers.modbus.config import Config
from gateway.drivers.modbus.fieldbus import SerialPorts
from gateway.drivers.modbus.port import Port
from gateway.errors import DriverError
from tests.drivers.modbus.conftest import STATUS, bench_of
from tests.fakes.rs485 import Slave, rope
from tests.fakes.waiting import until


async def test_unplugged_port_is_named_and_answers_again_when_it_is_back(tmp_path: Path):
    async with bench_of(tmp_path, {2: rope()}) as bench:
        bench.poll(2)
        bench.start()
        await bench.until_good(2)
        bench.line.unplug()
        assert bench.running is not None
        with pytest.raises(DriverError, match=f"{bench.line.device}: gone; check the cable"):
            async with asyncio.timeout(5):
                await asyncio.shield(bench.running)
        assert "gone" in bench.problems(2)[-1]

        bench.start()
        with pytest.raises(DriverError, match="gone; check the cable"):
            async with asyncio.timeout(5):
                await asyncio.shield(bench.running)

        bench.line.plug()
        before = len(bench.good(2))
        bench.start()
        await bench.until_good(2, before + 2)


async def test_unplugged_port_is_noticed_though_nothing_is_to_be_asked(tmp_path: Path):
    async with bench_of(tmp_path, {2: rope()}) as bench:
        bench.poll(2, every_s=60)
        bench.start()
        await bench.until_good(2)
        bench.line.unplug()
        assert bench.running is not None
        with pytest.raises(DriverError, match="gone"):
            async with asyncio.timeout(2):
                await asyncio.shield(bench.running)


async def test_port_is_held_for_one_program_alone(tmp_path: Path):
    async with bench_of(tmp_path, {2: rope()}) as bench:
        bench.poll(2)
        bench.start()
        await bench.until_good(2)

        with pytest.raises(DriverError, match=r"held by .* two programs cannot share a bus"):
            await Port(Config(device=bench.line.device)).run()
        await bench.until_good(2, len(bench.good(2)) + 1)


async def test_other_program_that_holds_the_port_is_named(tmp_path: Path):
    async with bench_of(tmp_path, {2: rope()}) as bench:
        script = (
            "import fcntl, os, sys; fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY);"
            "fcntl.flock(fd, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"
        )
        command = [sys.executable, "-c", script, str(bench.line.device)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:  # noqa: ASYNC220
            assert other.stdout is not None
            other.stdout.readline()
            try:
                with pytest.raises(DriverError, match=rf"held by python\S* \(process {other.pid}\); two"):
                    await bench.port.run()
            finally:
                other.kill()


async def test_cancelled_port_lets_go(tmp_path: Path):
    async with bench_of(tmp_path, {2: rope()}) as bench:
        bench.poll(2)
        bench.start()
        await bench.until_good(2)
        assert bench.running is not None
        bench.running.cancel()
        await until(lambda: can_be_locked(bench.line.device))


def can_be_locked(device: Path) -> bool:
    fd = os.open(device, os.O_RDWR | os.O_NOCTTY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


@pytest.mark.parametrize(
    ("name", "words"),
    [("/dev/null", "is no serial port"), ("/dev/ttyNONE", "gone"), ("/etc/hostname", "is no serial port")],
)
async def test_what_is_no_port_is_told_in_words(name: str, words: str):
    with pytest.raises(DriverError, match=f"^{name}: {words}"):
        await Port(Config(device=Path(name))).run()


async def test_loop_goes_on_while_the_port_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Opening a USB adapter may block in the kernel; here for two seconds."""
    import serial  # noqa: PLC0415

    def slowly(self: object) -> None:
        import time  # noqa: PLC0415

        time.sleep(2.0)
        really(self)

    really = serial.Serial.open
    monkeypatch.setattr(serial.Serial, "open", slowly)
    async with bench_of(tmp_path, {2: rope()}) as bench:
        bench.poll(2)
        bench.start()
        loop, longest_s = asyncio.get_running_loop(), 0.0
        while not bench.heard[2]:
            begin_s = loop.time()
            await asyncio.sleep(0.005)
            longest_s = max(longest_s, loop.time() - begin_s)

    assert bench.now_s > 2.0
    assert longest_s < 1.5


async def test_ports_are_parts_by_their_ids_and_an_unknown_one_is_refused(tmp_path: Path):
    ports = SerialPorts({"a": Config(device=tmp_path / "a"), "b": Config(device=tmp_path / "b")})

    assert set(ports.parts()) == {"serial/a", "serial/b"}
    with pytest.raises(DriverError, match=r"there is no \[serial.c\]"):
        ports.poll(PollSpec("c", 1, STATUS), print)


async def test_nobody_who_has_left_is_called(tmp_path: Path):
    slaves = {2: Slave(rope().registers, delay_s=0.1)}
    async with bench_of(tmp_path, slaves) as bench:
        called: list[object] = []
        with bench.port.poll(PollSpec("rs485", 2, STATUS, 0.5), called.append):
            bench.start()
            await until(lambda: bool(slaves[2].asked))
        await asyncio.sleep(0.4)

    assert called == []
