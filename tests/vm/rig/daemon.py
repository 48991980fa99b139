"""What a person at the Pi does: asks the gateway over its control socket, sends its process a signal."""

import asyncio
import json
import os
import signal
from typing import Any

from rig.record import Record

_SOCKET = "/run/reed/org.reed.Gateway"
_INTERFACE = "org.reed.Gateway"
_CONNECT_S = 20.0


class Daemon:
    """The gateway in the Pi. Unlike its command line this costs no start of a Python under emulation."""

    def __init__(self, record: Record) -> None:
        self._record = record

    async def view(self) -> dict[str, Any]:
        """Return all there is to see, as `reed-gateway status --json` does."""
        answer = await self._call("GetView", {}, last=True)
        return dict(answer["view"])

    async def ask(self, method: str, wait: bool = True, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
        """Ask for something; return the last answer, or the first one without `wait`."""
        return await self._call(method, parameters, last=wait)

    async def kill_in_motion(self, pid: int, valve: str, wish: str, line: int) -> float:
        """Ask for a motion, and kill the gateway as soon as its coil is on; return when that was."""
        since_s = asyncio.get_running_loop().time()
        await self._call("ActuateValve", {"valve": valve, "wish": wish}, last=False)
        await self._record.wait(line, 1, since_s, 30.0)
        os.kill(pid, signal.SIGKILL)
        return asyncio.get_running_loop().time()

    @staticmethod
    async def _call(method: str, parameters: dict[str, Any], *, last: bool) -> dict[str, Any]:
        call = {"method": f"{_INTERFACE}.{method}", "parameters": parameters, "more": method != "GetView"}
        reader, writer = await _connect()
        try:
            writer.write(json.dumps(call).encode() + b"\0")
            while True:
                reply = json.loads((await reader.readuntil(b"\0"))[:-1])
                if "error" in reply:
                    raise RuntimeError(f"{method}: {reply}")
                if not (last and reply.get("continues")):
                    return dict(reply["parameters"])
        finally:
            writer.close()


async def _connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The gateway is ready a little before its socket is."""
    async with asyncio.timeout(_CONNECT_S):
        while True:
            try:
                return await asyncio.open_unix_connection(_SOCKET, limit=1 << 20)
            except OSError:
                await asyncio.sleep(0.1)
