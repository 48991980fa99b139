"""What the runner needs of others; the app provides it, so that nothing here knows identity or control."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gateway.domain.model import Json
from gateway.domain.update.model import Order, Step, Update


@dataclass(frozen=True, slots=True)
class WebRequest:
    """What a server is asked; `path` begins with "/" and is below the server's base address."""

    path: str
    method: str = "GET"
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """Status, body (empty if it went into a sink) and headers with names in lower case."""

    status: int
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Web(Protocol):
    """One HTTPS server, asked with the gateway's own certificate. Blocks; called in a thread.

    Raises UpdateError (UNREACHABLE) when there is no answer in time or it breaks off.
    """

    def ask(self, request: WebRequest, *, timeout_s: float, max_bytes: int) -> WebAnswer:
        """Return a small answer whole."""

    def read(
        self,
        request: WebRequest,
        sink: Callable[[bytes], None],
        *,
        stall_s: float,
        max_bytes: int,
        head: Callable[[WebAnswer], None] = lambda _: None,
    ) -> WebAnswer:
        """Hand the body of a 2xx answer to `sink` as it comes; ends when nothing comes for `stall_s`.

        `head` gets status and headers before the first byte. What `head` or `sink` raises ends the
        connection and is raised on.
        """


@dataclass(frozen=True, slots=True)
class Lease:
    """The core's word: nothing speaks against `step` for `valid_for_s` seconds, or why it has to wait."""

    granted: bool
    reasons: tuple[str, ...] = ()
    valid_for_s: float = 0.0


class Guard(Protocol):
    """The running daemon. Raises ControlError while it does not run."""

    async def view(self) -> Mapping[str, Json]:
        """Return everything there is to see, as GetView does."""

    async def lease(self, step: Step) -> Lease:
        """Ask whether this may be done now."""

    async def report(self, update: Update) -> None:
        """Have people and the cloud told; on return it is on disk."""


class Source(Protocol):
    """Somebody who wants updates."""

    name: str

    async def order(self) -> Order | None:
        """Return what is wanted now, if anything. Raises UpdateError."""

    async def cancelled(self, order_id: str) -> bool:
        """Return whether this is no longer wanted. Raises UpdateError."""

    async def report(self, update: Update) -> None:
        """Tell about the present state. Raises UpdateError."""


class Applier(Protocol):
    """The privileged half: it verifies everything once more and does what needs root. Raises UpdateError."""

    async def call(
        self, verb: str, arguments: Mapping[str, Json], on_percent: Callable[[int], None] = lambda _: None
    ) -> Mapping[str, Json]:
        """Do one of the verbs of docs/updates.md and return its answer."""


class Fetcher(Protocol):
    """Downloads and verifies. Raises UpdateError."""

    async def fetch(self, order: Order, on_percent: Callable[[int], None]) -> None:
        """Have target and metadata whole in the spool; what is there already is kept when cancelled."""

    async def freshen(self, order: Order) -> None:
        """Have the newest metadata in the spool; the target must still be in them."""


class Signer(Protocol):
    """Our key."""

    async def sign(self) -> bool | None:
        """Return whether it signs now; None if there is no key, or none that could fail."""


class Clock(Protocol):
    """The times that the runner needs."""

    boot_id: str

    def now_s(self) -> float:
        """Return monotonic seconds since the machine was started."""

    def now_unix_s(self) -> float | None:
        """Return the wall clock; None while it is not to be trusted."""

    def minute(self) -> int | None:
        """Return the minute of the day, local time; None while it is not to be trusted."""
