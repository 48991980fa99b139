"""What hawkBit knows: targets and their actions."""

from dataclasses import dataclass, field
from itertools import count
from threading import RLock

from tests.fakes.hawkbit.actions import Action, DistributionSet, Handling, Module, Status

NEW = DistributionSet("reed", "2.0", (Module("os", "reed", "2.0", metadata={"reed.target": "os/reed-2.0"}),))
"""What tests roll out."""


@dataclass
class Target:
    """A device; hawkBit asks a new one for its attributes."""

    controller_id: str
    attributes: dict[str, str] = field(default_factory=dict)
    wants_attributes: bool = True
    installed: DistributionSet | None = None
    polls: int = 0


class Repository:
    """One tenant.

    Args:
        sleep: For `polling.sleep`.
        confirmation: Deployments wait until the device consents.
    """

    def __init__(self, sleep: str = "00:05:00", *, confirmation: bool = False) -> None:
        self.sleep = sleep
        self.confirmation = confirmation
        self.targets: dict[str, Target] = {}
        self.actions: dict[int, Action] = {}
        self.lock = RLock()
        self._numbers = count(1)

    def target(self, controller_id: str) -> Target:
        """Return a target; one that asks for the first time registers itself so."""
        return self.targets.setdefault(controller_id, Target(controller_id))

    def assign(
        self,
        controller_id: str,
        distribution: DistributionSet,
        handling: Handling = Handling.FORCED,
        *,
        scheduled: bool = False,
    ) -> Action:
        """Give a target a distribution set; what was open for it is to be cancelled."""
        with self.lock:
            self.target(controller_id)
            for former in self._open(controller_id):
                former.status = Status.CANCELING
            action = Action(next(self._numbers), controller_id, distribution, handling)
            self.actions[action.id] = action
            if scheduled:
                action.status, action.active = Status.SCHEDULED, False
            else:
                self.start(action)
            return action

    def start(self, action: Action) -> None:
        """Offer it from now on."""
        action.active = True
        action.status = Status.WAIT_FOR_CONFIRMATION if self.confirmation else Status.RUNNING

    def cancel(self, action: Action) -> None:
        """Want it stopped."""
        with self.lock:
            assert action.active
            action.status = Status.CANCELING
            action.note(Status.CANCELING, None, "manual cancelation requested")

    def current(self, controller_id: str) -> Action | None:
        """Return the open action that a target is shown: the oldest."""
        return next(iter(self._open(controller_id)), None)

    def of(self, controller_id: str, number: int) -> Action | None:
        action = self.actions.get(number)
        return action if action is not None and action.controller_id == controller_id else None

    def closed(self, action: Action) -> None:
        """Draw the consequences for the target of an action that may have been closed."""
        target = self.target(action.controller_id)
        if action.status is Status.FINISHED:
            target.installed = action.distribution
            target.wants_attributes = True

    def _open(self, controller_id: str) -> list[Action]:
        mine = (action for action in self.actions.values() if action.controller_id == controller_id)
        return sorted((action for action in mine if action.active), key=lambda action: action.id)
