"""Which device may take a target, and which version is the older one."""

import shutil
import subprocess
from itertools import product

import pytest

from gateway.domain.model import Json
from gateway.domain.update.model import Code
from gateway.errors import UpdateError
from gateway.update.trust.target import Device, Target, check_fits
from gateway.update.trust.versions import older

VERSIONS = [
    "0.9",
    "1.0~rc1",
    "1.0",
    "1.0.0",
    "1.0-1",
    "1.0-1+b1",
    "1.0a",
    "1.0+git",
    "1.4.0",
    "1.10.0",
    "1.10.0~",
    "1:0.1",
    "2026.11.01",
    "007",
    "7",
]


def refusal(custom: dict[str, Json], device: Device, *, downgrade: bool = False) -> str:
    version = {"os": "1.4.0", "app": "1.4.0"}
    kind = str(custom.get("kind", "app"))
    said = {"kind": kind, "version": version[kind], **custom}
    try:
        check_fits(Target(f"{kind}/x", 1, "0" * 64, said), device, downgrade=downgrade)
    except UpdateError as error:
        return error.code
    return ""


DEVICE = Device(gateway="lobby", compatible="reed-rpi", running="1.3.0")


def test_a_target_for_everybody_fits() -> None:
    assert refusal({}, DEVICE) == ""


@pytest.mark.parametrize(
    "custom",
    [
        {"compatible": "reed-amd64"},
        {"gateway": "cellar"},
        {"min_version": "1.3.1"},
        {"min_version": 2},
        {"gateway": 7},
    ],
)
def test_a_target_for_another_device_or_a_later_step_is_incompatible(custom: dict[str, Json]) -> None:
    assert refusal(custom, DEVICE) == Code.INCOMPATIBLE


@pytest.mark.parametrize(
    "custom", [{"compatible": "reed-rpi"}, {"gateway": "lobby"}, {"min_version": "1.3.0"}]
)
def test_a_target_for_this_very_device_fits(custom: dict[str, Json]) -> None:
    assert refusal(custom, DEVICE) == ""


def test_an_older_version_needs_both_the_order_and_the_signature() -> None:
    newer = Device(gateway="lobby", running="1.10.0")
    assert refusal({}, newer) == Code.OLDER
    assert refusal({}, newer, downgrade=True) == Code.OLDER
    assert refusal({"downgrade": True}, newer) == Code.OLDER
    assert refusal({"downgrade": "yes"}, newer, downgrade=True) == Code.OLDER
    assert refusal({"downgrade": True}, newer, downgrade=True) == ""


def test_a_system_is_never_downgraded() -> None:
    newer = Device(gateway="lobby", running="1.10.0")
    assert refusal({"kind": "os", "downgrade": True}, newer, downgrade=True) == Code.OLDER


def test_the_same_version_again_is_not_older() -> None:
    assert refusal({}, Device(gateway="lobby", running="1.4.0")) == ""


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="needs dpkg")
def test_versions_are_ordered_as_dpkg_does() -> None:
    for one, other in product(VERSIONS, repeat=2):
        asked = subprocess.run(["dpkg", "--compare-versions", one, "lt-nl", other], check=False)
        assert older(one, other) is (asked.returncode == 0), (one, other)


def test_a_number_of_any_length_is_a_number() -> None:
    long = "9" * 5_000
    assert older(f"1.{long}", f"1.1{long}")
    assert not older(f"2.{long}:1", f"2.{long}:1")
    assert older("1.007", "1.8")
