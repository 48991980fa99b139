"""Updates as the daemon's neighbours see them: the cloud orders, the runner asks for leases and reports."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.app.update_desk import NUDGE
from gateway.cli.demo.cloud import Cloud
from gateway.control.client import Client
from gateway.domain.update.health import baseline, judge
from gateway.domain.update.trouble import UPDATE_FAILED
from gateway.sim.hands import Dry, Leak
from tests.app.test_app_link import link_table
from tests.fakes.broker import needs_mosquitto, running_broker
from tests.fakes.cloud import running_cloud
from tests.fakes.house import CONFIG, House, house

ORDER = {"update_id": "u-1", "kind": "app", "target": "app/reed_2.0.deb", "version": "2.0"}
REPORT = {"update_id": "u-1", "kind": "app", "version": "2.0", "from_version": "1.9", "source": "cloud"}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as made:
        yield made


def call(home: House, method: str, **parameters: object) -> dict[str, Any]:
    with Client(home.folder / "run" / "org.reed.Gateway") as client:
        return client.call(method, **parameters)


def test_a_leak_holds_updates_up_until_it_is_reset(home: House):
    home.start()
    home.until_view(bool)
    assert call(home, "RequestLease", step="install")["granted"]

    home.poke(Leak(pipe="main"))
    home.until_view(lambda view: view["valves"]["main"]["state"] == "closed")
    assert not call(home, "RequestLease", step="download")["granted"]

    home.poke(Dry(pipe="main"))
    home.until_view(lambda view: view["zones"]["cellar"]["wet"] == [])
    asked = call(home, "RequestLease", step="install")
    assert (asked["granted"], "alarm leak/zone/cellar" in asked["reasons"][0]) == (False, True)
    assert call(home, "RequestLease", step="download")["granted"]


def test_a_restart_passes_the_health_gate_and_a_lost_line_does_not(home: House):
    home.start()
    before = baseline(home.until_view(lambda view: view["sensors"]["floor"]["healthy"]))
    home.stop(signal.SIGKILL)

    home.start()
    home.until(lambda: judge(before, home.view(), signs=None).healthy)
    home.stop()

    home.config_file.write_text(CONFIG.replace('line = "leak"', 'line = "cut-off"'))
    home.start()
    home.until(lambda: "sensor floor" in " ".join(judge(before, home.view(), signs=None).missed))
    assert "new trouble adapter/sensor/floor" in " ".join(judge(before, home.view(), signs=None).missed)


def test_what_was_reported_outlives_a_kill(home: House):
    home.start()
    home.until_view(bool)
    told = REPORT | {"state": "rolled_back", "code": "unhealthy", "detail": "sensor floor is silent"}
    call(home, "ReportUpdate", update=told)
    home.stop(signal.SIGKILL)

    home.start()
    view = home.until_view(bool)

    assert (view["update"]["state"], view["update"]["version"]) == ("rolled_back", "2.0")
    assert UPDATE_FAILED in [alarm["id"] for alarm in view["alarms"]]
    assert "update of app to 2.0: rolled back: sensor floor is silent" in home.log()


def test_new_keys_for_updates_hold_at_once(home: House):
    home.start()
    home.until_view(bool)
    home.config_file.write_text(CONFIG + '\n[update]\nurl = "https://updates.example.com/reed"\n')

    home.reload()

    assert any("applied: update" in state for state in home.hear("STATUS=normal; cloud off; reload"))


@pytest.fixture
async def cloud(home: House, tmp_path: Path) -> AsyncIterator[Cloud]:
    with running_broker(tmp_path) as (broker, ca):
        home.config_file.write_text(CONFIG + link_table(ca, broker.port))
        async with running_cloud(ca, broker) as cloud:
            await asyncio.to_thread(home.start)
            await cloud.until(lambda cloud: cloud.status() == (True, "connected"))
            yield cloud


async def command(
    cloud: Cloud, kind: str, body: dict[str, object], **changes: object
) -> list[tuple[str, str]]:
    """Send it, and return its answers once the last one is there."""
    command_id = await cloud.command(kind, body, **changes)
    final = {"succeeded", "rejected", "failed"}
    await cloud.until(lambda cloud: final & {state for state, _ in cloud.answers(command_id)})
    return cloud.answers(command_id)


@pytest.mark.broker
@needs_mosquitto
async def test_an_order_of_the_cloud_reaches_the_runner_and_its_reports_the_cloud(home: House, cloud: Cloud):
    assert await command(cloud, "update", ORDER) == [("received", ""), ("succeeded", "")]
    await asyncio.to_thread(home.until, (home.folder / "run" / NUDGE).exists)

    await asyncio.to_thread(home.stop, signal.SIGKILL)
    await asyncio.to_thread(home.start)
    await asyncio.to_thread(home.until_view, bool)
    known = await asyncio.to_thread(call, home, "GetUpdate")
    assert (known["order"]["target"], known["order"]["source"]) == (ORDER["target"], "cloud")

    await asyncio.to_thread(call, home, "ReportUpdate", update=REPORT | {"state": "succeeded"})
    await cloud.until(lambda cloud: any(m["kind"] == "update" for m in cloud.held.values()))
    [told] = [m["body"] for m in cloud.held.values() if m["kind"] == "update"]
    assert (told["state"], told["version"], told["from_version"]) == ("succeeded", "2.0", "1.9")
    assert (await asyncio.to_thread(call, home, "GetUpdate"))["order"] is None


@pytest.mark.broker
@needs_mosquitto
async def test_the_cloud_can_take_an_order_back_and_cannot_lower_a_version_alone(home: House, cloud: Cloud):
    older = ORDER | {"downgrade": True}
    assert (await command(cloud, "update", older))[-1] == ("rejected", "not_authorised")
    assert (await command(cloud, "update", older, step_up=True))[-1] == ("succeeded", "")

    assert (await command(cloud, "update/cancel", {"update_id": "u-1"}))[-1] == ("succeeded", "")

    known = await asyncio.to_thread(call, home, "GetUpdate")
    assert (known["order"], known["cancelled"]) == (None, ["u-1"])
    assert (await command(cloud, "update", ORDER))[-1] == ("rejected", "superseded")
