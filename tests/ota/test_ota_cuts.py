"""Power that is lost at any moment: the gateway comes back and protects, the update goes on or is told."""

import os
import random

import pytest

from tests.ota.harness.house import House
from tests.ota.harness.say import say
from tests.ota.harness.stages import Stages
from tests.ota.harness.works import FIRST, GOOD

CUTS = int(os.environ.get("REED_OTA_CUTS", "12"))
_WINDOW_S = {"installing": 60.0, "staged": 20.0, "trial": 120.0, "commit": 3.0}
"""From the frozen stage on, the cut comes within this time of the host."""
_MIDDLE_S = 10.0
_END_S = 1500.0


def _moments() -> list[tuple[str, float]]:
    dice = random.Random(20261123)  # noqa: S311  # repeatable, not secret
    stages = sorted(_WINDOW_S)
    return [(stages[n % len(stages)], round(dice.uniform(0.0, 1.0), 3)) for n in range(CUTS)]


@pytest.mark.parametrize(("stage", "part"), _moments())
def test_a_power_cut_leaves_a_gateway_that_protects_and_knows_of_its_update(
    site: House, stages: Stages, stage: str, part: float
) -> None:
    _bring_to(site, stages, stage)
    site.pi.goes_on(part * _WINDOW_S[stage])
    site.pi.cut_power()
    site.pi.switch_on()
    site.is_protecting()
    boot, version = site.boot_state(), site.version
    assert version == {"A": FIRST, "B": GOOD}[boot["running"]]
    assert boot["running"] == boot["committed"], "after a power cut nothing is on trial"
    update = site.record()
    say(f"{stage} {part}: slot {boot['running']}, {update['state']} {update['code']} {update['detail']}")
    assert update["order"]["id"] == stages.update_id
    site.pi.until("! systemctl is-failed rauc reed-boot-repair", 30.0)
    if boot["running"] == "B":
        site.until_state(stages.update_id, {"succeeded"}, 600.0)
    else:
        assert update["state"] not in ("succeeded", "rejected", "cancelled")


@pytest.mark.parametrize("stage", ["downloading", "installing", "staged"])
def test_an_update_that_lost_its_power_is_brought_to_its_end_and_told(
    site: House, stages: Stages, stage: str
) -> None:
    update_id = _order(site, stages) if stage == "downloading" else stages.update_id
    if stage != "downloading":
        _bring_to(site, stages, stage)
        site.restock(stages.works)
    site.pi.goes_on(_MIDDLE_S)
    site.pi.cut_power()
    site.pi.switch_on()
    site.is_protecting()
    site.dry()  # what a leak has latched outlives the power, and holds the update up
    update = site.ends(update_id, _END_S)
    say(f"{stage}: {update['state']} {update['code']} {update['detail']}")
    boot = site.boot_state()
    assert boot["running"] == boot["committed"] == ("B" if update["state"] == "succeeded" else "A")
    assert site.hears(update_id, update["state"])["code"] == update["code"]
    if stage != "staged":  # a trial whose flag the cut has forgotten may count as tried
        assert update["state"] == "succeeded"


def _order(site: House, stages: Stages) -> str:
    good = stages.good
    site.restock(stages.works)
    site.pi.resume(stages.ready)
    site.is_linked()
    update_id = site.order(good, GOOD)
    site.until_state(update_id, {"downloading"}, 240.0)
    return update_id


def _bring_to(site: House, stages: Stages, stage: str) -> None:
    site.pi.resume({"installing": stages.installing, "staged": stages.staged}.get(stage, stages.trial))
    if stage == "staged":
        site.pi.remote.begin("systemctl reboot")
    if stage == "commit":
        site.pi.until("systemctl is-active dbus", 120.0)
        site.pi.remote.begin("rauc status mark-good")
