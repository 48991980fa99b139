"""The conformance suite over the mosquitto of this host."""

from collections.abc import Iterator

import pytest

from tests.cloud.broker_administration import Administration
from tests.cloud.broker_crls import Crls
from tests.cloud.broker_denial import Denial
from tests.cloud.broker_rig import Rig, Tell
from tests.cloud.broker_rights import Rights
from tests.fakes.mosquitto import Mosquitto

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Mosquitto(tmp_path_factory.mktemp("mosquitto")) as broker:
        yield broker


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    def print_past_capture(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}", end="")  # noqa: T201

    return print_past_capture


class TestRights(Rights):
    pass


class TestDenial(Denial):
    pass


class TestCrls(Crls):
    pass


class TestAdministration(Administration):
    pass
