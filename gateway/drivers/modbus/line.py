"""One RS-485 line: opens the port and sends one request at a time, by pymodbus on pyserial.

Runs in a loop and thread of its own (thread.py), since opening, setting up and closing a serial port may
block for seconds in the kernel.

pymodbus 3.8 (Debian 13) to 3.16 are known to work. Of what they differ in, nothing is relied on: retries,
reconnecting and waiting are done here, and its trace hook is given only the frame that answers (answer.py),
as 3.8 takes whatever comes for the answer to the last request, also that of another device.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from gateway.domain.ports import Failure
from gateway.drivers.modbus import answer, trouble
from gateway.drivers.modbus.blocks import Block
from gateway.drivers.modbus.config import Config
from gateway.drivers.modbus.late import Late
from gateway.errors import DriverError

if TYPE_CHECKING:
    from pymodbus.client import AsyncModbusSerialClient

_NEVER_S = 5.0
"""The library's own time-out; ours come before."""

_GAP_S = 0.05
"""An answer that has begun may stop for this long: USB adapters hand on what they hear in lumps."""

_LATER_S = 0.1
"""An answer may take this much longer than the one before."""

_QUIET_CHARACTERS = 3.5
_QUIET_S = 0.005
"""Silence before each request."""


class Line:
    """An open port. Everything but the constructor belongs into one running loop.

    Args:
        config: The port.
        on_lost: Called when the port has gone away.
    """

    def __init__(self, config: Config, on_lost: Callable[[], None]) -> None:
        self._config = config
        self._on_lost = on_lost
        self._client: AsyncModbusSerialClient | None = None
        self._unit_key = ""
        self._wanted: tuple[int, Block] | None = None
        self._heard = b""
        self._frame: bytes | None = None
        self._patience: asyncio.Timeout | None = None
        self._late = Late(_LATER_S)

    async def open(self) -> None:
        """Open the port for us alone.

        Raises:
            DriverError: It cannot be had; the message says why and what to do.
        """
        try:
            self._client = self._new_client()
            is_open = await self._client.connect()
        except (ImportError, RuntimeError) as error:  # it raises the latter if pyserial is missing
            advice = "apt install python3-pymodbus python3-serial"
            raise DriverError(f"Modbus needs pymodbus and pyserial ({error}); {advice}") from None
        except Exception as error:  # pyserial lets termios.error and others through
            raise DriverError(trouble.of(self._config.device, error)) from error
        if not is_open:
            raise DriverError(trouble.of(self._config.device))

    def close(self) -> None:
        """Let go of the port."""
        if self._client is not None:
            self._client.close()

    async def check(self) -> "AsyncModbusSerialClient":
        """Return the client, connected. Raises DriverError: the port has gone away."""
        if self._client is None or not self._client.connected:
            raise DriverError(trouble.of(self._config.device))
        return self._client

    async def settle(self, unit: int, block: Block) -> None:
        """Wait until no answer to an earlier question can be taken for that to this one."""
        await asyncio.sleep(self._late.wait_s(unit, block, asyncio.get_running_loop().time()))

    async def read(self, unit: int, block: Block, wait_s: float) -> list[int] | Failure:
        """Return the registers of the block, or why there are none.

        Args:
            unit: The device's address.
            block: What to read.
            wait_s: The device must have begun to answer by then.

        Raises:
            DriverError: The port has gone away.
        """
        client = await self.check()
        await self.settle(unit, block)
        await asyncio.sleep(max(_QUIET_S, self._config.wire_s(1) * _QUIET_CHARACTERS))
        self._wanted, self._heard, self._frame = (unit, block), b"", None
        sent_s = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(wait_s + self._config.wire_s(answer.REQUEST_BYTES)) as patience:
                self._patience = patience
                await self._send(client, unit, block)
        except TimeoutError:
            pass
        except Exception:
            await self.check()
            raise
        finally:
            self._wanted = self._patience = None
        return await self._outcome(unit, block, sent_s)

    async def _outcome(self, unit: int, block: Block, sent_s: float) -> list[int] | Failure:
        note = self._late.unanswered if self._frame is None else self._late.answered
        note(unit, block, sent_s, asyncio.get_running_loop().time())
        if self._frame is not None:
            return answer.read(self._frame, block)
        await self.check()
        return Failure(answer.problem(self._heard, answer.request(unit, block), unit))

    def _send(self, client: "AsyncModbusSerialClient", unit: int, block: Block) -> Awaitable[object]:
        # Any: the name of the argument for the address has changed in 3.10
        ask: Callable[..., Awaitable[Any]] = (
            client.read_input_registers if block.table == "input" else client.read_holding_registers
        )
        return ask(block.start, count=block.count, **{self._unit_key: unit})

    def _new_client(self) -> "AsyncModbusSerialClient":
        from pymodbus.client import AsyncModbusSerialClient  # noqa: PLC0415  loaded in this thread only

        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # what goes wrong is told by us
        client = AsyncModbusSerialClient(
            str(self._config.device),
            baudrate=self._config.baud,
            parity=self._config.parity[0].upper(),
            stopbits=self._config.stop_bits,
            timeout=_NEVER_S,
            retries=0,
            reconnect_delay=0,
            trace_packet=self._sift,
            trace_connect=self._connection,
        )
        client.set_max_no_responses(1 << 30)  # 3.8 closes the port after a few devices that do not answer
        names = inspect.signature(client.read_input_registers).parameters
        self._unit_key = "device_id" if "device_id" in names else "slave"
        return client

    def _sift(self, sending: bool, data: bytes) -> bytes:
        """Hand on what is sent; of all that was heard since, the frame that answers."""
        if sending:
            return data
        self._heard = bytes(data)
        if self._wanted is None or self._frame is not None:
            return b""
        unit, block = self._wanted
        self._frame = answer.find(self._heard, unit, block)
        if self._frame is None and self._patience is not None:
            self._wait_for_the_rest(self._patience, block)
        return self._frame or b""

    def _wait_for_the_rest(self, patience: asyncio.Timeout, block: Block) -> None:
        """Wait once more for as long as the answer takes: something has begun to speak."""
        self._patience = None
        rest_s = self._config.wire_s(answer.REQUEST_BYTES + block.answer_bytes) + _GAP_S
        if not patience.expired():
            patience.reschedule(max(patience.when() or 0.0, asyncio.get_running_loop().time() + rest_s))

    def _connection(self, is_up: bool) -> None:
        if not is_up:
            self._on_lost()
