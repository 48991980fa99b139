"""The outside: adapters that fail and come back, the session with the broker, and updates.

A broker out of reach becomes a trouble after a while. A cloud that turns us away is one at once, and only a
new session ends it: until then nobody knows that it would let us in again.
"""

from collections.abc import Callable
from typing import TypeAlias

from gateway.domain.effects import Clear, Effect, Raise
from gateway.domain.events import AdapterFailed, AdapterRecovered, LinkChanged, UpdateReported
from gateway.domain.model import SignalClass
from gateway.domain.update import trouble

Outside: TypeAlias = AdapterFailed | AdapterRecovered | LinkChanged | UpdateReported

_CLOUD_LOST = ("cloud-lost", "gateway")
_CLOUD_DENIED = ("cloud-denied", "gateway")

CLOUD_DENIED = "/".join(_CLOUD_DENIED)
"""The alarm while the cloud does not let us in."""


class Adapters:
    """Raises and ends the troubles of the outside.

    Args:
        patience_s: The session may be away this long before that is a trouble.
        is_active: Tells whether an alarm's condition is present.
    """

    def __init__(self, patience_s: float, is_active: Callable[[str], bool]) -> None:
        self._patience_s = patience_s
        self._is_active = is_active
        self._link_lost_at_s: float | None = None

    def handle(self, event: Outside, now_s: float) -> list[Effect]:
        """Take news of the outside."""
        match event:
            case AdapterFailed(adapter, problem):
                return [Raise("adapter", adapter, SignalClass.TROUBLE, problem)]
            case AdapterRecovered(adapter):
                return [Clear("adapter", adapter)]
            case LinkChanged(up=True):
                self._link_lost_at_s = None
                return [Clear(*_CLOUD_LOST), Clear(*_CLOUD_DENIED)]
            case LinkChanged(denied=why):
                if self._link_lost_at_s is None:
                    self._link_lost_at_s = now_s
                return [Raise(*_CLOUD_DENIED, SignalClass.TROUBLE, _denied(why))] if why else []
            case UpdateReported():
                return trouble.reported(event)

    def tick(self, now_s: float) -> list[Effect]:
        """Notice that the session has been away for long."""
        due_s = self.deadline_s()
        if due_s is None or now_s < due_s:
            return []
        detail = (
            f"no session with the broker for {self._patience_s:g} s; the building is protected all the same"
        )
        kind, subject = _CLOUD_LOST
        return [Raise(kind, subject, SignalClass.TROUBLE, detail)]

    def deadline_s(self) -> float | None:
        """Return when `tick` is wanted."""
        if self._link_lost_at_s is None:
            return None
        if self._is_active("/".join(_CLOUD_LOST)) or self._is_active(CLOUD_DENIED):
            return None  # one trouble for it is enough
        return self._link_lost_at_s + self._patience_s


def _denied(why: str) -> str:
    return f"{why}; the building is protected all the same"
