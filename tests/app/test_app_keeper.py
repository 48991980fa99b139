"""Who writes down what came of trials: told from any thread, once for each, and never forgetful."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.app.clock import WallClock
from gateway.app.credentials import Look, Verdict
from gateway.app.keeper import Keeper
from gateway.errors import IdentityError
from gateway.identity.slots import Slots
from tests.fakes.waiting import until


@dataclass
class Line:
    """A link that is down."""

    is_up: bool = False
    asked: list[str] = field(default_factory=list)

    def hand_over(self) -> None:
        self.asked.append("hand over")

    def retry(self) -> None:
        self.asked.append("retry")


@dataclass
class Pairs:
    """A folder that cannot always be read."""

    problems: int = 0
    problem: str = ""
    looks: int = 0

    def look(self) -> Look:
        self.looks += 1
        if self.looks <= self.problems:
            raise IdentityError("no")
        return Look(is_other=False, is_new=False, current=None)


@pytest.fixture
async def keeper(tmp_path: Path) -> Keeper:
    return Keeper(Slots(tmp_path / "identity"), WallClock(), lambda _event: None)


async def test_a_nudge_while_the_folder_cannot_be_read_is_remembered(keeper: Keeper):
    line, pairs = Line(), Pairs(problems=1)
    keeper.nudge()
    with pytest.raises(IdentityError):
        await keeper.run(pairs, line)  # type: ignore[arg-type]
    running = asyncio.get_running_loop().create_task(keeper.run(pairs, line))  # type: ignore[arg-type]
    await until(lambda: line.asked)
    running.cancel()
    assert line.asked == ["retry"]


async def test_a_decision_from_another_thread_wakes_the_keeper(keeper: Keeper):
    loop, line, pairs = asyncio.get_running_loop(), Line(), Pairs()
    running = loop.create_task(keeper.run(pairs, line))  # type: ignore[arg-type]
    await until(lambda: pairs.looks == 1)
    loop.set_debug(True)
    await asyncio.to_thread(keeper.decide, Verdict(keeper._slots.pair("a"), "a mark", "no"))
    await until(lambda: pairs.looks == 2)
    loop.set_debug(False)
    running.cancel()


async def test_what_is_decided_with_each_session_waits_once_for_a_full_disk(keeper: Keeper):
    for _ in range(1000):
        keeper.decide(Verdict(keeper._slots.pair("a"), "a mark"))
    assert len(keeper._verdicts) == 1
