"""Debian's RAUC 1.13 with our settings, our back end, our bus policy and our client.

What is not here: most kernels of build machines have no device-mapper verity, so what is installed here is a
bundle of the older format, which the image refuses; `make ota-test` installs the real ones.
"""

import shlex
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fakes.pi_card import text
from tests.system.harness import boot
from tests.system.harness.boot import Booted
from tests.system.harness.site import until
from tests.system.harness.slots import BUNDLES, COMPATIBLE, TwoSlots

CALL = "busctl --system call de.pengutronix.rauc / de.pengutronix.rauc.Installer"

pytestmark = pytest.mark.skipif(bool(boot.why_not()), reason=boot.why_not() or "-")


@pytest.fixture(scope="module")
def rig(booted: Booted) -> TwoSlots:
    return TwoSlots(booted, Path(__file__).parents[2])


@pytest.fixture(scope="module")
def good(rig: TwoSlots) -> str:
    return rig.bundle("good")


@pytest.fixture
def slots(rig: TwoSlots) -> TwoSlots:
    """Slot A runs and is committed; nothing was ever installed."""
    rig.begin("A")
    return rig


def test_it_takes_our_settings_and_knows_both_slots(slots: TwoSlots):
    told = slots.client("slots")["ok"]
    assert told["primary"] == "A"
    found = {slot["name"]: (slot["bootname"], slot["booted"], slot["good"]) for slot in told["all"]}
    assert found["rootfs.0"] == ("A", True, True)
    assert found["rootfs.1"] == ("B", False, True)
    assert (found["boot.0"][0], found["boot.1"][0]) == ("", "")


def test_a_good_bundle_is_known_by_its_signature(slots: TwoSlots, good: str):
    told = slots.client("inspect", good)["ok"]
    assert told == {"format": "verity", "compatible": COMPATIBLE, "version": "1.1.0"}


@pytest.mark.parametrize(
    ("name", "bundle", "code"),
    [
        ("a-stranger", {"signer": "thief"}, "untrusted"),
        ("no-code-signer", {"signer": "client"}, "untrusted"),
        ("plain", {"form": "plain"}, "untrusted"),
    ],
)
def test_a_wrong_bundle_is_refused_and_said_why(
    slots: TwoSlots, name: str, bundle: dict[str, str], code: str
):
    told = slots.client("install", slots.bundle(name, **bundle))
    assert (told.get("code"), told.get("passing")) == (code, False), told
    assert slots.client("slots")["ok"]["primary"] == "A"


@pytest.mark.parametrize("at", [0, 2000, -100])
def test_a_bundle_with_a_flipped_byte_is_refused(slots: TwoSlots, good: str, at: int):
    data = bytearray(slots.machine.path(good).read_bytes())
    data[at] ^= 0xFF
    slots.machine.path(f"{BUNDLES}/flipped.raucb").write_bytes(bytes(data))
    told = slots.client("install", f"{BUNDLES}/flipped.raucb")
    assert told["code"] in ("untrusted", "install_failed"), told
    assert slots.client("slots")["ok"]["primary"] == "A"


def test_a_missing_or_empty_file_is_refused(slots: TwoSlots):
    slots.machine.write(f"{BUNDLES}/empty.raucb", "")
    assert slots.client("inspect", f"{BUNDLES}/empty.raucb")["code"] == "untrusted"
    assert slots.client("inspect", f"{BUNDLES}/absent.raucb")["code"] == "untrusted"


def test_a_kernel_without_verity_installs_nothing_and_says_so(slots: TwoSlots, good: str):
    told = slots.client("install", good)
    assert told["code"] == "install_failed", told
    assert slots.client("slots")["ok"]["primary"] == "A"


@pytest.fixture
def writable(slots: TwoSlots) -> TwoSlots:
    """RAUC can install bundles of the older format here."""
    slots.allow_plain()
    return slots


@pytest.mark.parametrize(
    ("name", "bundle", "code"),
    [
        ("another-machine", {"compatible": "reed-rpi9"}, "incompatible"),
        ("too-old", {"version": "0.9.0"}, "older"),
    ],
)
def test_a_bundle_that_does_not_fit_is_refused_before_a_slot_is_touched(
    writable: TwoSlots, name: str, bundle: dict[str, str], code: str
):
    told = writable.client("install", writable.bundle(name, form="plain", **bundle))
    assert (told.get("code"), told.get("passing")) == (code, False), told
    assert writable.content("06", 64) == bytes(64)


