"""Power that is lost at any moment: the gateway comes back and protects, the update goes on or is told."""

import os
import random

import pytest

from tests.ota.harness.house import House
from tests.ota.harness.say import say
from tests.ota.harness.stages import Stages
from tests.ota.harness.works import FIRST, GOOD

CUTS = int(os.environ.get("REED_OTA_CUTS", "16"))
_WINDOW_S = {"installing": 60.0, "staged": 20.0, "trial": 120.0, "commit": 3.0}
"""From the frozen stage on, the cut comes within this time of the host."""


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


def _bring_to(site: House, stages: Stages, stage: str) -> None:
    site.pi.resume({"installing": stages.installing, "staged": stages.staged}.get(stage, stages.trial))
    if stage == "staged":
        site.pi.remote.begin("systemctl reboot")
    if stage == "commit":
        site.pi.until("systemctl is-active dbus", 120.0)
        site.pi.remote.begin("rauc status mark-good")
