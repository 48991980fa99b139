"""Whether the server lets an update that is under way change anything now."""

from gateway.update.hawkbit.memory import Memory
from gateway.update.hawkbit.wire import Deployment


class Windows:
    """By action, as far as the server has said.

    Args:
        memory: Survives; holds that an action has no window, so that it never waits for the server.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._held: dict[str, str] = {}

    def is_unbound(self, action: str) -> bool:
        """Return True if the server has said that this may be done at any time."""
        return self._memory.unbound == action

    def is_known(self, action: str) -> bool:
        """Return whether the server has said anything about it."""
        return action in self._held

    def reason(self, action: str) -> str:
        """Return why it has to wait; "" if it need not."""
        return self._held.get(action, "")

    def hold(self, action: str, reason: str) -> None:
        """Let it wait."""
        self._held[action] = reason

    def note(self, action: str, deployment: Deployment) -> None:
        """Take over what the server says of it."""
        self._held[action] = _reason(deployment)
        is_unbound = not self._held[action] and deployment.maintenance_window is None
        if is_unbound or self.is_unbound(action):
            self._memory.unbound = action if is_unbound else ""


def _reason(deployment: Deployment) -> str:
    if deployment.update == "skip" and deployment.maintenance_window is None:
        return "hawkBit wants it downloaded only"
    if "skip" in (deployment.update, deployment.download) or deployment.maintenance_window == "unavailable":
        return "hawkBit's maintenance window is closed"
    return ""
