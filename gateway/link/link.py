"""The link to the cloud: connects, drains the outbox, connects again; for as long as the daemon runs.

    make access -> open -> worked, session runs -> pause -> ...
        |           |
        |           +-- turned away: something else to try? at once : slowly, and people are told
        +-- nothing to use yet: look again when told, or after a minute

Nothing here is needed to protect the building. aiomqtt, paho, cryptography and msgspec are imported
when they are first needed.
"""

import asyncio
import importlib
import random
from typing import TYPE_CHECKING, Final

from gateway.domain.events import AdapterFailed, AdapterRecovered, LinkChanged
from gateway.domain.model import Json
from gateway.domain.ports import MessageId
from gateway.errors import DeniedError, GatewayError, IdentityError, LinkError, TpmError
from gateway.link.backoff import Backoff
from gateway.link.config import Config
from gateway.link.credentials import Access
from gateway.link.host import Host
from gateway.link.inbox import Inbox
from gateway.link.keys import CommandKeys
from gateway.link.suspects import Suspects

if TYPE_CHECKING:  # importing it at run time would load paho before the daemon is ready
    from gateway.link.session import Session

LOOK_AGAIN_S: Final = 60.0
"""Without a certificate there is nothing to do but to look whether there is one now."""

_TPM: Final = "tpm"
_READING: Final = "reading certificate and key"


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
        self._session: Session | None = None
        self._access: Access | None = None
        self._woken = asyncio.Event()
        self._sessions = 0
        self._up = False
        self._since_s: float | None = None
        self._detail = "connecting"
        self._denied = ""
        self._key_failures = 0
        self._key_fails: bool | None = None  # unknown: an alarm from before the restart may still stand

    def view(self, now_s: float) -> dict[str, Json]:
        """Return the link's part of the view.

        Args:
            now_s: Of the running loop's clock.
        """
        access = self._access
        return {
            "state": "up" if self._up else "down",
            "since_s": None if self._since_s is None else round(now_s - self._since_s, 1),
            "detail": self._detail,
            "denied": self._denied,
            "sessions": self._sessions,
            "commands_refused": dict(self._inbox.refused),
            "key_failures": self._key_failures,
            "pair": "" if access is None else access.pair,
            "key": "" if access is None else "tpm" if access.in_tpm else "file",
            "checks_time": access is None or access.checks_time,
        }

    @property
    def is_up(self) -> bool:
        """There is a session with the broker."""
        return self._up

    def retry(self) -> None:
        """Try now instead of waiting; a session that there is, or that begins, goes on."""
        self._woken.set()

    def hand_over(self) -> None:
        """Begin a new session now: the present one ends when all is confirmed, a pause ends at once."""
        self._woken.set()
        if self._session is not None:
            self._session.hand_over()

    async def run(self) -> None:
        """Keep a session with the broker until cancelled; every failure of it is met by another attempt."""
        await asyncio.to_thread(importlib.import_module, "gateway.link.session")
        self._since_s = asyncio.get_running_loop().time()
        while True:
            self._sessions += 1
            self._woken.clear()
            await self._pause(await self._attempt())

    async def _attempt(self) -> float:
        """Connect and serve once; return how long to wait before the next time, seconds."""
        try:
            self._access = access = await self._make()
        except (LinkError, TpmError) as error:
            self._fail(error)
            self._backoff.ended(0.0)
            return self._backoff_s()
        except IdentityError as error:
            self._detail = str(error)
            self._host.credentials.useless(error)
            return LOOK_AGAIN_S
        return await self._connect(access)

    async def _make(self) -> Access:
        credentials, lane = self._host.credentials, self._host.lane
        try:
            return await lane.run(_READING, credentials.make, credentials.limit_s)
        except TimeoutError:
            is_tpm = credentials.uses_tpm and lane.stuck in ("", _READING)
            problem = f"{lane.stuck or _READING} has not ended yet"
            raise (TpmError if is_tpm else LinkError)(problem) from None

    async def _connect(self, access: Access) -> float:
        session_module = importlib.import_module("gateway.link.session")
        session: Session = session_module.Session(self._config, self._host, self._inbox, self._suspects)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        self._session = session
        try:
            await self._serve(session, access)
        except (LinkError, TpmError) as error:
            at_once = self._judge(session, access, error)
            self._backoff.ended(loop.time() - began_s if session.healthy else 0.0)
            if not at_once and _is_final(session, error):
                self._backoff.refused()
            return 0.0 if at_once else self._backoff_s()
        finally:
            self._session = None
        self._backoff.handed_over(loop.time() - began_s)
        return 0.0

    async def _serve(self, session: "Session", access: Access) -> None:
        farewell: str | None = "stopped"
        failed = False
        try:
            await session.open(access)
            self._let_in(access)
            await session.run()
            farewell = "renewing"
        except GatewayError as error:
            farewell, failed = None, not isinstance(error, DeniedError)
            raise
        finally:
            in_flight = session.in_flight
            try:
                await session.close(farewell if session.greeted else None)
            finally:  # also when told again to stop
                self._after(session, in_flight if failed else [])

    def _let_in(self, access: Access) -> None:
        self._inbox.forget_keys()  # our enrolment may have brought others
        self._turn(up=True, detail="")
        self._key_works(access)
        self._host.credentials.worked(access)

    def _judge(self, session: "Session", access: Access, error: GatewayError) -> bool:
        """Tell people and the provider why a session did not begin or did not go on.

        Return whether there is something else to try at once.
        """
        self._fail(error)
        credentials = self._host.credentials
        if not isinstance(error, DeniedError):
            return not session.is_open and credentials.failed(access, error)
        self._key_works(access)
        if session.is_open or not access.is_trial:
            self._deny(str(error))
        return not session.is_open and credentials.refused(access, error)

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
        self._denied = "" if up else self._denied
        self._since_s = asyncio.get_running_loop().time()
        self._host.emit(LinkChanged(up))

    def _deny(self, why: str) -> None:
        if why != self._denied:
            self._denied = why
            self._host.emit(LinkChanged(up=False, denied=why))

    def _fail(self, error: GatewayError) -> None:
        self._detail = str(error)
        if isinstance(error, TpmError):
            self._key_failures += 1
            if self._key_fails is not True:
                self._key_fails = True
                self._host.emit(AdapterFailed(_TPM, str(error)))

    def _key_works(self, access: Access) -> None:
        if access.in_tpm and self._key_fails is not False:
            self._key_fails = False
            self._host.emit(AdapterRecovered(_TPM))

    def _backoff_s(self) -> float:
        return self._backoff.pause_s(random.random())  # noqa: S311  # no secret

    async def _pause(self, pause_s: float) -> None:
        try:
            async with asyncio.timeout(pause_s):
                await self._woken.wait()
        except TimeoutError:
            pass


def _is_final(session: "Session", error: GatewayError) -> bool:
    """Whether only a person can change the broker's mind: an "expired" may be the end of its own list."""
    if isinstance(error, DeniedError):
        return not session.is_open and not error.expired
    return session.refused
