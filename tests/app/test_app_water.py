"""Water through the whole daemon: a meter line of the simulated building, a real clock, a real disk."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.control.client import Client
from gateway.sim.hands import Tap
from tests.fakes.house import CONFIG, PLAN, House

METERED_PLAN = f"""
{PLAN}
[meter.street]
pipe = "main"
line = "meter"
l_per_pulse = 0.1
"""

METERED = f"""
{CONFIG}
[meter.street]
line = "meter"
litres_per_pulse = 0.1
valves = ["main"]
[flow_rule.burst]
meter = "street"
above_l_per_min = 30
for_s = 1
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    (tmp_path / "plan.toml").write_text(METERED_PLAN)
    house.config_file.write_text(METERED)
    try:
        house.build()
        yield house
    finally:
        house.close()


def litres(house: House) -> float:
    total = house.until_view(lambda view: view["meters"])["meters"]["street"]["litres"]
    assert isinstance(total, float)
    return total


def test_water_is_counted_across_a_restart_and_too_much_of_it_closes_the_valve(house: House):
    house.start()
    house.poke(Tap(pipe="main", l_per_min=12.0))
    house.until_view(lambda view: view["meters"]["street"]["state"] == "flowing")
    house.until_view(lambda view: view["meters"]["street"]["litres"] > 0.5)
    house.poke(Tap(pipe="main", l_per_min=0.0))
    house.until_view(lambda view: view["meters"]["street"]["state"] == "none")
    counted_l = litres(house)
    assert counted_l == pytest.approx(house.look()["meters"]["street"]["passed_l"], abs=0.11)

    house.stop()
    house.start()
    assert litres(house) == pytest.approx(counted_l)

    house.poke(Tap(pipe="main", l_per_min=60.0))
    view = house.until_view(lambda view: view["valves"]["main"]["state"] == "closed")
    assert "flow/rule/burst" in [alarm["id"] for alarm in view["alarms"]]
    assert view["valves"]["main"]["authority"] == "flow"
    assert house.look()["pipes"]["main"]["flow_l_per_min"] == 0.0


def test_occupancy_is_said_on_the_command_line_and_survives_a_restart(house: House):
    def command(*words: str) -> str:
        socket = str(house.folder / "run" / "org.reed.Gateway")
        line = [sys.executable, "-m", "gateway", *words, "--socket", socket]
        return subprocess.run(line, capture_output=True, text=True, check=True, timeout=20).stdout

    house.start()
    house.until_view(lambda view: view["occupancy"] == "occupied")
    said = command("occupancy", "unoccupied", "--cause", "closed over Christmas")
    house.stop()
    house.start()

    assert said == "occupancy unoccupied: succeeded\n"
    house.until_view(lambda view: view["occupancy"] == "unoccupied")
    assert command("occupancy") == "unoccupied\n"


def test_plumbers_at_work_are_told_of_in_the_view(house: House):
    house.start()
    house.until(house.view)
    with Client(house.folder / "run" / "org.reed.Gateway") as client:
        client.call("SetOccupancy", mode="maintenance", cause="pump is renewed")
    view = house.until_view(lambda view: view["flow_rules"]["burst"]["notify_only"])

    assert "maintenance" in view["flow_rules"]["burst"]["notify_only"]
    assert "maintenance/gateway" in [alarm["id"] for alarm in view["alarms"]]


def test_stop_before_a_slow_disk_has_answered_keeps_the_total_that_is_on_it(house: House):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    source = Path(__file__).parents[1] / "fakes" / "slow_fsync.c"
    preload, stall = house.folder / "slow_fsync.so", house.folder / "stall"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", preload, source, "-ldl"], check=True)
    house.start()
    counted_l = run_tap(house, 1.0)
    house.stop()

    stall.touch()
    house.start(LD_PRELOAD=str(preload), STALL_FILE=str(stall))
    since_l = run_tap(house, 0.2)
    assert house.daemon is not None
    house.daemon.send_signal(signal.SIGTERM)
    house.hear("STOPPING=1")
    stall.unlink()
    house.stop()
    house.start()

    assert litres(house) == pytest.approx(counted_l + since_l)


def run_tap(house: House, at_least_l: float) -> float:
    house.until(lambda: house.look()["meters"])
    house.poke(Tap(pipe="main", l_per_min=12.0))
    house.until_view(lambda view: view["meters"]["street"]["litres"] >= at_least_l)
    house.poke(Tap(pipe="main", l_per_min=0.0))
    house.until_view(lambda view: view["meters"]["street"]["state"] == "none")
    return litres(house)
