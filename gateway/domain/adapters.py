"""The outside: adapters that fail and come back, and the session with the broker."""

from collections.abc import Callable

from gateway.domain.effects import Clear, Effect, Raise
from gateway.domain.events import AdapterFailed, AdapterRecovered, LinkChanged
from gateway.domain.model import SignalClass

_CLOUD_LOST = ("cloud-lost", "gateway")


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

    def handle(self, event: AdapterFailed | AdapterRecovered | LinkChanged, now_s: float) -> list[Effect]:
        """Take news of the outside."""
        match event:
            case AdapterFailed(adapter, problem):
                return [Raise("adapter", adapter, SignalClass.TROUBLE, problem)]
            case AdapterRecovered(adapter):
                return [Clear("adapter", adapter)]
            case LinkChanged(up=True):
                self._link_lost_at_s = None
                return [Clear(*_CLOUD_LOST)]
            case LinkChanged() if self._link_lost_at_s is None:
                self._link_lost_at_s = now_s
        return []

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
        if self._link_lost_at_s is None or self._is_active("/".join(_CLOUD_LOST)):
            return None
        return self._link_lost_at_s + self._patience_s
