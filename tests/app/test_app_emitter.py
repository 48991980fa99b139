"""Events reach the core in order, at once, and never two at a time."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.app.emitter import Emitter
from gateway.domain.commands import Command, SetCoil
from gateway.domain.events import AdapterFailed, AdapterRecovered, DeadlinePassed, Event
from gateway.domain.model import Coil

CLOSE = SetCoil("main", Coil.CLOSE, energised=True)


class Brain:
    """A core that answers every event with one command and wants deadlines as a test says."""

    def __init__(self, *deadlines_s: float) -> None:
        self.handled: list[Event] = []
        self.deadlines_s = list(deadlines_s)
        self.served = asyncio.Event()

    def handle(self, event: Event, now_s: float) -> list[Command]:
        if isinstance(event, DeadlinePassed):
            assert now_s >= self.deadlines_s.pop(0)
            self.served.set()
        self.handled.append(event)
        return [CLOSE]

    def next_deadline_s(self) -> float | None:
        return self.deadlines_s[0] if self.deadlines_s else None


class Rig:
    """An emitter whose commands are kept."""

    def __init__(self, brain: Brain) -> None:
        self.executed: list[Command] = []
        self.failures: list[Exception] = []
        self.emitter = Emitter(brain, self.execute, self.failures.append)

    def execute(self, commands: Sequence[Command]) -> None:
        self.executed += commands


async def test_commands_are_executed_when_emit_returns():
    rig = Rig(Brain())
    rig.emitter.begin(list)

    rig.emitter.emit(AdapterFailed("a", "b"))

    assert rig.executed == [CLOSE]


async def test_events_before_the_start_wait_for_it():
    brain = Brain()
    rig = Rig(brain)

    rig.emitter.emit(AdapterFailed("a", "b"))
    assert brain.handled == []

    rig.emitter.begin(list)
    assert brain.handled == [AdapterFailed("a", "b")]


async def test_event_caused_by_a_command_waits_for_the_others():
    brain = Brain()
    order: list[str] = []

    def execute(commands: Sequence[Command]) -> None:
        order.append(f"begin {len(brain.handled)}")
        if len(brain.handled) == 1:
            emitter.emit(AdapterRecovered("a"))
        order.append(f"end {len(brain.handled)}")

    emitter = Emitter(brain, execute, lambda _error: None)
    emitter.begin(list)
    order.clear()

    emitter.emit(AdapterFailed("a", "b"))

    assert order == ["begin 1", "end 1", "begin 2", "end 2"]


async def test_deadlines_are_served_in_their_order():
    now_s = asyncio.get_running_loop().time()
    brain = Brain(now_s + 0.01, now_s + 0.02)
    rig = Rig(brain)
    rig.emitter.begin(list)

    async with asyncio.timeout(5):
        while brain.deadlines_s:
            brain.served.clear()
            await brain.served.wait()

    assert brain.handled == [DeadlinePassed(), DeadlinePassed()]


async def test_earlier_deadline_replaces_a_later_one():
    now_s = asyncio.get_running_loop().time()
    brain = Brain(now_s + 60)
    rig = Rig(brain)
    rig.emitter.begin(list)

    brain.deadlines_s.insert(0, now_s + 0.01)
    rig.emitter.emit(AdapterFailed("a", "b"))
    async with asyncio.timeout(5):
        await brain.served.wait()

    assert brain.handled[-1] == DeadlinePassed()
    rig.emitter.stop()


async def test_overdue_core_is_noticed():
    now_s = asyncio.get_running_loop().time()
    rig = Rig(Brain(now_s - 5))

    assert rig.emitter.overdue_s() >= 5


async def test_core_that_fails_ends_everything():
    class Broken(Brain):
        def handle(self, event: Event, now_s: float) -> list[Command]:
            super().handle(event, now_s)
            raise ZeroDivisionError

    rig = Rig(Broken())
    rig.emitter.begin(list)

    with pytest.raises(ZeroDivisionError):
        rig.emitter.emit(AdapterFailed("a", "b"))
    rig.emitter.emit(AdapterFailed("a", "b"))

    assert [type(failure) for failure in rig.failures] == [ZeroDivisionError]
