"""What the building adds to what the server says."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass


def _nothing() -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Of one gateway.

    Args:
        poll_s: How often to ask a server that does not say.
        deadline_s: For orders.
        attributes: Return what to tell about us: versions, compatible, kinds. Raises UpdateError.
        objection: Return why no update may begin here now, e.g. a person's pause; "": nothing speaks
            against it.
    """

    poll_s: float
    deadline_s: float
    attributes: Callable[[], Awaitable[Mapping[str, str]]]
    objection: Callable[[], str] = _nothing
