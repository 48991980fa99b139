"""The daemon as systemd and the building see it: a process of its own on the simulated building."""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.app.gateway import BOARD_WAIT_S
from gateway.control.client import Client
from gateway.domain.model import Position
from gateway.sim.hands import Dry, Leak, Press, Turn
from tests.fakes.house import CONFIG, House, View, house

LEAK = "leak/zone/cellar"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as made:
        yield made


def alarms(view: View) -> Mapping[str, Mapping[str, Any]]:
    return {alarm["id"]: alarm for alarm in view["alarms"]}


def is_closed(view: View) -> bool:
    return bool(view["valves"]["main"]["state"] == "closed")


def call(home: House, method: str, **parameters: object) -> dict[str, Any]:
    with Client(home.folder / "run" / "org.reed.Gateway") as client:
        return client.call(method, **parameters)


def test_leak_closes_the_valve_and_sigterm_leaves_it_closed(home: House):
    home.start()
    assert home.until_view(bool)["state"] == "normal"

    home.poke(Leak(pipe="main"))
    view = home.until_view(is_closed)

    assert alarms(view)[LEAK]["latched"]
    assert view["valves"]["main"]["closure"] == "confirmed"
    assert home.stop() == 0
    assert home.look()["valves"]["main"]["position"] == 0.0


def test_stop_is_announced_and_readiness_has_a_status(home: House):
    home.spawn()

    assert home.hear("READY=1")[-1] == "STATUS=normal; cloud off"
    assert home.stop() == 0
    assert "STOPPING=1" in home.hear("STOPPING")


def test_killed_gateway_comes_back_latched_and_moves_nothing(home: House):
    home.start()
    home.poke(Leak(pipe="main"))
    home.until_view(is_closed)
    home.stop(signal.SIGKILL)
    home.poke(Dry(pipe="main"))
    before = home.look()["valves"]

    home.start()
    view = home.until_view(lambda view: LEAK in alarms(view))

    assert alarms(view)[LEAK]["latched"]
    assert home.look()["valves"] == before


def test_start_moves_no_valve(home: House):
    home.poke(Turn(valve="main", position=Position.CLOSED))
    home.start()

    assert home.until_view(bool)["valves"]["main"]["state"] == "closed"
    assert home.look()["valves"]["main"]["position"] == 0.0
    assert home.stop() == 0


def test_button_commands_the_valve(home: House):
    home.start()

    home.poke(Press(button="lobby"))

    view = home.until_view(is_closed)
    assert view["valves"]["main"]["override"]["mode"] == "timed"


def test_closing_by_request_is_answered_to_who_asked(home: House):
    home.start()
    home.until_view(bool)

    answer = call(home, "ActuateValve", valve="main", wish="close", cause="test")

    assert answer["state"] == "succeeded"
    assert is_closed(home.view())


def test_valve_with_close_on_loss_is_released_by_a_clean_stop(home: House):
    home.config_file.write_text(
        CONFIG.replace('"garden-open"\n', '"garden-open"\non_daemon_loss = "close"\n')
    )
    home.start()
    assert home.look()["valves"]["garden"]["position"] == 1.0

    assert home.stop() == 0

    home.until(lambda: home.look()["valves"]["garden"]["position"] == 0.0)


def test_valve_with_hold_on_loss_stays_open(home: House):
    home.start()

    assert home.stop() == 0

    assert home.look()["outputs"]["garden-open"]


def test_watchdog_is_pinged_while_the_core_is_on_time(home: House):
    home.start(WATCHDOG_USEC="300000")

    home.hear("WATCHDOG=1")
    home.hear("WATCHDOG=1")


def test_wrong_configuration_at_the_start_is_told_whole_and_ends_with_78(home: House):
    home.config_file.write_text(CONFIG.replace("confirm_s = 0", "confirm = 0").replace('"floor"]', '"flor"]'))
    home.spawn()

    assert home.stop(signal.SIGCONT) == os.EX_CONFIG
    assert 'zone.cellar.confirm: unknown key; did you mean "confirm_s"?' in home.log()
    assert "zone.cellar.sensors: there is no [sensor.flor]" in home.log()
    assert "Traceback" not in home.log()


