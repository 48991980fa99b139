"""The daemon as the runner sees it: orders that were remembered, over a real control socket."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app.update_guard import CloudSource, ControlGuard
from gateway.domain.model import Json
from gateway.domain.update.model import Code, Kind, Window
from gateway.errors import UpdateError
from tests.fakes.gateway import Served, served

ORDER: dict[str, Json] = {
    "update_id": "u-1",
    "kind": "app",
    "target": "app/reed_2.0.deb",
    "version": "2.0",
    "window": {"from_min": 120, "until_min": 240},
    "deadline_s": None,
    "downgrade": False,
    "source": "cloud",
    "actor": "alice",
}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "control") as running:
        yield running


@pytest.fixture
def source(daemon: Served) -> CloudSource:
    return CloudSource(ControlGuard(daemon.config.socket), deadline_s=7200.0)


async def test_an_order_without_a_deadline_has_that_of_the_configuration(daemon: Served, source: CloudSource):
    daemon.gateway.order = ORDER
    order = await source.order()
    daemon.gateway.order = ORDER | {"deadline_s": 60.0}
    urgent = await source.order()

    assert order is not None
    assert urgent is not None
    assert (order.kind, order.window, order.deadline_s) == (Kind.APP, Window(120, 240), 7200.0)
    assert urgent.deadline_s == 60.0


@pytest.mark.parametrize(
    "broken",
    [
        {"update_id": "u-1"},
        ORDER | {"kind": "firmware"},
        ORDER | {"window": [120, 240]},
        ORDER | {"window": {"from_min": "soon", "until_min": 240}},
        ORDER | {"deadline_s": "never"},
        ORDER | {"deadline_s": 10**400},
    ],
)
async def test_a_broken_order_is_none_and_ends_nothing(
    daemon: Served, source: CloudSource, broken: dict[str, Json]
):
    daemon.gateway.order = broken

    with pytest.raises(UpdateError) as caught:
        await source.order()

    assert (caught.value.code, caught.value.passing) == (Code.INVALID, False)
