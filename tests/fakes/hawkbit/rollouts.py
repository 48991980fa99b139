"""A rollout of hawkBit: groups one after the other, thresholds that go on or pause.

`tick` is what its scheduler does every few seconds. The error condition is looked at first and is "more
than"; the success condition is "at least"; a group whose actions are all over counts as a success, too.
"""

from dataclasses import dataclass, field

from tests.fakes.hawkbit.actions import Action, DistributionSet, Status
from tests.fakes.hawkbit.repository import Repository

_OVER = (Status.ERROR, Status.FINISHED, Status.CANCELED)


@dataclass
class Group:
    """Some of a rollout's targets."""

    actions: list[Action]
    status: str = "SCHEDULED"

    def share(self, status: Status) -> float:
        return sum(action.status is status for action in self.actions) / len(self.actions)

    @property
    def is_over(self) -> bool:
        return all(action.status in _OVER for action in self.actions)


@dataclass
class Rollout:
    """Args: success_percent and error_percent are the thresholds of every group."""

    repository: Repository
    success_percent: int
    error_percent: int
    status: str = "READY"
    groups: list[Group] = field(default_factory=list)

    def add(self, distribution: DistributionSet, *controller_ids: str) -> Group:
        """Append a group."""
        group = Group([self.repository.assign(one, distribution, scheduled=True) for one in controller_ids])
        self.groups.append(group)
        return group

    def start(self) -> None:
        self.status = "RUNNING"
        self._start(self.groups[0])

    def resume(self) -> None:
        assert self.status == "PAUSED"
        self.status = "RUNNING"

    def tick(self) -> None:
        """Look at the running groups."""
        with self.repository.lock:
            if self.status != "RUNNING":
                return
            running = [group for group in self.groups if group.status == "RUNNING"]
            if not running:
                self._next()
            for group in running:
                self._look(group)
            if all(group.status in ("FINISHED", "ERROR") for group in self.groups):
                self.status = "FINISHED"

    def _look(self, group: Group) -> None:
        if group.share(Status.ERROR) > self.error_percent / 100:
            group.status, self.status = "ERROR", "PAUSED"
            return
        if group.is_over or group.share(Status.FINISHED) >= self.success_percent / 100:
            self._next()
        if group.is_over:
            group.status = "FINISHED"

    def _next(self) -> None:
        waiting = [group for group in self.groups if group.status == "SCHEDULED"]
        if waiting:
            self._start(waiting[0])

    def _start(self, group: Group) -> None:
        group.status = "RUNNING"
        for action in group.actions:
            self.repository.start(action)
