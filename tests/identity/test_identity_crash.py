"""Killed, out of space, on a dying card, without power: at every single step of a renewal and its promotion.

After each there must be a pair that works, and the next renewal must complete. The steps are not listed here:
they are counted where they happen, so a new one is met as well.
"""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.identity.slots import Slots
from tests.fakes import power
from tests.fakes.enrolled import enrolled, loads, shape, working
from tests.fakes.est_cloud import Cloud
from tests.fakes.rotating import Stage

NEVER = 1_000_000
SEEDS = 4


class Scene:
    """An enrolled gateway that can be put back to what it was."""

    def __init__(self, folder: Path, cloud: Cloud, stage: Stage, *prepared_by: str) -> None:
        self._before, self.folder, self.stage = folder / "before", folder / "identity", stage
        enrolled(self._before, cloud)
        shutil.copytree(self._before, self.folder, symlinks=True)
        stage.warm_up("rotate", self.folder)
        for script in prepared_by:
            assert stage.run(script, self._before).error == ""
        self.old = working(Slots(self._before))
        self._judged: set[object] = set()

    def put_back(self) -> Slots:
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self._before, self.folder, symlinks=True)
        return Slots(self.folder)

    def steps(self, script: str) -> list[str]:
        """Return every step of a run in which nothing goes wrong."""
        self.put_back()
        end = self.stage.run(script, self.folder, "once", NEVER)
        assert (end.status, end.error) == (0, "")
        return end.steps

    def judge(self, where: str) -> None:
        """A pair works, and the next renewal completes: from each state once, however often it is met."""
        state = shape(self.folder)
        slots = Slots(self.folder)
        in_use = working(slots)
        for other in (slots.trial(), slots.spare()):  # what is shown as a pair is one
            assert other is None or loads(other, slots) != in_use, where
        if state in self._judged:
            return
        self._judged.add(state)
        end = self.stage.run("rotate", self.folder)
        assert (end.status, end.error) == (0, ""), where
        assert working(slots) not in (self.old, in_use), where
        assert slots.trial() is None, where


def test_the_steps_that_are_counted_are_those_of_a_renewal(folder: Path, cloud: Cloud, stage: Stage):
    steps = Scene(folder, cloud, stage, "rotate").steps("rotate")

    for wanted in ("create b/.key.pem.new", "fsync b", "os.rename b/cert.pem", "os.symlink .current.new"):
        assert wanted in [step.replace("a/", "b/").replace("fsync a", "fsync b") for step in steps]
    assert len(steps) > 40


@pytest.mark.parametrize("script", ["rotate", "reject"])
def test_killed_at_any_step_it_leaves_a_pair_that_works(
    folder: Path, cloud: Cloud, stage: Stage, script: str
):
    scene = Scene(folder, cloud, stage, *(["renew"] if script == "reject" else ["rotate"]))
    steps = scene.steps(script)
    for at, step in enumerate(steps):
        scene.put_back()
        assert stage.run(script, scene.folder, "kill", at).status == -signal.SIGKILL, step

        scene.judge(f"{at} {step}")


@pytest.mark.parametrize("fault", ["full", "dead", "once"])
def test_a_disk_that_refuses_at_any_step_is_one_line_and_leaves_a_pair_that_works(
    folder: Path, cloud: Cloud, stage: Stage, fault: str
):
    scene = Scene(folder, cloud, stage, "rotate")
    told = 0
    for at, step in enumerate(scene.steps("rotate")):
        scene.put_back()
        end = stage.run("rotate", scene.folder, fault, at)
        # what is kept for people only, and drafts that cannot be removed, need not stop a renewal
        assert end.status == 0, (step, end)
        assert "\n" not in end.error
        assert fault == "once" or end.error or at > 0, step
        told += bool(end.error)
        left = [*scene.folder.rglob(".*.new")]
        assert left == [] or fault != "full", (step, left)  # a draft would take the last of the space

        scene.judge(f"{at} {step}")
    assert told > 10


def test_an_interrupted_rejection_never_puts_the_refused_pair_into_use(
    folder: Path, cloud: Cloud, stage: Stage
):
    scene = Scene(folder, cloud, stage, "renew")
    for at in range(len(scene.steps("reject"))):
        scene.put_back()
        stage.run("reject", scene.folder, "kill", at)

        assert working(Slots(scene.folder)) == scene.old


# --- power cuts -----------------------------------------------------------------------------------------

POLICIES: dict[str, Callable[[power.Picture], list[dict[str, bytes | None]]]] = {
    "only what was synchronised": lambda cut: [cut.left(0, 0)],
    "all names, no content that was not synchronised": lambda cut: [cut.left(1, 0)],
    "content, but no names that were not synchronised": lambda cut: [cut.left(0, 1)],
    "any mixture": lambda cut: [cut.left(0.5, 0.5, seed) for seed in range(SEEDS)],
}


@pytest.mark.parametrize("policy", POLICIES)
def test_a_power_cut_at_any_step_leaves_a_pair_that_works(
    folder: Path, cloud: Cloud, stage: Stage, policy: str
):
    scene = Scene(folder, cloud, stage, "rotate")
    scene.put_back()
    seen = set()
    for at, cut in enumerate(stage.pictures("rotate", scene.folder)):
        for left in POLICIES[policy](cut):
            state = tuple(left.items())
            if state in seen:
                continue
            seen.add(state)
            shutil.rmtree(scene.folder)
            power.lay_down(left, scene.folder)

            scene.judge(f"{policy}, before step {at}")
    assert len(seen) >= 8


def test_once_promoted_a_pair_stays_in_use_through_a_power_cut(folder: Path, cloud: Cloud, stage: Stage):
    scene = Scene(folder, cloud, stage, "rotate")
    scene.put_back()
    last = stage.pictures("rotate", scene.folder)[-1]
    new = working(Slots(scene.folder))

    shutil.rmtree(scene.folder)
    power.lay_down(last.left(0, 0), scene.folder)

    assert working(Slots(scene.folder)) == new != scene.old


# --- the model of the disk is no nod -------------------------------------------------------------------


def test_the_model_loses_what_was_not_synchronised(tmp_path: Path):
    (tmp_path / "old").write_bytes(b"1")
    disk = power.Disk(tmp_path)
    (tmp_path / "old").write_bytes(b"2")
    (tmp_path / "new").write_bytes(b"3")
    (tmp_path / "link").symlink_to("old")
    cut = disk.picture()

    assert cut.left(0, 0) == {"": None, "old": b"1"}
    assert cut.left(1, 0) == {"": None, "old": b"1", "new": b"", "link": b"->old"}
    assert cut.left(1, 1) == {"": None, "old": b"2", "new": b"3", "link": b"->old"}


def test_the_model_keeps_what_was_synchronised_and_knows_a_reused_inode(tmp_path: Path):
    disk = power.Disk(tmp_path)
    for content in (b"1", b"2"):
        (tmp_path / "draft").write_bytes(content)
        with (tmp_path / "draft").open("rb") as file:
            disk.synced(file.fileno())
        (tmp_path / "draft").rename(tmp_path / "kept")
        disk.picture()
    assert disk.picture().left(0, 0) == {"": None}

    opened = os.open(tmp_path, os.O_RDONLY)
    disk.synced(opened)
    os.close(opened)

    assert disk.picture().left(0, 0) == {"": None, "kept": b"2"}
    (tmp_path / "kept").unlink()
    disk.picture()
    (tmp_path / "kept").write_bytes(b"")  # perhaps the same inode
    assert disk.picture().left(0, 0) == {"": None, "kept": b"2"}
