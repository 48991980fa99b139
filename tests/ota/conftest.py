"""The works where images and updates are made, the stages of a good update, and a house for each story."""

import os
from collections.abc import Iterator

import pytest

from tests.ota.harness.house import House, house
from tests.ota.harness.stages import Stages
from tests.ota.harness.works import Works, works

# stories that start machines: `make ota-test`
if "REED_OTA_TEST" not in os.environ:
    collect_ignore_glob = [
        "test_ota_every_write.py",
        "test_ota_image.py",
        "test_ota_update.py",
        "test_ota_trial.py",
        "test_ota_refused.py",
        "test_ota_cuts.py",
    ]


@pytest.fixture(scope="session")
def made() -> Works:
    """The works."""
    return works()


@pytest.fixture(scope="session")
def stages(made: Works) -> Stages:
    """Where stories begin."""
    return Stages(made)


@pytest.fixture
def site(made: Works) -> Iterator[House]:
    """A house with a gateway that is off."""
    with house(made) as built:
        yield built
