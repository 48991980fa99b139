"""The system as a kind of update: what the applier does with RAUC, and what it refuses."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.domain.update.model import Code
from gateway.errors import UpdateError
from gateway.update.apply.ports import OnPercent, Wanted
from gateway.update.apply.rauc import Bundle, Slot, Slots
from gateway.update.apply.system import Places, System
from gateway.update.trust.target import Target

WANTED = Wanted(kind="os", target="os/reed-1.1.0.raucb", version="1.1.0")
TARGET = Target(WANTED.target, 6, "", {"kind": "os", "version": "1.1.0"})


VERITY = Bundle("verity", "reed-test", "1.1.0")
AT_REST = Slots(
    (Slot("rootfs.0", "A", True, True, "ok", "1.0.0"), Slot("rootfs.1", "B", False, True, "", "")), "A"
)


@dataclass
class Slotted:
    """Slots that behave as RAUC's do with our back end; `trial` is what rauc-tryboot answers by."""

    trial: Path
    bundle: Bundle = VERITY
    slots_now: Slots = AT_REST
    seen: list[str] = field(default_factory=list)

    async def inspect(self, path: Path) -> Bundle:
        assert path.read_bytes() == b"bundle"  # noqa: ASYNC240  # six bytes
        return self.bundle

    async def install(self, path: Path, on_percent: OnPercent) -> None:
        await asyncio.sleep(0)
        on_percent(100)
        self.seen.append(f"install {path.suffix}")

    async def slots(self) -> Slots:
        return self.slots_now

    async def mark_good(self) -> None:
        self.seen.append("good")
        self.trial.unlink(missing_ok=True)

    async def mark_bad(self) -> None:
        self.seen.append("bad")

    async def stay(self) -> None:
        self.seen.append("stay")


@pytest.fixture
def rauc(tmp_path: Path) -> Slotted:
    return Slotted(tmp_path / "trial")


@pytest.fixture
def system(tmp_path: Path, rauc: Slotted) -> System:
    (tmp_path / "image").write_text("compatible=reed-test\nversion=1.0.0\n")
    (tmp_path / "system.conf").touch()
    tryboot = tmp_path / "tryboot"
    tryboot.write_text(f'#!/bin/sh\n[ "$1" = is-trial ] || exit 64\n[ -e {tmp_path}/trial ]\n')
    tryboot.chmod(0o755)
    (tmp_path / "taken").write_bytes(b"bundle")
    return System(
        tmp_path, rauc, Places(tmp_path / "system.conf", tmp_path / "image", tryboot, tmp_path / "last")
    )


def test_a_bundle_is_installed_and_not_kept(system: System, rauc: Slotted, tmp_path: Path):
    percents: list[int] = []
    told = system.install(WANTED, TARGET, tmp_path / "taken", percents.append)
    assert told == {"from_version": "1.0.0", "version": "1.1.0"}
    assert (rauc.seen, percents) == (["install .raucb"], [100])
    assert not list(tmp_path.glob("*.raucb"))


@pytest.mark.parametrize(
    ("bundle", "code"),
    [
        (Bundle("plain", "reed-test", "1.1.0"), Code.UNTRUSTED),
        (Bundle("verity", "reed-other", "1.1.0"), Code.INCOMPATIBLE),
        (Bundle("verity", "reed-test", "1.2.0"), Code.UNTRUSTED),
    ],
)
def test_a_bundle_that_is_not_what_the_metadata_say_is_refused(
    system: System, rauc: Slotted, tmp_path: Path, bundle: Bundle, code: Code
):
    rauc.bundle = bundle
    with pytest.raises(UpdateError) as refused:
        system.install(WANTED, TARGET, tmp_path / "taken", lambda _: None)
    assert (refused.value.code, rauc.seen, list(tmp_path.glob("*.raucb"))) == (code, [], [])


def test_nothing_is_installed_during_a_trial(system: System, rauc: Slotted, tmp_path: Path):
    rauc.trial.touch()
    with pytest.raises(UpdateError) as refused:
        system.install(WANTED, TARGET, tmp_path / "taken", lambda _: None)
    assert (refused.value.code, refused.value.passing, rauc.seen) == (Code.BUSY, True, [])


def test_a_commit_counts_when_the_trial_is_over(system: System, rauc: Slotted):
    rauc.trial.touch()
    assert system.state()["trial"] is True
    system.commit()
    assert (rauc.seen, system.state()["trial"]) == (["good"], False)


def test_a_restore_gives_a_trial_up_or_takes_back_what_is_staged(system: System, rauc: Slotted):
    system.restore("no longer wanted")
    rauc.trial.touch()
    system.restore("unhealthy")
    assert rauc.seen == ["stay", "bad"]


def test_the_state_names_slots_and_an_installation_that_was_cut_off(system: System, rauc: Slotted):
    whole = system.state()
    assert (whole["booted"], whole["primary"], whole["interrupted"]) == ("A", "A", False)
    cut = Slot("rootfs.1", "B", False, False, "pending", "")
    rauc.slots_now = Slots((rauc.slots_now.all[0], cut), "A")
    assert system.state()["interrupted"] is True


def test_the_state_says_how_the_last_trial_ended(system: System, tmp_path: Path):
    assert system.state()["last"] == ""
    (tmp_path / "last").write_text("B fell-back\n")
    assert system.state()["last"] == "B fell-back"


def test_a_machine_without_slots_says_so(system: System, tmp_path: Path):
    assert system.why_not() == ""
    assert system.device().compatible == "reed-test"
    (tmp_path / "system.conf").unlink()
    assert "no system with two slots" in system.why_not()
