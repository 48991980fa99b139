"""A token bucket, pure: how many messages may leave now, and when the next one may."""

import math
from dataclasses import dataclass
from typing import Final

_ROUNDING: Final = 1e-6


@dataclass(slots=True)
class Pace:
    """At most `per_s` on average and `burst` at once; `per_s` 0 sets no limit."""

    per_s: float
    burst: float
    _tokens: float = -1.0
    _at_s: float = 0.0

    def allowance(self, now_s: float) -> int | None:
        """Return how many may leave now; None without a limit."""
        if not self.per_s:
            return None
        if self._tokens < 0:
            self._tokens = self.burst
        else:
            self._tokens = min(self.burst, self._tokens + (now_s - self._at_s) * self.per_s)
        self._at_s = now_s
        return int(self._tokens + _ROUNDING)

    def spend(self, count: int) -> None:
        """Note that so many left."""
        if self.per_s:
            self._tokens = max(0.0, self._tokens - count)

    def wait_s(self) -> float:
        """Return the time until the next one may leave, as of the last `allowance`."""
        if not self.per_s:
            return 0.0
        return max(0.0, (math.floor(self._tokens) + 1 - self._tokens) / self.per_s)
