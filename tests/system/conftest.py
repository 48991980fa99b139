"""A Debian 13 machine for each test that asks for one, and the packages that all tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.harness import boot
from tests.system.harness.machine import Machine
from tests.system.harness.outside import LINK
from tests.system.harness.package import Packages, build_once
from tests.system.harness.plugged import Idle, a_house
from tests.system.harness.site import CONFIG
from tests.system.harness.tree import why_not


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """Just started; it has nothing but Debian and this checkout."""
    if reason := why_not():
        pytest.skip(reason)
    with Machine(tmp_path / "machine") as running:
        yield running


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """Built once from this checkout."""
    if reason := why_not():
        pytest.skip(reason)
    return build_once(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[boot.Booted]:
    """A machine that has booted, for all tests of a file; neither package is installed."""
    if reason := boot.why_not():
        pytest.skip(reason)
    with boot.Booted(tmp_path_factory.mktemp("booted")) as running:
        yield running


@pytest.fixture(scope="session")
def idle(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Idle]:
    """Left alone from here on, on its first day; the store has its own defaults."""
    settings = CONFIG.replace("commit_after_s = 0.2", "") + LINK
    for house in a_house(packages, tmp_path_factory.mktemp("idle"), settings):
        house.boot()
        house.outside.plug(house.site.machine)
        house.outside.until(lambda cloud: cloud.status(), "the idle gateway")
        yield Idle(house)
