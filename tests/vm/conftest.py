"""The virtual Pi, one for all stories, and its rig, as new for each."""

from collections.abc import Iterator

import pytest

from tests.vm.harness.pi import VirtualPi, virtual_pi
from tests.vm.harness.rig import Rig
from tests.vm.wires.times import Times


@pytest.fixture(scope="session")
def booted_pi() -> Iterator[VirtualPi]:
    with virtual_pi() as pi:
        yield pi


@pytest.fixture(scope="session")
def times() -> Times:
    """Takes down the key times of the stories."""
    return Times()


@pytest.fixture
def vm(booted_pi: VirtualPi) -> Iterator[VirtualPi]:
    """The Pi without a gateway running and with nothing on its wires."""
    booted_pi.stop_gateway()
    booted_pi.run("pkill -x gpioset", check=False)
    booted_pi.rig.reset()
    yield booted_pi
    booted_pi.stop_gateway()


@pytest.fixture
def rig(vm: VirtualPi) -> Rig:
    """The other end of its wires."""
    return vm.rig
