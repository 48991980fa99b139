"""The model of an applier behind a real socket, for a runner in another process."""

import asyncio
import json
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

from gateway.errors import UpdateError
from tests.fakes.updated import Machine


class ApplierServer:
    """Serves a machine's applier in a thread of its own: one request for each connection."""

    def __init__(self, socket: Path, machine: Machine) -> None:
        self._socket = socket
        self._machine = machine
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()

    def __enter__(self) -> Self:
        self._task = self._loop.create_task(self._serve())
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(5)

    async def _serve(self) -> None:
        server = await asyncio.start_unix_server(self._answer, self._socket)
        async with server:
            self._ready.set()
            await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def send(message: object) -> None:
            with suppress(OSError):
                writer.write(json.dumps(message).encode() + b"\n")

        with suppress(OSError):
            request = json.loads(await reader.readline())
            try:
                answer = await self._machine.call(
                    request["verb"], request["arguments"], lambda percent: send({"percent": percent})
                )
                send({"ok": answer})
            except UpdateError as error:
                send({"error": {"code": str(error.code), "detail": str(error), "passing": error.passing}})
            await writer.drain()
        writer.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()
