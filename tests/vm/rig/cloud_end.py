"""A broker on loopback and the demo's cloud end: mutual TLS, receipts, signed commands, times of arrival."""

import asyncio
from pathlib import Path
from typing import Any

_HOST = "127.0.0.1"


class CloudEnd:
    """Nothing runs before `start`; what came in stays known over `stop`."""

    def __init__(self) -> None:
        self._broker: Any = None
        self._cloud: Any = None
        self._task: asyncio.Task[None] | None = None

    async def start(self, gateway: str, folder: str = "/run/rig-cloud", port: int = 8883) -> dict[str, Any]:
        """Start broker and cloud; return what the table [link] of the gateway's configuration needs."""
        from gateway.cli.demo import devca  # noqa: PLC0415  # the gateway comes into the Pi after the rig
        from gateway.cli.demo.broker import Broker  # noqa: PLC0415
        from gateway.cli.demo.cloud import Cloud  # noqa: PLC0415

        await self.stop()
        ca = await asyncio.to_thread(devca.ensure, Path(folder) / "ca", gateway)
        self._broker = Broker(ca, Path(folder) / "broker", port)
        await asyncio.to_thread(self._broker.start)
        if self._cloud is None:
            self._cloud = Cloud(ca.cloud, _HOST, port)
        self._task = asyncio.create_task(self._cloud.run())  # noqa: TID251  # `stop` ends it
        await self._cloud.until(lambda cloud: cloud.connected, 30.0)
        return {
            "host": _HOST,
            "port": port,
            "ca_file": str(ca.ca_file),
            "cert_file": str(ca.cert_file(gateway)),
            "key_file": str(ca.key_file(gateway)),
            "command_key_file": str(ca.command_key_file),
        }

    async def stop(self) -> None:
        """Cut the broker off."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        if self._broker is not None:
            await asyncio.to_thread(self._broker.stop)
            self._broker = None

    def freeze(self, frozen: bool = True) -> None:
        """Let the broker keep its connections and answer nothing."""
        (self._broker.pause if frozen else self._broker.resume)()

    def arrivals(self, since_s: float = 0.0, kind: str | None = None) -> list[dict[str, Any]]:
        """Return {at_s, topic, message} of what came since CLOCK_MONOTONIC `since_s`, copies included."""
        return [
            {"at_s": arrival.at_s, "topic": arrival.topic, "message": dict(arrival.message)}
            for arrival in self._cloud.since(since_s)
            if kind in (None, arrival.message["kind"])
        ]

    async def wait(
        self, kind: str, body: dict[str, Any], since_s: float = 0.0, timeout_s: float = 30.0
    ) -> dict[str, Any]:
        """Return the first arrival of this kind with these entries in its body. Raises TimeoutError."""

        def fitting() -> list[dict[str, Any]]:
            found = self.arrivals(since_s, kind)
            return [a for a in found if body.items() <= a["message"]["body"].items()]

        await self._cloud.until(lambda _: fitting(), timeout_s)
        return fitting()[0]

    async def command(self, kind: str, body: dict[str, Any]) -> str:
        """Send a signed command and return its id."""
        return str(await self._cloud.command(kind, body))

    def answers(self, command_id: str) -> list[tuple[str, str]]:
        """Return (state, reason) of each answer so far."""
        return list(self._cloud.answers(command_id))

    async def close(self) -> None:
        """Stop."""
        await self.stop()
