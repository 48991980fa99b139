"""Fills the spool: verified metadata and one verified target, for the applier to verify once more."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from gateway.domain.update.model import Code, Order
from gateway.errors import UpdateError
from gateway.update import fetch
from gateway.update.part import Stopped
from gateway.update.ports import Web
from gateway.update.trust.spool import hand_on
from gateway.update.trust.target import Device, Target, check_file, check_fits
from gateway.update.trust.trusted import Trusted

_TARGETS: Final = "targets"
_METADATA: Final = "metadata"


class Spooler:
    """Downloads and verifies; the runner's Fetcher.

    Args:
        spool: Folder with `metadata/` and `targets/`.
        trusts: Whoever has metadata, best first: the server, then what a file brought into the spool. All
            share one memory of what was seen.
        web: The server; None: what is not in the spool cannot be had.
        device: Returns who would take a target of this order.
    """

    def __init__(
        self,
        spool: Path,
        trusts: Sequence[Trusted],
        web: Web | None,
        device: Callable[[Order], Device],
    ) -> None:
        self._spool = spool
        self._trusts = trusts
        self._web = web
        self._device = device

    async def fetch(self, order: Order, on_percent: Callable[[int], None]) -> None:
        """Have the target and its metadata whole in the spool; what has come stays when cancelled.

        Raises:
            UpdateError: It cannot be had, cannot be trusted, or is not for this device.
            StoreError: The disk does not take it.
        """
        loop, stop = asyncio.get_running_loop(), threading.Event()

        def tell(percent: int) -> None:
            loop.call_soon_threadsafe(on_percent, percent)

        work = loop.run_in_executor(None, partial(self.work, order, stop.is_set, tell))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            stop.set()
            # the next one must not meet this one in the same file
            await asyncio.wait([work])
            work.exception()
            raise

    async def freshen(self, order: Order) -> None:
        """Have the newest metadata of an order in the spool, as long as the server can be reached.

        Raises:
            UpdateError: The target has been taken back, or what is known of it is too old by now.
            StoreError: The disk does not take it.
        """
        await asyncio.to_thread(self._named, order)

    def work(self, order: Order, stop: Callable[[], bool], on_percent: Callable[[int], None]) -> None:
        """Do it; blocks. Raises UpdateError and StoreError; Stopped if `stop` said so."""
        target = self._named(order)
        check_fits(target, self._device(order), downgrade=order.downgrade)
        if stop():
            raise Stopped
        targets = self._spool / _TARGETS
        if self._web is None:
            check_file(targets / target.file_name, target)
        else:
            fetch.fetch(self._web, fetch.Download(target, targets, stop, on_percent))

    def _named(self, order: Order) -> Target:
        """Return what the first one says who says anything; the first trouble counts if nobody does."""
        trouble: UpdateError | None = None
        for trust in self._trusts:
            try:
                target = trust.target(order.target, order.kind, order.version)
            except UpdateError as error:
                trouble = trouble or error
            else:
                hand_on(trust.known(), self._spool / _METADATA)
                return target
        raise trouble or UpdateError(Code.UNREACHABLE, "no update server is configured (update.url)")