def test_an_installation_writes_the_other_slot_and_stages_it(writable: TwoSlots):
    percents = writable.client("install", writable.bundle("true", form="plain"))["ok"]
    assert percents == sorted(set(percents))
    assert percents[-1] == 100
    told = writable.client("slots")["ok"]
    found = {slot["name"]: (slot["status"], slot["version"]) for slot in told["all"]}
    assert (told["primary"], found["rootfs.1"], found["boot.1"]) == ("B", ("ok", "1.1.0"), ("ok", "1.1.0"))
    image = writable.machine.path(f"{BUNDLES}/true/root.ext4").read_bytes()
    assert writable.content("06", len(image)) == image
    assert (writable.content("05", 64), writable.content("02", 64)) == (bytes(64), bytes(64))


def test_a_service_that_dies_over_an_installation_is_noticed(writable: TwoSlots):
    path = writable.bundle("cut", version="1.2.0", form="plain")
    writable.answer_slowly(4)
    with ThreadPoolExecutor() as other:
        told = other.submit(writable.client, "install", path)
        until(lambda: "set-state" in writable.machine.ask("ps", "-eo", "args"), "the back end to be called")
        writable.machine.run("systemctl", "kill", "--signal=KILL", "rauc")
        writable.answer_slowly(0)
        answer = told.result()
    assert (answer.get("code"), answer.get("passing")) == ("interrupted", True), answer
    assert writable.client("install", path)["ok"][-1] == 100
    assert writable.client("slots")["ok"]["primary"] == "B"


def test_nothing_is_installed_over_the_committed_slot_during_a_trial(writable: TwoSlots):
    writable.starts("B", trial=True)
    told = writable.client("install", writable.bundle("over", form="plain"))
    assert "code" in told, told
    assert writable.content("05", 64) == bytes(64)
    assert writable.tryboot("get-state", "A") == "good"


def test_a_trial_is_committed_by_marking_what_runs_good(slots: TwoSlots):
    slots.tryboot("set-state", "B", "bad")
    slots.tryboot("set-primary", "B")
    assert slots.client("slots")["ok"]["primary"] == "B"
    assert slots.client("stay") == {"ok": None}
    assert slots.client("slots")["ok"]["primary"] == "A"
    slots.tryboot("set-primary", "B")
    slots.starts("B", trial=True)
    assert slots.client("slots")["ok"]["primary"] == "A"
    assert slots.client("mark_good") == {"ok": None}
    told = slots.client("slots")["ok"]
    assert (told["primary"], next(s["bootname"] for s in told["all"] if s["booted"])) == ("B", "B")
    assert slots.machine.ask("cat", "/boot/select/autoboot.txt") + "\n" == text("B")
    assert "ro," in slots.machine.ask("findmnt", "-no", "OPTIONS", "/boot/select")


def test_a_trial_of_nothing_staged_is_not_committed(slots: TwoSlots):
    slots.starts("B", trial=True)
    told = slots.client("mark_good")
    assert "code" in told, told
    assert slots.client("slots")["ok"]["primary"] == "A"


def test_the_repair_at_boot_works_in_its_sandbox(slots: TwoSlots):
    slots.begin("B")
    slots.machine.run("systemctl", "restart", "reed-boot-repair")
    slots.select("garbage")
    slots.machine.run("systemctl", "restart", "reed-boot-repair")
    assert slots.machine.ask("cat", "/boot/select/autoboot.txt") + "\n" == text("B")
    assert "is damaged" in slots.machine.journal("reed-boot-repair")
    assert "ro," in slots.machine.ask("findmnt", "-no", "OPTIONS", "/boot/select")


def test_the_guard_leaves_a_committed_system_alone(slots: TwoSlots):
    slots.machine.run("systemctl", "start", "reed-trial-guard")
    assert slots.machine.shows("reed-trial-guard", "Result") == "success"
    assert "not committed in time" not in slots.machine.journal("reed-trial-guard")


@pytest.mark.parametrize("method", ["GetPrimary", "Mark ss bad booted", "InstallBundle sa{sv} /x.raucb 0"])
def test_only_root_may_ask_it_for_anything(slots: TwoSlots, method: str):
    as_user = [
        "setpriv",
        "--reuid=nobody",
        "--regid=nogroup",
        "--clear-groups",
        *shlex.split(f"{CALL} {method}"),
    ]
    refused = slots.machine.run(*as_user, check=False)
    assert refused.returncode != 0
    assert "Access denied" in refused.stderr or "AccessDenied" in refused.stderr, refused.stderr
    assert slots.machine.ask(*shlex.split(f"{CALL} GetPrimary")) == 's "rootfs.0"'


@pytest.mark.parametrize("unit", ["reed-boot-repair", "reed-trial-guard"])
def test_its_exposure_is_small(slots: TwoSlots, unit: str):
    told = slots.machine.ask("systemd-analyze", "security", "--no-pager", f"{unit}.service").splitlines()[-1]
    assert float(told.split(": ")[1].split()[0]) <= 3.0, told
