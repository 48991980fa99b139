"""The update servers, asked with the gateway's certificate: what the runner needs of its identity."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from gateway.app.clock import WallClock
from gateway.config.model import Config
from gateway.domain.update.model import Code
from gateway.errors import IdentityError, UpdateError
from gateway.identity import tls, web
from gateway.identity.https import Request
from gateway.identity.keys import in_tpm, keys_of
from gateway.identity.pair import Pair
from gateway.identity.slots import Slots
from gateway.update.ports import WebAnswer, WebRequest

_TO_SIGN = b"reed-gateway health"


class Ours:
    """Our certificate and key, as they are when they are needed: they may be renewed meanwhile.

    Args:
        config: Where they are.
        clock: Without its trust, no date of a certificate counts (ADR 14).
    """

    def __init__(self, config: Config, clock: WallClock) -> None:
        self._config = config
        self._clock = clock
        self._slots = Slots(config.gateway.identity_dir)

    def pair(self) -> tuple[Path, Pair] | None:
        """Return whom we trust, and who we are; None before the enrolment. Raises IdentityError."""
        link = self._config.link
        if link is not None and link.ca_file and link.cert_file and link.key_file:
            return link.ca_file, Pair("", link.cert_file, link.key_file)
        current = self._slots.current()
        if current is None:
            return None
        return (link.ca_file if link and link.ca_file else self._slots.ca_file), current

    @contextmanager
    def lend(self) -> Iterator[ssl.SSLContext]:
        """Lend a context for one handshake. Raises IdentityError."""
        found = self.pair()
        if found is None:
            raise IdentityError("not enrolled; run: reed-gateway enrol --url https://HOST --token TOKEN")
        ca_file, pair = found
        tcti = self._config.identity.tcti
        context = tls.client_context(ca_file, pair, tcti=tcti, check_time=self._clock.trusted())
        try:
            yield context
        finally:
            tls.release(context)

    async def sign(self) -> bool | None:
        """Return whether the TPM signs with our key now; None if our key is not there."""
        return await asyncio.to_thread(self._sign)

    def _sign(self) -> bool | None:
        try:
            found = self.pair()
            if found is None or not in_tpm(found[1].key_file):
                return None
            key_file = found[1].key_file
            return bool(keys_of(key_file, self._config.identity).sign(key_file, _TO_SIGN))
        except IdentityError:
            return False


class UpdateWeb:
    """One server (gateway.update.ports.Web).

    Args:
        url: Its address.
        ours: Who we are.
    """

    def __init__(self, url: str, ours: Ours) -> None:
        self._web = web.Web(url, ours.lend)

    def ask(self, request: WebRequest, *, timeout_s: float, max_bytes: int) -> WebAnswer:
        """Return a small answer whole. Raises UpdateError."""
        ask = partial(self._web.ask, timeout_s=timeout_s, max_bytes=max_bytes)
        try:
            head, body = ask(_request(request))
        except IdentityError as error:
            raise _unreachable(error) from None
        return WebAnswer(head.status, body, head.headers)

    def read(
        self,
        request: WebRequest,
        sink: Callable[[bytes], None],
        *,
        stall_s: float,
        max_bytes: int,
        head: Callable[[WebAnswer], None] = lambda _: None,
    ) -> WebAnswer:
        """Hand the body of a 2xx answer to `sink` as it comes. Raises UpdateError."""
        try:
            found = self._web.read(
                _request(request),
                sink,
                stall_s=stall_s,
                max_bytes=max_bytes,
                on_head=lambda given: head(WebAnswer(given.status, headers=given.headers)),
            )
        except IdentityError as error:
            raise _unreachable(error) from None
        return WebAnswer(found.status, headers=found.headers)


def _request(request: WebRequest) -> Request:
    return Request(request.method, request.path, request.body, request.headers)


def _unreachable(error: IdentityError) -> UpdateError:
    return UpdateError(Code.UNREACHABLE, str(error), passing=True)
