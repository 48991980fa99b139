"""Is now a time to be away? What speaks against an installation or a restart, pure, from what is to be seen.

For as long as a restart takes nobody closes a valve, ends a stroke or counts how long water has been
running. So it waits while the building needs the gateway: water, a valve on its way, a leak or a broken flow
rule that no person has reset yet (a closed valve with a latched alarm is no peace), a rule that would close
soon, a walk test, and a person at the button whose override would end with the restart (a hold survives it,
so it does not count). A download only costs the machine's time: it waits for water and valves on their way.

An alarm that the cloud has not been told yet holds up, too, but not for ever: it is on disk and survives a
restart. It counts while the cloud can be reached, or could be within the last hour, and a day at most.
"""

from collections.abc import Iterator, Mapping

from gateway.domain.model import Json
from gateway.domain.update.words import Step

SOON_S = 600.0
"""A flow rule that would close within this time does not lose what it has counted."""

GONE_S = 3600.0
"""The cloud has been away this long: nobody is told sooner because we wait."""

UNDELIVERED_MAX_S = 86_400.0
"""Alarms that do not leave although the cloud is there hold nothing up any longer."""

_MOVING = frozenset({"closing", "opening", "testing"})
_NOT_OVER = frozenset({"leak", "flow", "fail-to-close", "still-flowing"})
_VALID_S: Mapping[Step, float] = {Step.DOWNLOAD: 3600.0, Step.INSTALL: 1800.0, Step.REBOOT: 300.0}


class Lease:
    """A word that nothing begins that can wait: while it runs, valves are not exercised.

    It ends by itself. Protection does not ask for it: a leak closes its valves whatever was promised.
    """

    def __init__(self) -> None:
        self._ends_s = float("-inf")

    def grant(self, step: Step, now_s: float) -> float:
        """Begin, or begin anew; return for how long it is valid, seconds."""
        valid_s = _VALID_S[step]
        if step is not Step.DOWNLOAD:
            self._ends_s = now_s + valid_s
        return valid_s

    def end(self) -> None:
        """Give it up early."""
        self._ends_s = float("-inf")

    def holds(self, now_s: float) -> bool:
        """Tell whether it runs."""
        return now_s < self._ends_s

    def left_s(self, now_s: float) -> float:
        """Return for how long it still runs; 0 if it does not."""
        return max(0.0, self._ends_s - now_s)

    def not_before(self, due_s: float) -> float:
        """Return when what is due then may begin."""
        return max(due_s, self._ends_s)


def reasons(site: Mapping[str, Json], step: Step) -> list[str]:
    """Return why `step` has to wait, one phrase each; nothing if it need not.

    Args:
        site: As `Core.view` returns it.
        step: What is to be done.
    """
    found = [*_water(site), *_strokes(site)]
    if step is not Step.DOWNLOAD:
        found += [*_alarms(site), *_rules(site), *_persons(site)]
    return found


def undelivered(queued: int, *, gone_s: float | None, waited_s: float) -> list[str]:
    """Return the reason that alarms give which the cloud has not been told yet, if they still do.

    Args:
        queued: So many alarm messages wait.
        gone_s: The cloud has been away for so long; 0 while it is there, None if there is to be none.
        waited_s: Some have been waiting whenever somebody asked in the last so many seconds.
    """
    if not queued or gone_s is None or gone_s >= GONE_S or waited_s >= UNDELIVERED_MAX_S:
        return []
    return [f"{queued} alarm message{'s have' if queued > 1 else ' has'} not reached the cloud yet"]


# --- one part each --------------------------------------------------------------------------------------


def _water(site: Mapping[str, Json]) -> Iterator[str]:
    for name, zone in _things(site, "zones"):
        wet = zone.get("wet")
        if wet and isinstance(wet, list):
            yield f"zone {name} is wet: {', '.join(map(str, wet))}"
        elif zone.get("state") in ("wet", "confirming"):
            yield f"zone {name} is wet"


def _strokes(site: Mapping[str, Json]) -> Iterator[str]:
    for name, valve in _things(site, "valves"):
        if valve.get("state") in _MOVING:
            yield f"valve {name} is {valve['state']}"


def _alarms(site: Mapping[str, Json]) -> Iterator[str]:
    alarms = site.get("alarms")
    for alarm in alarms if isinstance(alarms, list) else ():
        if not isinstance(alarm, dict) or alarm.get("kind") not in _NOT_OVER:
            continue
        if alarm.get("active") is True:
            yield f"alarm {alarm.get('id')} is not over"
        elif alarm.get("latched") is True:
            yield f"alarm {alarm.get('id')} has not been reset"


def _rules(site: Mapping[str, Json]) -> Iterator[str]:
    for name, rule in _things(site, "flow_rules"):
        if rule.get("action") != "close":
            continue
        closes_in_s, above_s, for_s = rule.get("closes_in_s"), rule.get("above_s"), rule.get("for_s")
        if not isinstance(closes_in_s, int | float):
            if not isinstance(above_s, int | float) or not isinstance(for_s, int | float):
                continue
            if rule.get("state") != "counting":
                continue
            closes_in_s = max(0.0, for_s - above_s)
        if closes_in_s <= SOON_S:
            yield f"flow rule {name} closes in {closes_in_s:.0f} s unless the water stops"


def _persons(site: Mapping[str, Json]) -> Iterator[str]:
    for name, zone in _things(site, "zones"):
        if zone.get("state") == "test":
            yield f"a walk test of zone {name} runs"
    for name, valve in _things(site, "valves"):
        override = valve.get("override")
        mode = override.get("mode") if isinstance(override, dict) else None
        if mode == "countdown":
            yield f"valve {name} is held open against a leak"
        elif mode == "timed":
            yield f"somebody at the button holds valve {name}"


def _things(site: Mapping[str, Json], key: str) -> Iterator[tuple[str, Mapping[str, Json]]]:
    things = site.get(key)
    for name, thing in things.items() if isinstance(things, dict) else ():
        if isinstance(thing, dict):
            yield name, thing
