"""The update that the cloud wants, and those that it no longer wants, across restarts."""

from collections.abc import Callable, Mapping

from gateway.domain.commands import Remember
from gateway.domain.model import Json
from gateway.domain.update.asked import UpdateAsked, UpdateOrdered, as_json
from gateway.domain.update.order import Order
from gateway.domain.update.words import Kind, State

KEPT_WITHDRAWALS = 20
"""A withdrawal may overtake its order, and the runner may not be there to hear of it."""

_ORDER, _CANCELLED = "update/order", "update/cancelled"


class Orders:
    """What is wanted: the newest order until its update is over.

    Args:
        remember: Keeps a value across restarts.

    Attributes:
        order: As JSON (domain.update.asked); None if nothing is wanted.
        cancelled: Ids that are not wanted any more, the newest last.
    """

    def __init__(self, remember: Callable[[Remember], None]) -> None:
        self._remember = remember
        self.order: dict[str, Json] | None = None
        self.cancelled: list[str] = []

    def recall(self, memory: Mapping[str, Json]) -> None:
        """Take over what was remembered; what has come since stands."""
        order, cancelled = memory.get(_ORDER), memory.get(_CANCELLED)
        if isinstance(cancelled, list):
            known = [each for each in map(str, cancelled) if each not in self.cancelled]
            self.cancelled = [*known, *self.cancelled][-KEPT_WITHDRAWALS:]
        if self.order is None and isinstance(order, dict) and _is_whole(order):
            self.order = None if order["update_id"] in self.cancelled else order

    def refusal(self, asked: UpdateAsked) -> tuple[str, str] | None:
        """Return reason and detail if it is not to be taken."""
        if not isinstance(asked, UpdateOrdered):
            return None
        if asked.order.downgrade and not asked.request.may_open:
            return "not_authorised", "an older version needs step_up"
        if asked.order.id in self.cancelled:
            return "superseded", "this update was cancelled; order it under another id"
        if self.order is None or self.order["update_id"] != asked.order.id:
            return None
        is_same = _essence(self.order) == _essence(as_json(asked.order))
        return None if is_same else ("bad_request", "this update_id stands for another update already")

    def add(self, order: Order) -> dict[str, Json]:
        """Want this from now on, instead of what was wanted; return it as JSON."""
        self.order = as_json(order)
        self._remember(Remember(_ORDER, self.order))
        return self.order

    def withdraw(self, update_id: str) -> None:
        """Want this no more, also if it should still come."""
        others = [each for each in self.cancelled if each != update_id]
        self.cancelled = [*others, update_id][-KEPT_WITHDRAWALS:]
        self._remember(Remember(_CANCELLED, [*self.cancelled]))
        self._drop(update_id)

    def forget(self, update_id: str) -> None:
        """The update is over, or was never taken."""
        self._drop(update_id)
        if update_id in self.cancelled:
            self.cancelled = [each for each in self.cancelled if each != update_id]
            self._remember(Remember(_CANCELLED, [*self.cancelled]))

    def _drop(self, update_id: str) -> None:
        if self.order is not None and self.order["update_id"] == update_id:
            self.order = None
            self._remember(Remember(_ORDER, None))


def text(table: Mapping[str, Json], key: str) -> str:
    """Return a word of a report or an order, "" if there is none."""
    value = table.get(key)
    return value if isinstance(value, str) else ""


def is_sound(report: Mapping[str, Json]) -> bool:
    """Tell whether a remembered report can be shown; another version of the daemon may have written it."""
    percent = report.get("percent", 0)
    return text(report, "state") in set(State) and isinstance(percent, int) and 0 <= percent <= 100  # noqa: PLR2004


def _is_whole(order: Mapping[str, Json]) -> bool:
    return all(text(order, key) for key in ("update_id", "version")) and text(order, "kind") in set(Kind)


def _essence(order: Mapping[str, Json]) -> tuple[Json, ...]:
    return tuple(order.get(key) for key in ("kind", "target", "version", "downgrade"))
