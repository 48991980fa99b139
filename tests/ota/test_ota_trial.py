"""A new version that fails in this way or that: the former one returns by itself and says why."""

from collections.abc import Callable

import pytest

from tests.ota.harness.house import House
from tests.ota.harness.remote import Gone
from tests.ota.harness.stages import Stages
from tests.ota.harness.works import FIRST, GOOD

_GATE_S = 900.0
_HANG = (
    "sysctl -q -w kernel.sched_rt_runtime_us=-1; mount -t debugfs none /sys/kernel/debug; "
    "for cpu in /sys/kernel/debug/sched/fair_server/cpu*; do echo 0 >$cpu/runtime; done; "
    "for n in $(seq $(nproc)); do chrt -f 99 sh -c 'while :; do :; done' & done"
)
"""Nothing but the hogs gets the processor any more, nor the 5 % that Linux keeps for the others since 6.8."""
_PLAN = "/usr/share/reed-gateway/gateway/cli/demo/building.toml"
_BUILDING = "/run/systemd/system/reed-building.service.d/plan.conf"
_FILL = (
    "fallocate -l $(df --output=avail -B1 /data | tail -n 1) /data/ballast; "
    "head -c 9999999 /dev/zero >>/data/ballast"
)


def _former_runs_again(
    site: House, update_id: str, spoil: Callable[[House], None] = lambda _: None
) -> dict[str, object]:
    """Follow it to its end, each trial spoilt in the same way; return the update when the cloud knows.

    A trial that did not start is tried once more, since it may have been a power cut.
    """
    while True:
        try:
            if site.pi.slot == "B":
                spoil(site)
            site.is_protecting()
            update = site.until_state(update_id, {"rolled_back", "failed"}, _GATE_S)
            break
        except Gone:
            site.pi.follow()
    assert site.version == FIRST
    boot = site.boot_state()
    assert (boot["running"], boot["committed"], boot["armed"]) == ("A", "A", "0")
    told = site.hears(update_id, str(update["state"]))
    assert told["code"] == update["code"]
    return update


@pytest.mark.parametrize("how", ["panic", "hang"])
def test_a_kernel_that_dies_on_trial_gives_way_to_the_former_one(
    site: House, stages: Stages, how: str
) -> None:
    def die(site: House) -> None:
        if how == "hang":
            site.pi.until("[ -c /dev/watchdog0 ]")
        site.pi.remote.begin("echo c >/proc/sysrq-trigger" if how == "panic" else _HANG)

    site.pi.resume(stages.trial)
    update = _former_runs_again(site, stages.update_id, die)
    assert update["code"] == "not_started"


@pytest.mark.parametrize(("lost", "named"), [("board", "adapter/board"), ("line", "dishwasher")])
def test_a_version_that_loses_its_sensors_is_taken_back_and_says_which(
    site: House, stages: Stages, lost: str, named: str
) -> None:
    site.pi.resume(stages.trial)
    if lost == "board":
        site.pi.run("systemctl mask --runtime --now reed-building.service")
    else:
        site.pi.run(f"sed 's/leak-kitchen/leak-elsewhere/' {_PLAN} >/run/plan.toml")
        words = "/usr/bin/reed-gateway building --plan /run/plan.toml --socket /run/reed-building/socket"
        site.pi.put(_BUILDING, f"[Service]\nExecStart=\nExecStart={words}\n")
        site.pi.run("systemctl daemon-reload && systemctl try-restart reed-building")
    site.pi.follow(_GATE_S)
    update = _former_runs_again(site, stages.update_id)
    assert update["code"] == "unhealthy"
    assert named in str(update["detail"])


def test_a_release_whose_daemon_does_not_start_is_taken_back_and_says_why(
    site: House, stages: Stages
) -> None:
    target = stages.works.release(stages.works.bundle(GOOD, "broken-daemon"))
    site.restock(stages.works)
    site.pi.resume(stages.ready)
    site.is_linked()
    update_id = site.order(target, GOOD)
    site.until_state(update_id, {"rebooting"}, 1800.0)
    site.pi.follow()
    assert site.pi.slot == "B"
    site.pi.follow(_GATE_S)
    update = _former_runs_again(site, update_id)
    assert update["code"] == "unhealthy"
    assert "does not answer" in str(update["detail"])


def test_a_data_partition_that_is_full_during_the_trial_bricks_nothing(site: House, stages: Stages) -> None:
    site.pi.resume(stages.trial)
    site.pi.run(_FILL, check=False)
    site.is_protecting()
    site.pi.run("rm /data/ballast" if site.stays_on_trial(300.0) else "true", check=False)
    site.is_protecting()
    update = site.until_state(stages.update_id, {"succeeded", "rolled_back", "failed"}, _GATE_S)
    boot = site.boot_state()
    assert boot["committed"] == ("B" if update["state"] == "succeeded" else "A")


def test_a_trial_that_nobody_commits_is_ended_by_the_guard(site: House, stages: Stages) -> None:
    site.pi.resume(stages.trial)
    update = _former_runs_again(site, stages.update_id, _nobody_judges)
    assert update["code"] in ("not_started", "unhealthy")


def _nobody_judges(site: House) -> None:
    site.pi.run("systemctl mask --runtime --now reed-health.timer reed-health.service reed-update.service")
    site.pi.remote.begin("systemctl start reed-trial-guard.service")
