"""The link to the cloud: connects, drains the outbox, connects again; for as long as the daemon runs.

Nothing here is needed to protect the building. aiomqtt, paho, cryptography and msgspec are imported
when they are first needed.
"""

import asyncio
import importlib
import random
from typing import TYPE_CHECKING

from gateway.domain.events import LinkChanged
from gateway.domain.model import Json
from gateway.domain.ports import MessageId
from gateway.errors import LinkError
from gateway.link.backoff import Backoff
from gateway.link.config import Config
from gateway.link.host import Host
from gateway.link.inbox import Inbox
from gateway.link.keys import CommandKeys
from gateway.link.suspects import Suspects

if TYPE_CHECKING:  # importing it at run time would load paho before the daemon is ready
    from gateway.link.session import Session


class Link:
    """The gateway's end of docs/protocol.md.

    Args:
        backoff: Pauses between attempts; from the config by default.
    """

    def __init__(self, config: Config, host: Host, backoff: Backoff | None = None) -> None:
        self._config, self._host = config, host
        self._backoff = backoff or Backoff(cap_s=config.backoff_cap_s)
        self._inbox = Inbox(host, CommandKeys(config.command_key_file))
        self._suspects = Suspects()
        self._sessions = 0
        self._up = False
        self._since_s: float | None = None
        self._detail = "connecting"

    def view(self, now_s: float) -> dict[str, Json]:
        """Return the link's part of the view.

        Args:
            now_s: Of the running loop's clock.
        """
        return {
            "state": "up" if self._up else "down",
            "since_s": None if self._since_s is None else round(now_s - self._since_s, 1),
            "detail": self._detail,
            "sessions": self._sessions,
            "commands_refused": dict(self._inbox.refused),
        }

    async def run(self) -> None:
        """Keep a session with the broker until cancelled; every failure of it is met by another attempt."""
        session_module = importlib.import_module("gateway.link.session")
        loop = asyncio.get_running_loop()
        self._since_s = loop.time()
        while True:
            self._sessions += 1
            session: Session = session_module.Session(self._config, self._host, self._inbox, self._suspects)
            began_s = loop.time()
            try:
                await self._serve(session)
            except LinkError as error:
                self._detail = str(error)
            self._backoff.ended(loop.time() - began_s if session.healthy else 0.0)
            if session.refused:
                self._backoff.refused()
            await self._pause()

    async def _serve(self, session: "Session") -> None:
        farewell: str | None = "stopped"
        try:
            await session.open()
            self._turn(up=True, detail="")
            await session.run()
        except LinkError:
            farewell = None
            raise
        finally:
            in_flight = session.in_flight
            await session.close(farewell if session.greeted else None)
            self._after(session, in_flight)

    def _after(self, session: "Session", in_flight: list[MessageId]) -> None:
        poison = self._suspects.ended(in_flight) if session.healthy else None
        self._host.outbox.put_back()
        if poison is not None:
            self._host.outbox.set_aside(poison, "the broker ends the session whenever it gets this message")
        self._turn(up=False, detail=self._detail)

    def _turn(self, *, up: bool, detail: str) -> None:
        self._detail = detail
        if up is self._up:
            return
        self._up = up
        self._since_s = asyncio.get_running_loop().time()
        self._host.emit(LinkChanged(up))

    async def _pause(self) -> None:
        await asyncio.sleep(self._backoff.pause_s(random.random()))  # noqa: S311  # no secret
