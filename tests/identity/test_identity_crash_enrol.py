"""Killed or without power at every single step of the first enrolment: the same token brings it to its end.

What else enrolment promises is in test_identity_enrol; here are a real SIGKILL and a model of the disk.
"""

import os
import shutil
import signal
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from gateway.identity.slots import Slots
from tests.fakes import power
from tests.fakes.enrolled import shape, working
from tests.fakes.est_cloud import Cloud
from tests.fakes.issuer import public_pem
from tests.fakes.rotating import End, Stage


class Newcomer:
    """A machine with a token."""

    def __init__(self, folder: Path, cloud: Cloud, stage: Stage) -> None:
        self.folder, self._cloud, self._stage = folder / "identity", cloud, stage
        self._judged: set[object] = set()

    def begin_anew(self) -> None:
        """Forget everything, here and there."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700)
        self._cloud.issued.clear()
        self.token = self._cloud.token(secret=os.urandom(13).hex().translate(str.maketrans("0189", "wxyz")))

    def warm_up(self) -> None:
        """Enrol and renew once where nothing is counted."""
        self._stage.warm_up("begin", self.folder, url=self._cloud.url, token=self.token)
        self._stage.warm_up("rotate", self.folder)

    def enrol(self, fault: str = "none", at: int = -1) -> End:
        return self._stage.run("begin", self.folder, fault, at, url=self._cloud.url, token=self.token)

    def pictures(self) -> list[power.Picture]:
        return self._stage.pictures("begin", self.folder, url=self._cloud.url, token=self.token)

    def mark_when_asked(self) -> None:
        """Let a file in the folder show from when on the token has been used."""

        def before(handler: BaseHTTPRequestHandler) -> bool:
            if handler.path.endswith("simpleenroll"):
                (self.folder / "asked").touch()
            return False

        self._cloud.before = before

    def unused(self) -> None:
        """Take back the use of the token."""
        self._cloud.before = lambda _: False
        self._cloud.issued.clear()
        self._cloud.token(secret=self.token.split(".")[1])

    def judge(self, where: str, *, completely: bool) -> None:
        """Not enrolled, or wholly; the token completes it; and the next renewal completes, too.

        From each state once, however often it is met.
        """
        state = (shape(self.folder), bool(self._cloud.issued))
        slots = Slots(self.folder)
        in_use = working(slots) if slots.current() else None
        if state in self._judged:
            return
        self._judged.add(state)
        end = self.enrol()
        assert (end.status, end.error) == (0, ""), where
        assert in_use in (None, working(slots)), where
        assert slots.cloud is not None, where
        assert slots.command_key_file.read_bytes(), where
        # one key: a cloud that has given a certificate for the token gives it to no other
        assert len({public_pem(one.public_key()) for one in self._cloud.issued}) == 1, where  # type: ignore[arg-type]
        if completely:
            end = self._stage.run("rotate", self.folder)
            assert (end.status, end.error) == (0, ""), where
            working(slots)
            del self._cloud.issued[1:]


@pytest.fixture
def newcomer(folder: Path, cloud: Cloud, stage: Stage) -> Newcomer:
    made = Newcomer(folder, cloud, stage)
    made.begin_anew()
    made.warm_up()
    made.begin_anew()
    return made


def test_killed_at_any_step_of_the_first_enrolment_the_same_token_completes_it(newcomer: Newcomer):
    steps = newcomer.enrol("once", 1_000_000).steps
    assert len(steps) > 40
    for at, step in enumerate(steps):
        newcomer.begin_anew()
        assert newcomer.enrol("kill", at).status == -signal.SIGKILL, step

        newcomer.judge(f"{at} {step}", completely=at % 4 == 0)


@pytest.mark.parametrize("kept", [(0, 0), (1, 0), (0.5, 0.5)], ids=["synchronised", "names", "mixture"])
def test_a_power_cut_at_any_step_of_the_first_enrolment_costs_no_token(
    newcomer: Newcomer, kept: tuple[float, float]
):
    newcomer.mark_when_asked()
    pictures = newcomer.pictures()
    asked = ["asked" in cut.nodes[0].names for cut in pictures]
    assert 10 < asked.index(True) < len(asked) - 10
    for at in [number for number, used in enumerate(asked) if used] + [asked.index(True) - 1, 5, 0]:
        shutil.rmtree(newcomer.folder)
        power.lay_down(pictures[at].left(*kept, seed=at), newcomer.folder)
        if not asked[at]:
            newcomer.unused()

        newcomer.judge(f"{kept}, before step {at}", completely=at % 4 == 0)
