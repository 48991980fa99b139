"""The other end is pymodbus itself, not our model of a device: a server on the same line."""

import asyncio
import os
import tty
from contextlib import asynccontextmanager
from pathlib import Path

from pymodbus import datastore
from pymodbus.server import ModbusSerialServer

from gateway.domain.model import Reading
from gateway.domain.ports import PollSpec, Register
from gateway.drivers.modbus import profile_file
from gateway.drivers.modbus.answer import Refusal
from gateway.drivers.modbus.config import Config
from gateway.drivers.modbus.port import Port
from gateway.drivers.modbus.profile import decode, registers
from tests.fakes.waiting import until

RLE = profile_file.load("rle-ld2000")
UNIT = 2


def context() -> datastore.ModbusServerContext:
    """An LD2000 with water at 12 m; the names of the parts have changed in 3.10."""
    registers = datastore.ModbusSequentialDataBlock(1, [1, 12, 0, 40, 100, 420, 421, 2800, 310])
    if hasattr(datastore, "ModbusDeviceContext"):
        return datastore.ModbusServerContext(
            {UNIT: datastore.ModbusDeviceContext(ir=registers)}, single=False
        )
    return datastore.ModbusServerContext({UNIT: datastore.ModbusSlaveContext(ir=registers)}, single=False)


@asynccontextmanager
async def joined_ptys():
    """Two serial ports with a cable between them: bytes that go into one come out of the other."""
    loop = asyncio.get_running_loop()
    pairs = [os.openpty() for _ in range(2)]
    for _, slave in pairs:
        tty.setraw(slave)
    (one, _), (other, _) = pairs
    loop.add_reader(one, lambda: os.write(other, os.read(one, 1024)))
    loop.add_reader(other, lambda: os.write(one, os.read(other, 1024)))
    try:
        yield [Path(os.ttyname(slave)) for _, slave in pairs]
    finally:
        for master, slave in pairs:
            loop.remove_reader(master)
            os.close(master)
            os.close(slave)


async def test_device_made_of_the_library_is_read_and_what_it_refuses_is_told():
    loop = asyncio.get_running_loop()
    heard: list = []
    refused: list = []
    async with joined_ptys() as (ours, theirs):
        server = ModbusSerialServer(context(), port=str(theirs), baudrate=9600)
        serving = loop.create_task(server.serve_forever(background=True))
        await serving
        port = Port(Config(device=ours))
        wanted = registers(RLE, None)
        with (
            port.poll(PollSpec("p", UNIT, wanted, 0.5), heard.append),
            port.poll(PollSpec("p", UNIT, (Register("input", 500),), 0.5), refused.append),
        ):
            running = loop.create_task(port.run())
            await until(lambda: len(heard) > 1 and len(refused) > 1)
            running.cancel()
            await asyncio.wait([running])
        await server.shutdown()

    assert decode(RLE, heard[0]) == Reading("modbus", wet=True, distance_m=12.0, fault="")
    assert isinstance(refused[0], Refusal)
    assert "it has no such register" in refused[0].problem
