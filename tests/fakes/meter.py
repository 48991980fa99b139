"""A water meter with a reed contact: water in, pulses out at the very moment."""

from collections.abc import Iterator


class ReedMeter:
    """Counts volume and tells when its contact closes.

    Args:
        litres_per_pulse: What turns the magnet once.
        phase: Which part of a pulse has passed at the beginning, 0 to 1.
    """

    def __init__(self, litres_per_pulse: float, phase: float = 0.0) -> None:
        self.litres_per_pulse = litres_per_pulse
        self.passed_l = 0.0
        self.pulses = 0
        self._phase_l = phase * litres_per_pulse

    def run(self, l_per_min: float, begin_s: float, duration_s: float) -> Iterator[float]:
        """Let water flow; yield the times of the pulses. All must be taken before the next call."""
        begin_l, rate = self.passed_l, l_per_min / 60.0
        while rate > 0:
            due_l = (self.pulses + 1) * self.litres_per_pulse - self._phase_l
            at_s = begin_s + (due_l - begin_l) / rate
            if at_s > begin_s + duration_s:
                break
            self.pulses += 1
            yield at_s
        self.passed_l = begin_l + rate * duration_s
