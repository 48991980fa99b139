"""Keys of the live view: which question stands in the footer, and what a key answers.

    idle --a or c--> choosing (one of several) --1..9--> confirming --y--> idle, and the action
      ^                  |                                    |
      +------- any other key gives up the question -----------+

An actuation is never one key away.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

KEYS = "q quit   a acknowledge   c close a valve"
_MOST = 9


class Verb(StrEnum):
    """What a person can do here."""

    ACKNOWLEDGE = "acknowledge"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Action:
    """What a person has confirmed."""

    verb: Verb
    target: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """The question that stands: none, which of `options`, or whether really (one option)."""

    verb: Verb | None = None
    options: tuple[str, ...] = ()

    def text(self, keys: str = KEYS) -> str:
        """Return the footer."""
        if self.verb is None:
            return f" {keys}"
        if len(self.options) == 1:
            return f" {self.verb} {self.options[0]}? y = yes, any other key = no"
        choices = "   ".join(f"{number} {option}" for number, option in enumerate(self.options, 1))
        return f" {self.verb} which?  {choices}"


IDLE = Prompt()


def press(prompt: Prompt, key: str, view: Mapping[str, Any] | None) -> tuple[Prompt, Action | str | None]:
    """Return the next question, and what the key brought: an action, a remark, or nothing."""
    if prompt.verb is None:
        return _begin(key, view)
    if len(prompt.options) == 1:
        return IDLE, Action(prompt.verb, prompt.options[0]) if key in ("y", "Y") else "nothing done"
    if key.isdecimal() and 1 <= int(key) <= len(prompt.options):
        return Prompt(prompt.verb, (prompt.options[int(key) - 1],)), None
    return IDLE, "nothing done"


def _begin(key: str, view: Mapping[str, Any] | None) -> tuple[Prompt, str | None]:
    verb = {"a": Verb.ACKNOWLEDGE, "c": Verb.CLOSE}.get(key)
    if verb is None or view is None:
        return IDLE, None
    options = _options(verb, view)
    if not options:
        return IDLE, f"nothing to {verb}"
    return Prompt(verb, tuple(options[:_MOST])), None


def _options(verb: Verb, view: Mapping[str, Any]) -> list[str]:
    if verb is Verb.ACKNOWLEDGE:
        return [alarm["id"] for alarm in view["alarms"] if alarm["state"] != "acknowledged"]
    moving = ("closing", "out_of_service")
    return [valve_id for valve_id, valve in view["valves"].items() if valve["state"] not in moving]