def test_wrong_configuration_at_a_reload_changes_nothing_and_is_trouble(home: House):
    home.start()
    home.config_file.write_text("[gateway")

    home.reload()
    heard = home.hear("READY=1")
    view = home.until_view(lambda view: "adapter/config" in alarms(view))

    assert heard[0] == "RELOADING=1"
    assert alarms(view)["adapter/config"]["class"] == "trouble"
    assert "is not TOML" in alarms(view)["adapter/config"]["detail"]

    home.config_file.write_text(CONFIG)
    home.reload()
    home.until_view(lambda view: not alarms(view).get("adapter/config", {}).get("active"))


def test_reload_applies_what_can_be_applied_and_names_the_rest(home: House):
    home.start()
    home.until_view(bool)
    changed = CONFIG.replace("confirm_s = 0", "confirm_s = 2").replace('group = "root"', "max_clients = 5")
    home.config_file.write_text(changed)

    home.reload()
    heard = home.hear("READY=1")

    assert "applied: control; needs a restart: site" in heard[-1]
    home.until_view(lambda view: view["state"] == "normal")


def test_gateway_without_a_building_starts_and_protects_when_it_comes(home: House):
    home.demolish()
    home.start()
    view = home.until_view(lambda view: "adapter/board" in alarms(view))
    assert "no simulated building listens" in alarms(view)["adapter/board"]["detail"]
    assert alarms(view)["adapter/valve/main"]["active"]

    home.build()
    home.until_view(lambda view: view["sensors"]["floor"]["wet"] is False)
    home.poke(Leak(pipe="main"))

    home.until_view(is_closed)


def test_stop_during_the_start_is_obeyed_at_once(home: House):
    home.demolish()
    home.spawn()
    home.until(lambda: "board failed" in home.log())

    told_s = time.monotonic()
    assert home.stop() == 0

    assert time.monotonic() - told_s < BOARD_WAIT_S - 1
    assert "ready" not in home.log()


def test_board_that_goes_away_is_trouble_until_it_is_back(home: House):
    home.start()
    home.until_view(lambda view: view["sensors"]["floor"]["wet"] is False)

    home.demolish()
    home.until_view(lambda view: "adapter/board" in alarms(view))
    home.build()
    home.poke(Leak(pipe="main"))

    home.until_view(is_closed)


def test_gateway_without_a_disk_protects_all_the_same(home: House):
    (home.folder / "state").write_text("in the way of the folder")
    home.start()

    view = home.until_view(lambda view: view["alarms"])
    assert {alarm["class"] for alarm in view["alarms"]} == {"trouble"}
    home.poke(Leak(pipe="main"))

    home.until_view(is_closed)
    assert home.stop() == 0


def test_latch_from_before_the_disk_came_is_kept_once_it_is_there(home: House):
    (home.folder / "state").write_text("in the way of the folder")
    home.start()
    home.poke(Leak(pipe="main"))
    home.until_view(is_closed)

    (home.folder / "state").unlink()
    (home.folder / "state").mkdir()
    home.until_view(lambda view: not alarms(view)["adapter/disk"]["active"])
    home.until_view(lambda view: view["store"]["in_ram"] == 0)
    home.stop(signal.SIGKILL)
    home.poke(Dry(pipe="main"))
    home.start()

    view = home.until_view(bool)
    assert alarms(view)[LEAK]["latched"]
    assert alarms(view)["memory-lost/gateway"]["latched"]


def test_corrupt_store_file_is_set_aside_and_counts_as_latched(home: House):
    home.start()
    assert home.stop() == 0
    for file in (home.folder / "state").iterdir():
        file.write_bytes(b"garbage" * 1000)

    home.start()

    view = home.until_view(lambda view: "memory-lost/gateway" in alarms(view))
    assert alarms(view)["memory-lost/gateway"]["latched"]
    assert home.stop() == 0


def test_log_names_no_traceback_in_a_quiet_life(home: House):
    home.start()
    home.until_view(bool)

    assert home.stop() == 0
    assert "Traceback" not in home.log()
    assert "ERROR" not in home.log()
