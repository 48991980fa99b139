"""A board in the same process as its building, in the building's own time: for tests, as fast as they run."""

from asyncio import get_running_loop
from collections.abc import Callable
from contextlib import AbstractContextManager

from gateway.domain.ports import Advert, InputSpec, OutputLine
from gateway.errors import DriverError
from gateway.sim.building import Building
from gateway.sim.happening import AdvertSent, ContactChanged, Happening
from gateway.sim.panel import Panel
from gateway.sim.plan import rails


class DirectBoard:
    """A board wired straight to a building, for tests: time goes on only in `advance`, at once.

    Args:
        on_happening: Told of everything that happens, before the gateway is.
    """

    def __init__(
        self, building: Building, on_happening: Callable[[Happening], None] = lambda _happening: None
    ) -> None:
        self.building = building
        self._on_happening = on_happening
        self._panel = Panel()
        self._panel.learn(rails(building.plan), building.contacts)

    @property
    def now_s(self) -> float:
        """The building's time; inside a callback, when that happened."""
        return self.building.now_s

    def advance(self, until_s: float) -> None:
        """Let the building go on to this time; contacts and adverts call back at theirs, in order."""
        while not self.step(until_s):
            pass

    def step(self, until_s: float) -> bool:
        """Go on to the next thing that happens, at most to this time; return whether it is reached."""
        self.deliver()
        reached = self.building.step(until_s)
        self.deliver()
        return reached

    def deliver(self) -> None:
        """Call back for what happened at this moment."""
        while happened := self.building.take():
            for happening in happened:
                self._on_happening(happening)
                if isinstance(happening, ContactChanged):
                    self._panel.change(happening.line, happening.closed)
                elif isinstance(happening, AdvertSent):
                    self._panel.hear(happening.advert)

    async def open(self) -> None:
        """Nothing to connect."""

    async def run(self) -> None:
        """Wait until cancelled; `advance` does the work."""
        await get_running_loop().create_future()

    def watch(self, spec: InputSpec, on_level: Callable[[bool], None], /) -> AbstractContextManager[bool]:
        """Enter with the present level; then call `on_level` for each change."""
        return self._panel.watch(spec, on_level)

    def listen(self, address: str, on_advert: Callable[[Advert], None], /) -> AbstractContextManager[None]:
        """Call `on_advert` for every advertisement of this address."""
        return self._panel.listen(address, on_advert)

    def output(self, line: str, /) -> OutputLine:
        """Take a line for output at the level it has now. Raises DriverError."""
        if line not in self.building.outputs:
            raise DriverError(f'line "{line}" is no output of this building')
        return _DirectOutput(self.building, line)


class _DirectOutput:
    """One output line of a DirectBoard."""

    def __init__(self, building: Building, line: str) -> None:
        self._building = building
        self._line = line

    def level(self) -> bool:
        return self._building.outputs[self._line]

    def set(self, level: bool, /) -> None:
        self._building.set_output(self._line, level)
