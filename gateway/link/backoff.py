"""How long to wait before the next attempt to connect, pure.

Full jitter: a thousand gateways whose broker comes back do not knock in step
(M. Brooker, "Exponential backoff and jitter", 2015). A session must have lasted five minutes before the
pauses start small again, so a broker that accepts and drops is not hammered.
"""

from dataclasses import dataclass
from typing import Final

STABLE_S: Final = 300.0
_LEAST_S: Final = 0.05
_DOUBLINGS: Final = 32


@dataclass(slots=True)
class Backoff:
    """Pauses grow from `first_s` to `cap_s`.

    Args:
        first_s: Upper end of the first pause.
        cap_s: Upper end of all later ones.
        stable_s: A session that lasted this long makes the next pause a first one again.
        failures: Attempts and short sessions since the last stable one.
        is_refused: The broker did not want us the last time.
    """

    first_s: float = 1.0
    cap_s: float = 300.0
    stable_s: float = STABLE_S
    failures: int = 0
    is_refused: bool = False

    def ended(self, lasted_s: float) -> None:
        """Note that a session of this length ended (0: the attempt failed)."""
        self.failures = 1 if lasted_s >= self.stable_s else self.failures + 1
        self.is_refused = False

    def handed_over(self, lasted_s: float) -> None:
        """Note that a session of this length ended because we wanted another one."""
        self.is_refused = False
        if lasted_s >= self.stable_s:
            self.failures = 0

    def refused(self) -> None:
        """Note that the broker does not want us: only a person can change that, so knock slowly."""
        self.is_refused = True

    def pause_s(self, chance: float) -> float:
        """Return the pause before the next attempt.

        Args:
            chance: Evenly random in 0 to 1.
        """
        doublings = min(max(self.failures - 1, 0), _DOUBLINGS)
        longest_s: float = self.cap_s if self.is_refused else min(self.cap_s, self.first_s * 2**doublings)
        return _LEAST_S + chance * max(longest_s - _LEAST_S, 0.0)
