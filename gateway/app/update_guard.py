"""The daemon as the runner sees it, through the control socket: leases, reports, and what the cloud wants."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.control.client import Client
from gateway.domain.model import Json
from gateway.domain.update.model import Code, Kind, Order, State, Step, Update, Window
from gateway.errors import ControlError, UpdateError
from gateway.update.ports import Lease

_ANSWER_S = 15.0
"""A report waits for the disk up to 10 s, and says so."""
_MOST_WORDS, _MOST_TEXT = 200, 4000


class ControlGuard:
    """Guard, over the control socket.

    Args:
        socket: Its path.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def view(self) -> Mapping[str, Json]:
        """Return everything there is to see. Raises ControlError."""
        answer = await self.call("GetView")
        return _table(answer.get("view"))

    async def lease(self, step: Step) -> Lease:
        """Ask whether this may be done now. Raises ControlError."""
        answer = await self.call("RequestLease", step=step.value)
        reasons = tuple(str(reason) for reason in answer.get("reasons") or ())
        return Lease(answer.get("granted") is True, reasons, float(answer.get("valid_for_s") or 0.0))

    async def report(self, update: Update) -> None:
        """Have people and the cloud told; on return it is on disk. Raises ControlError."""
        await self.call("ReportUpdate", update=as_json(update))

    async def call(self, method: str, **parameters: object) -> Mapping[str, Any]:
        """Call a method of the daemon. Raises ControlError."""
        return await asyncio.to_thread(self._call, method, parameters)

    def _call(self, method: str, parameters: Mapping[str, object]) -> Mapping[str, Any]:
        with Client(self._socket) as client:
            return client.call(method, timeout_s=_ANSWER_S, **parameters)


class CloudSource:
    """What the cloud wants, as the daemon has heard and verified it.

    Args:
        guard: The daemon.
        deadline_s: Of an order that leaves that to the configuration.
    """

    name = "cloud"

    def __init__(self, guard: ControlGuard, deadline_s: float = 7 * 86_400.0) -> None:
        self._guard = guard
        self._deadline_s = deadline_s

    async def order(self) -> Order | None:
        """Return what is wanted now. Raises UpdateError."""
        wanted = (await self._asked()).get("order")
        return parse_order(wanted, self.name, self._deadline_s) if isinstance(wanted, dict) else None

    async def cancelled(self, order_id: str) -> bool:
        """Return whether this is no longer wanted. Raises UpdateError."""
        return order_id in ((await self._asked()).get("cancelled") or ())

    async def report(self, update: Update) -> None:
        """Say an end once more: the guard is told of everything anyway. Raises UpdateError."""
        if update.state.final:
            try:
                await self._guard.report(update)
            except ControlError as error:
                raise _unreachable(error) from None

    async def _asked(self) -> Mapping[str, Any]:
        try:
            return await self._guard.call("GetUpdate")
        except ControlError as error:
            raise _unreachable(error) from None


def as_json(update: Update) -> dict[str, Json]:
    """Return the report of an update, as the method ReportUpdate takes it."""
    order = update.order
    return {
        "update_id": order.id,
        "kind": order.kind.value,
        "target": order.target[:_MOST_WORDS],
        "version": order.version[:_MOST_WORDS],
        "from_version": update.from_version[:_MOST_WORDS],
        "state": update.state.value,
        "code": str(update.code)[:_MOST_WORDS],
        "detail": update.detail[:_MOST_TEXT],
        "percent": update.percent,
        "waits_for": update.next.value if update.state is State.WAITING else "",
        "source": order.source[:_MOST_WORDS],
        "actor": order.actor[:_MOST_WORDS],
    }


def parse_order(said: Mapping[str, Any], source: str, deadline_s: float) -> Order:
    """Return an order as the daemon tells it. Raises UpdateError (INVALID) if it is none."""
    try:
        window = said.get("window")
        return Order(
            id=str(said["update_id"]),
            kind=Kind(said["kind"]),
            target=str(said["target"]),
            version=str(said["version"]),
            source=source,
            actor=str(said.get("actor") or ""),
            window=Window(int(window["from_min"]), int(window["until_min"])) if window else None,
            deadline_s=float(said.get("deadline_s") or deadline_s),
            downgrade=said.get("downgrade") is True,
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UpdateError(Code.INVALID, f"the order cannot be understood: {error}") from None


def _unreachable(error: ControlError) -> UpdateError:
    return UpdateError(Code.UNREACHABLE, str(error), passing=True)


def _table(value: object) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}
