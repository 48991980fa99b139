"""A board with lines and a radio in memory: levels are kept, watchers are called, adverts are delivered."""

from asyncio import Event
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from gateway.domain.ports import Advert, AnalogSpec, Failure, InputSpec, PollSpec, Register
from gateway.errors import DriverError


@dataclass
class FakeLine:
    """An output that keeps its level; `history` holds every level that was set."""

    present: bool = False
    broken: bool = False
    history: list[bool] = field(default_factory=list)
    _was_set: Event = field(default_factory=Event, repr=False)

    def level(self) -> bool:
        self._check()
        return self.present

    def set(self, level: bool) -> None:
        self._check()
        self.present = level
        self.history.append(level)
        self._was_set.set()

    async def changed(self, times: int) -> None:
        """Wait until the line was set this often since the beginning."""
        while len(self.history) < times:
            self._was_set.clear()
            await self._was_set.wait()

    def _check(self) -> None:
        if self.broken:
            raise DriverError("led: the line is gone")


class FakeBoard:
    """Raw levels go in by `drive`, advertisements by `hear`."""

    def __init__(self) -> None:
        self.levels: dict[str, bool] = {}
        self.outputs: dict[str, FakeLine] = {}
        self.watched: list[tuple[InputSpec, Callable[[bool], None]]] = []
        self.listening: list[tuple[str, Callable[[Advert], None]]] = []
        self.sampling: list[tuple[AnalogSpec, Callable[[float | Failure], None]]] = []
        self.polling: list[tuple[PollSpec, Callable[[Mapping[Register, int] | Failure], None]]] = []

    async def open(self) -> None:
        pass

    async def run(self) -> None:
        pass

    @contextmanager
    def watch(self, spec: InputSpec, on_level: Callable[[bool], None]) -> Iterator[bool]:
        entry = (spec, on_level)
        self.watched.append(entry)
        try:
            yield self.levels.get(spec.line, False) ^ spec.active_low
        finally:
            self.watched.remove(entry)

    def output(self, line: str) -> FakeLine:
        return self.outputs.setdefault(line, FakeLine())

    @contextmanager
    def listen(self, address: str, on_advert: Callable[[Advert], None]) -> Iterator[None]:
        entry = (address, on_advert)
        self.listening.append(entry)
        try:
            yield
        finally:
            self.listening.remove(entry)

    def button(self, spec: InputSpec, on_level: Callable[[bool], None]) -> AbstractContextManager[bool]:
        return self.watch(spec, on_level)

    def lamp(self, line: str) -> FakeLine:
        return self.output(line)

    @contextmanager
    def sample(self, spec: AnalogSpec, on_sample: Callable[[float | Failure], None]) -> Iterator[None]:
        entry = (spec, on_sample)
        self.sampling.append(entry)
        try:
            yield
        finally:
            self.sampling.remove(entry)

    @contextmanager
    def poll(
        self, spec: PollSpec, on_answer: Callable[[Mapping[Register, int] | Failure], None]
    ) -> Iterator[None]:
        entry = (spec, on_answer)
        self.polling.append(entry)
        try:
            yield
        finally:
            self.polling.remove(entry)

    def parts(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        return {}

    def drive(self, line: str, level: bool) -> None:
        self.levels[line] = level
        for spec, on_level in list(self.watched):
            if spec.line == line:
                on_level(level ^ spec.active_low)

    def hear(self, advert: Advert) -> None:
        for address, on_advert in list(self.listening):
            if address == advert.address:
                on_advert(advert)
