"""Modbus slaves at the end of a USB adapter: a pty pair with a pymodbus server, behind a stable link."""

import asyncio
import random
from pathlib import Path

from pymodbus import FramerType
from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.server import ModbusSerialServer

_FAR_END = Path("/run/rig-rope")
_REGISTERS = 2000
_TABLES = {"coil": ("co", 1), "discrete": ("di", 2), "holding": ("hr", 3), "input": ("ir", 4)}


class Rope:
    """The bus and who hangs on it. Registers keep their values while it is unplugged."""

    def __init__(self, link: str = "/dev/ttyROPE") -> None:
        self._link = Path(link)
        self._slaves: dict[int, ModbusSlaveContext] = {}
        self._answering = ModbusServerContext(slaves={}, single=False)
        self._mood = "well"
        self._requests: dict[int, int] = {}
        self._wire: asyncio.subprocess.Process | None = None
        self._server: ModbusSerialServer | None = None

    async def plug(self, baud: int = 9600) -> str:
        """Plug the adapter in and return the path of its link. Slaves come with `set`."""
        await self.unplug()
        ends = [f"pty,rawer,link={end},wait-slave=0" for end in (self._link, _FAR_END)]
        self._wire = await asyncio.create_subprocess_exec("socat", *ends)
        async with asyncio.timeout(20):
            while not self._is_linked():  # noqa: ASYNC110  # socat tells nobody
                await asyncio.sleep(0.02)
        self._server = ModbusSerialServer(
            self._answering,
            framer=FramerType.RTU,
            ignore_missing_slaves=True,
            trace_packet=self._on_packet,
            port=str(_FAR_END),
            baudrate=baud,
        )
        await self._server.serve_forever(background=True)
        return str(self._link)

    async def unplug(self) -> None:
        """Pull the adapter out: whoever has it open gets an error, and the link is gone."""
        if self._server is not None:
            await self._server.shutdown()
            self._server = None
        if self._wire is not None:
            self._wire.terminate()
            await self._wire.wait()
            self._wire = None
        for end in (self._link, _FAR_END):
            await asyncio.to_thread(end.unlink, missing_ok=True)

    def set(self, slave: int, table: str, address: int, values: list[int]) -> None:
        """Set registers or bits ("holding", "input", "coil", "discrete"), as the wire counts them, from 0."""
        self._slave(slave).setValues(_TABLES[table][1], address, values)

    def get(self, slave: int, table: str, address: int, count: int = 1) -> list[int]:
        """Return registers or bits."""
        return [int(value) for value in self._slave(slave).getValues(_TABLES[table][1], address, count)]

    def die(self, slave: int, dead: bool = True) -> None:
        """Let one slave fall silent, or wake it."""
        if dead:
            del self._answering[slave]
        else:
            self._answering[slave] = self._slaves[slave]

    def behave(self, mood: str) -> None:
        """Let the bus be "well", "silent", "garbled" (one bit of an answer flips) or "short" (half of it)."""
        self._mood = mood

    def requests(self) -> dict[int, int]:
        """Return how many frames each slave was sent."""
        return dict(self._requests)

    async def close(self) -> None:
        """Pull the adapter out."""
        await self.unplug()

    def _is_linked(self) -> bool:
        return self._link.exists() and _FAR_END.exists()

    def _slave(self, slave: int) -> ModbusSlaveContext:
        if slave not in self._slaves:
            blocks = {name: ModbusSequentialDataBlock(0, [0] * _REGISTERS) for name, _ in _TABLES.values()}
            self._answering[slave] = self._slaves[slave] = ModbusSlaveContext(**blocks)
        return self._slaves[slave]

    def _on_packet(self, sending: bool, packet: bytes) -> bytes:
        if not sending:
            if packet:
                self._requests[packet[0]] = self._requests.get(packet[0], 0) + 1
            return packet
        match self._mood:
            case "silent":
                return b""
            case "garbled":
                at = random.randrange(len(packet))  # noqa: S311  # no secret
                return packet[:at] + bytes([packet[at] ^ 0x10]) + packet[at + 1 :]
            case "short":
                return packet[: len(packet) // 2]
        return packet
