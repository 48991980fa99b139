"""A board in the same process as its building, in the building's own time: for tests, as fast as they run."""

from asyncio import get_running_loop
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from gateway.domain.ports import Advert, AnalogSpec, Failure, InputSpec, OutputLine, PollSpec, Register
from gateway.errors import DriverError
from gateway.sim.building import Building
from gateway.sim.happening import AdvertSent, ContactChanged, Happening
from gateway.sim.panel import Panel, input_name
from gateway.sim.plan import rails


@dataclass(slots=True, eq=False)
class _Sampler:
    every_s: float
    source: str
    on_sample: Callable[[float | Failure], None]
    due_s: float


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
        self._samplers: list[_Sampler] = []

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
        due_s = min((sampler.due_s for sampler in self._samplers), default=until_s)
        reached = self.building.step(min(until_s, due_s))
        self.deliver()
        for sampler in [sampler for sampler in self._samplers if sampler.due_s <= self.now_s]:
            sampler.due_s = self.now_s + sampler.every_s
            sampler.on_sample(self.building.ratios[sampler.source])
        return reached and due_s >= until_s

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

    def button(self, spec: InputSpec, on_level: Callable[[bool], None], /) -> AbstractContextManager[bool]:
        """As `watch`."""
        return self.watch(spec, on_level)

    def lamp(self, line: str, /) -> OutputLine:
        """As `output`. Raises DriverError."""
        return self.output(line)

    @contextmanager
    def sample(self, spec: AnalogSpec, on_sample: Callable[[float | Failure], None], /) -> Iterator[None]:
        """Call `on_sample` with each sample. Raises DriverError if there is no such input."""
        source = input_name(spec.adc, spec.channel)
        if source not in self.building.ratios:
            known = ", ".join(self.building.ratios) or "none"
            raise DriverError(f"{source} is no analogue input of this building; it has {known}")
        sampler = _Sampler(spec.every_s, source, on_sample, self.now_s)
        self._samplers.append(sampler)
        try:
            yield
        finally:
            self._samplers.remove(sampler)

    def poll(
        self, spec: PollSpec, _on_answer: Callable[[Mapping[Register, int] | Failure], None], /
    ) -> AbstractContextManager[None]:
        """Raise DriverError: the building has no serial port."""
        raise DriverError(f"there is no [serial.{spec.port}]")

    def parts(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """Nothing runs beside the lines."""
        return {}


class _DirectOutput:
    """One output line of a DirectBoard."""

    def __init__(self, building: Building, line: str) -> None:
        self._building = building
        self._line = line

    def level(self) -> bool:
        return self._building.outputs[self._line]

    def set(self, level: bool, /) -> None:
        self._building.set_output(self._line, level)
