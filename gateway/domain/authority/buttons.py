"""All buttons of a site: what a press does to the valves, and what the light answers."""

from collections.abc import Callable, Iterator, Mapping

from gateway.domain.alarm.table import AlarmTable
from gateway.domain.authority import button, presses
from gateway.domain.authority.arbiter import Arbiter
from gateway.domain.authority.button import Button
from gateway.domain.authority.requests import MEMORY_LOST
from gateway.domain.commands import Record
from gateway.domain.effects import Effect, Why
from gateway.domain.events import ButtonChanged
from gateway.domain.model import Actor, ActorKind, Json, LedPattern
from gateway.domain.site import Site

_DENIED_SHOWN_S = 3.0


class Buttons:
    """Turns edges into presses, and presses into what the valves do.

    Args:
        site: Which buttons there are.
        arbiters: Valves by id.
        alarms: Of the site.
        why: Makes a cause with a correlation id of its own.
    """

    def __init__(
        self,
        site: Site,
        arbiters: Mapping[str, Arbiter],
        alarms: AlarmTable,
        why: Callable[[Actor, str], Why],
    ) -> None:
        self._arbiters = arbiters
        self._alarms = alarms
        self._why = why
        self._buttons = {spec.id: Button(spec, site.override) for spec in site.buttons.values()}
        self._denied_until_s: float | None = None

    def change(self, event: ButtonChanged, now_s: float) -> list[Effect]:
        """Take an edge or a level; do what a press that ends with it means."""
        button_id, before = event.button_id, self._buttons.get(event.button_id)
        if before is None:
            return []
        if not event.is_edge:
            self._buttons[button_id], effects = button.found(before, event.pressed, now_s)
            return effects
        self._buttons[button_id], press, effects = button.change(before, event.pressed, now_s)
        if press is None:
            return effects
        valve_ids = before.spec.valves or tuple(self._arbiters)
        arbiters = [self._arbiters[valve_id] for valve_id in valve_ids]
        latched = any(arbiter.authority.leaks for arbiter in arbiters)
        latched = latched or self._alarms.is_latched(MEMORY_LOST.alarm_id)
        why = self._why(Actor(ActorKind.BUTTON, button_id), f"{press} press")
        motion = presses.press(arbiters, press, why, now_s, latched=latched)
        return effects + (self._deny(why, now_s) if motion is None else motion)

    def tick(self, now_s: float) -> list[Effect]:
        """Notice how long a button is held."""
        effects: list[Effect] = []
        for button_id, held in self._buttons.items():
            self._buttons[button_id], changes = button.tick(held, now_s)
            effects += changes
        if self._denied_until_s is not None and now_s >= self._denied_until_s:
            self._denied_until_s = None
        return effects

    def deadlines(self) -> Iterator[float | None]:
        """Yield when `tick` is wanted."""
        for held in self._buttons.values():
            yield button.deadline_s(held)
        yield self._denied_until_s

    def pressed(self) -> LedPattern | None:
        """Return what to show of the button that is held now."""
        return next((p for held in self._buttons.values() if (p := button.feedback(held)) is not None), None)

    def is_denied(self, now_s: float) -> bool:
        """Tell whether a press has just been refused."""
        return self._denied_until_s is not None and now_s < self._denied_until_s

    def _deny(self, why: Why, now_s: float) -> list[Effect]:
        self._denied_until_s = now_s + _DENIED_SHOWN_S
        detail: dict[str, Json] = {"problem": "a leak alarm is latched: opening needs the long press"}
        subject = f"button/{why.actor.name}"
        return [Record("override.denied", subject, why.actor, why.cause, why.correlation_id, detail)]
