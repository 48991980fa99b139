"""Lost words, sick servers, impostors."""

from pathlib import Path

import pytest

from gateway.domain.update.model import Code, State
from gateway.errors import UpdateError
from tests.fakes.authority import Authority
from tests.fakes.hawkbit.actions import Status
from tests.fakes.hawkbit.device import Computer, Device
from tests.fakes.hawkbit.repository import NEW, Repository
from tests.fakes.hawkbit.server import HawkbitServer
from tests.fakes.hawkbit.web import PlainWeb


async def test_a_last_word_that_was_lost_is_said_again(
    repository: Repository, device: Device, server: HawkbitServer
):
    action = repository.assign("gw-1", NEW)

    async def during_check() -> None:
        server.troubles.next = [503] * 6

    device.computer.during_check = during_check
    update = await device.run()
    assert update is not None
    assert update.state is State.SUCCEEDED
    assert action.active
    server.troubles.next.clear()
    device.restart()
    assert await device.poll() is None
    assert action.status is Status.FINISHED
    assert device.computer.installed == ["2.0"]


async def test_a_word_whose_answer_was_lost_does_no_harm_when_said_again(
    repository: Repository, device: Device, server: HawkbitServer
):
    action = repository.assign("gw-1", NEW)
    await device.run()
    assert device.update is not None
    entries = len(action.history)
    device.restart()
    server.troubles.next = ["lost"]
    with pytest.raises(UpdateError):
        await device.source.report(device.update)
    await device.source.report(device.update)
    await device.source.report(device.update)
    assert len(action.history) == entries
    assert action.status is Status.FINISHED


@pytest.mark.parametrize(
    "trouble", [500, 502, 503, 401, 403, 404, 429, 302, b"<html>", b"{" * 600_000, b"x" * 700_000, "lost"]
)
async def test_what_a_sick_server_says_is_an_error_that_passes(
    repository: Repository, device: Device, server: HawkbitServer, trouble: int | bytes | str
):
    repository.assign("gw-1", NEW)
    server.troubles.next = [trouble]
    with pytest.raises(UpdateError) as failed:
        await device.source.order()
    assert failed.value.passing
    assert failed.value.code == Code.UNREACHABLE
    assert len(str(failed.value)) < 300
    order = await device.source.order()
    assert order is not None


async def test_nobody_speaks_for_another_gateway(
    repository: Repository, server: HawkbitServer, authority: Authority, tmp_path: Path
):
    repository.assign("gw-1", NEW)
    web = PlainWeb(server.url, *authority.files("gw-2"), authority.home.roots_file)
    impostor = Device(web, "gw-1", tmp_path, Computer())
    with pytest.raises(UpdateError, match="does not let us in"):
        await impostor.source.order()


async def test_a_torn_memory_asks_once_more(repository: Repository, device: Device, tmp_path: Path):
    await device.poll()
    (tmp_path / "gw-1.json").write_bytes(b'{"boot": "this')
    device.restart()
    assert device.source.wait_s == 0
