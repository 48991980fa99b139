"""What the applier says of this machine, of the kind that an update is of."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.domain.model import Json
from gateway.domain.update.model import Kind, Resumed


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one kind.

    Args:
        supported: This machine can take it.
        why: Why not.
        version: That runs; "" if that is not known.
        trial: The system runs from the slot that is on trial.
        pending: An installation was cut off.
    """

    supported: bool
    why: str = ""
    version: str = ""
    trial: bool = False
    pending: bool = False

    def resumed(self, *, rebooted: bool) -> Resumed:
        """Return them as the event of a start."""
        return Resumed(rebooted, self.version, trial=self.trial, pending=self.pending)


def facts(state: Mapping[str, Json], kind: Kind) -> Facts:
    """Return what the answer to the verb `state` says of a kind."""
    kinds = _table(state.get("kinds"))
    if kind.value not in kinds:
        return Facts(supported=False, why="this machine knows no such kind")
    said = _table(kinds[kind.value])
    begun = _table(state.get("pending"))
    is_half_done = begun.get("kind") == kind.value and begun.get("phase") == "begun"
    return Facts(
        supported=said.get("supported") is True,
        why=_text(said.get("why")),
        version=_text(said.get("version")),
        trial=said.get("trial") is True,
        pending=said.get("interrupted") is True or said.get("pending") is True or is_half_done,
    )


def _table(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""
