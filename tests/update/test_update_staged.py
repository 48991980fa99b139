"""A reboot into what was installed stages it once more: a power cut forgets that it was to be tried."""

from pathlib import Path

import pytest

from gateway.domain.update.model import Code
from gateway.errors import UpdateError
from gateway.update.apply.protocol import Request
from gateway.update.apply.rauc import Slot, Slots
from gateway.update.apply.serve import Applier, Surroundings
from gateway.update.apply.system import Places, System
from tests.update.test_system_kind import Slotted


class Armed(Slotted):
    """Also knows which slot is tried next."""

    async def try_other(self) -> None:
        self.seen.append("armed")


class Rig:
    def __init__(self, home: Path) -> None:
        self.rauc = Armed(home / "trial")
        self.other("ok", "1.1.0")
        tryboot = home / "tryboot"
        tryboot.write_text(f"#!/bin/sh\ntest -e {home}/trial\n")
        tryboot.chmod(0o755)
        places = Places(home / "system.conf", home / "image", tryboot, home / "last")
        for file in (places.settings, places.image):
            file.write_text("version=1.0.0\ncompatible=reed-test\n")
        self.applier = Applier(
            home,
            lambda: None,  # type: ignore[arg-type,return-value]
            {"os": System(home, self.rauc, places)},
            Surroundings(
                "reed-gateway",
                frozenset({"os"}),
                lambda _: (),
                lambda: self.rauc.seen.append("reboot"),
                home / "spool",
            ),
        )

    def other(self, status: str, version: str) -> None:
        slot = Slot("rootfs.1", "B", False, status != "pending", status, version)
        self.rauc.slots_now = Slots((self.rauc.slots_now.all[0], slot), "A")

    def reboot(self, into: str) -> list[str]:
        self.applier.do(Request("reboot", {"into": into}), lambda _: None)
        return self.rauc.seen


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_a_reboot_into_the_new_system_arms_it_first(rig: Rig):
    assert rig.reboot("new") == ["armed", "reboot"]


def test_a_reboot_away_from_a_trial_arms_nothing(rig: Rig):
    assert rig.reboot("former") == ["reboot"]


@pytest.mark.parametrize(("status", "version"), [("pending", ""), ("failed", "1.1.0"), ("", "")])
def test_a_slot_that_is_not_whole_is_not_tried(rig: Rig, status: str, version: str):
    rig.other(status, version)
    with pytest.raises(UpdateError, match="not whole"):
        rig.reboot("new")
    assert rig.rauc.seen == []


def test_the_system_that_was_left_for_a_newer_one_is_not_tried_again(rig: Rig):
    rig.other("ok", "0.9.0")
    with pytest.raises(UpdateError, match=r"0\.9\.0, older") as refused:
        rig.reboot("new")
    assert (refused.value.code, rig.rauc.seen) == (Code.OLDER, [])


def test_a_system_on_trial_arms_no_other(rig: Rig):
    rig.rauc.trial.touch()
    with pytest.raises(UpdateError, match="on trial"):
        rig.reboot("new")
    assert rig.rauc.seen == []


def test_the_state_says_what_kind_of_machine_this_is_for_the_runner_to_choose_by(rig: Rig):
    state = rig.applier.do(Request("state", {}), lambda _: None)
    assert state["kinds"]["os"]["compatible"] == "reed-test"  # type: ignore[index,call-overload]
