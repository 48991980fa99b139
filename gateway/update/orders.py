"""Which update is next: every source is asked in turn, and what was done once is never done again."""

import logging
from collections.abc import Mapping
from typing import Final

from gateway.domain.update.machine import refusal
from gateway.domain.update.model import Code, Kind, Offered, Order
from gateway.errors import StoreError, UpdateError
from gateway.update.facts import facts
from gateway.update.ports import Applier, Source
from gateway.update.record import Record
from gateway.update.tell import Teller

_log = logging.getLogger(__name__)

_MOST: Final = 10
"""Orders that one source may give in a row, before the others wait no longer."""


class Orders:
    """All sources.

    Args:
        sources: By their names, in the order in which they are asked.
        record: What has been done.
        teller: Tells of what is not taken.
        applier: Says what this machine can take.
        kinds: That the configuration takes.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        record: Record,
        teller: Teller,
        applier: Applier,
        kinds: frozenset[Kind],
    ) -> None:
        self._sources = sources
        self._record = record
        self._teller = teller
        self._applier = applier
        self._kinds = kinds
        self._seen: set[str] = set()

    async def next(self) -> Offered | None:
        """Return what is to be done next, with what speaks against it. Raises StoreError."""
        for source in self._sources.values():
            for _ in range(_MOST):
                order = await _asked(source)
                if order is None or order.id in self._seen:
                    break
                self._seen.add(order.id)
                if not await self._is_done(order, source):
                    return await self._offered(order)
        return None

    async def refuse_others(self, present: Order) -> None:
        """Answer whoever wants another update while one is under way. Raises StoreError."""
        for source in self._sources.values():
            order = await _asked(source)
            if order is None or order.id in self._seen or order.id == present.id:
                continue
            self._seen.add(order.id)
            if not await self._is_done(order, source):
                refused = refusal(order, Code.BUSY, f"update {present.id} is under way")
                self._record.end(refused)
                self._teller.tell(refused)

    async def is_cancelled(self, order: Order) -> bool:
        """Return whether its source wants it no longer."""
        source = self._sources.get(order.source)
        try:
            return source is not None and await source.cancelled(order.id)
        except UpdateError as error:
            _log.info("%s does not say whether %s is cancelled: %s", order.source, order.id, error)
            return False

    async def _is_done(self, order: Order, source: Source) -> bool:
        """Return whether it is over; then the source has not heard of that."""
        ended = self._record.find(order.id)
        if ended is None:
            return False
        try:
            await source.report(ended.update)
        except UpdateError as error:
            _log.info("%s is not told of %s again: %s", source.name, order.id, error)
        return True

    async def _offered(self, order: Order) -> Offered:
        if order.kind not in self._kinds:
            why = f"this gateway takes no {order.kind} updates ([update] allow)"
            return Offered(order, refuse=Code.UNSUPPORTED, detail=why)
        try:
            found = facts(await self._applier.call("state", {}), order.kind)
        except UpdateError as error:
            _log.warning("what runs is not known: %s", error)
            return Offered(order)  # the applier decides anyway, when it is back
        if not found.supported:
            return Offered(order, found.version, refuse=Code.UNSUPPORTED, detail=found.why)
        return Offered(order, found.version)


async def _asked(source: Source) -> Order | None:
    try:
        return await source.order()
    except (UpdateError, StoreError) as error:
        _log.info("%s gives no order now: %s", source.name, error)
        return None
