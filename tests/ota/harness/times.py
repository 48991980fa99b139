"""Key figures of the stories: said at once, and kept for docs/performance.md."""

from tests.ota.harness.works import CACHE
from tests.vm.wires.times import Times

_times = Times(CACHE)


def note(what: str, seconds: float) -> None:
    """Take it down in var/ota/times.md."""
    _times.note(what, seconds)
