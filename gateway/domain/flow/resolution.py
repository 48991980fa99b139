"""Whether the pulses of a meter are fine enough for a flow rule, and how late it is if they are not."""

from gateway.domain.flow.meter import S_PER_MIN, interval_s
from gateway.domain.flow.words import duration
from gateway.domain.site import FlowRuleSpec, MeterSpec

MIN_PULSES = 3
"""A rule needs so many whole pulses of evidence: fewer may come from a reed on the edge of its magnet."""


def delay_s(spec: FlowRuleSpec, meter: MeterSpec) -> float:
    """Return after how long, at the latest, a constant flow above the limit is an alarm or a warning.

    The closing comes `pre_alarm_s` later and with the next pulse.
    """
    pulse_s = interval_s(meter, spec.above_l_per_min)
    return max(spec.for_s + 2.0 * pulse_s, (MIN_PULSES + 1) * pulse_s)


def problem(spec: FlowRuleSpec, meter: MeterSpec) -> str | None:
    """Return why this meter is too coarse for this rule and what to do; None if it is fine enough."""
    pulse_s = interval_s(meter, spec.above_l_per_min)
    if spec.for_s >= MIN_PULSES * pulse_s:
        return None
    finest_l = float(format(spec.for_s * spec.above_l_per_min / S_PER_MIN / MIN_PULSES, ".2g"))
    return (
        f"a pulse of {meter.litres_per_pulse:g} l comes every {duration(pulse_s)} at "
        f"{spec.above_l_per_min:g} l/min, and a rule needs {MIN_PULSES}: it may take up to "
        f"{duration(delay_s(spec, meter))}; take a meter of {finest_l:g} l per pulse or less, "
        f"or give for_s = {MIN_PULSES * pulse_s:.0f} or more"
    )
