"""The trouble that an update leaves which was taken back: something better was meant to run here.

Present until an update succeeds or a person acknowledges it; remembered, so that a restart does not hide it.
"""

from collections.abc import Mapping
from typing import Final

from gateway.domain.commands import Remember
from gateway.domain.effects import Clear, Effect, Raise
from gateway.domain.events import UpdateReported
from gateway.domain.model import Json, SignalClass
from gateway.domain.update.words import State

SUBJECT: Final = "gateway"
UPDATE_FAILED: Final = f"update-failed/{SUBJECT}"
"""The alarm."""

_KEY: Final = "update/failed"


def standing(memory: Mapping[str, Json]) -> list[Effect]:
    """Return what still holds after a restart."""
    detail = memory.get(_KEY)
    return [_raised(detail)] if isinstance(detail, str) else []


def reported(event: UpdateReported) -> list[Effect]:
    """Take the runner's word on an update."""
    if event.state == State.ROLLED_BACK:
        detail = f"{event.kind} {event.version} was taken back: {event.detail or 'no reason was given'}"
        return [_raised(detail), Remember(_KEY, detail)]
    return _over() if event.state == State.SUCCEEDED else []


def acknowledged(alarm_id: str) -> list[Effect]:
    """A person has seen an alarm; if it is this one, it is over."""
    return _over() if alarm_id == UPDATE_FAILED else []


def _over() -> list[Effect]:
    return [Clear("update-failed", SUBJECT), Remember(_KEY, None)]


def _raised(detail: str) -> Raise:
    return Raise("update-failed", SUBJECT, SignalClass.TROUBLE, detail)
