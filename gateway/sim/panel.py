"""The building's lines and radio as a board sees them: contacts become levels, changes become calls."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, TypeAlias

from gateway.domain.ports import Advert, InputSpec
from gateway.errors import DriverError

Rail: TypeAlias = Literal["ground", "supply"]
"""Where the other wire of a contact goes: a closed contact pulls its line there."""


class Panel:
    """What a board knows of the building, and who wants to hear of it."""

    def __init__(self) -> None:
        self._rails: Mapping[str, Rail] = {}
        self._contacts: dict[str, bool] = {}
        self._watchers: dict[str, list[tuple[InputSpec, Callable[[bool], None]]]] = {}
        self._listeners: dict[str, list[Callable[[Advert], None]]] = {}

    def learn(self, rails: Mapping[str, Rail], contacts: Mapping[str, bool]) -> None:
        """Take over the present contacts; tell the watchers of each line that differs from what they know."""
        self._rails = rails
        changed = {
            line: closed for line, closed in contacts.items() if self._contacts.get(line) is not closed
        }
        for line, closed in changed.items():
            self.change(line, closed)

    def change(self, line: str, closed: bool) -> None:
        """A contact closed or opened."""
        self._contacts[line] = closed
        for spec, on_level in tuple(self._watchers.get(line, ())):
            on_level(self._level(spec))

    def hear(self, advert: Advert) -> None:
        """An advertisement arrived."""
        for on_advert in tuple(self._listeners.get(advert.address, ())):
            on_advert(advert)

    @contextmanager
    def watch(self, spec: InputSpec, on_level: Callable[[bool], None]) -> Iterator[bool]:
        """Enter with the present level, call on each change. Raises DriverError."""
        if spec.line not in self._contacts:
            known = ", ".join(self._contacts) or "none yet: it is not connected"
            raise DriverError(f'line "{spec.line}" is no input of this building; it has {known}')
        watcher = (spec, on_level)
        self._watchers.setdefault(spec.line, []).append(watcher)
        try:
            yield self._level(spec)
        finally:
            self._watchers[spec.line].remove(watcher)

    @contextmanager
    def listen(self, address: str, on_advert: Callable[[Advert], None]) -> Iterator[None]:
        """Call for every advertisement of this address."""
        self._listeners.setdefault(address, []).append(on_advert)
        try:
            yield
        finally:
            self._listeners[address].remove(on_advert)

    def _level(self, spec: InputSpec) -> bool:
        to_supply = self._rails[spec.line] == "supply"
        if self._contacts[spec.line]:
            high = to_supply
        else:
            # Without a bias of its own the line has a resistor on the board, against the contact.
            high = {"up": True, "down": False}.get(spec.bias, not to_supply)
        return high is not spec.active_low


def input_name(adc: str, channel: int) -> str:
    """Return the name of a converter's input: "loops/0"."""
    return f"{adc}/{channel}"
