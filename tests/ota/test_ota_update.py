"""A good update from the order to the second boot, and leaks that begin on its way."""

from tests.ota.harness.house import RECORD, House
from tests.ota.harness.say import say
from tests.ota.harness.stages import Stages
from tests.ota.harness.times import note
from tests.ota.harness.works import FIRST, GOOD

_MOST_TIMES_SLOWER = 3.0
_MOST_FETCHED = 0.05
_GATE_S = 900.0


def test_a_good_update_is_tried_and_kept_and_success_is_told_only_then(site: House, stages: Stages) -> None:
    site.pi.resume(stages.trial)
    boot = site.boot_state()
    assert (boot["running"], boot["committed"], boot["trial"]) == ("B", "A", "yes")
    assert "succeeded" not in [body["state"] for body in site.told(stages.update_id)]
    site.is_protecting()
    note("reboot to READY, in the gateway's time", site.ready_s())
    site.until_state(stages.update_id, {"succeeded"}, _GATE_S)
    note("start to committed, in the gateway's time", site.up_s())
    assert site.version == GOOD
    boot = site.boot_state()
    assert (boot["running"], boot["committed"], boot["trial"]) == ("B", "B", "no")
    told = site.hears(stages.update_id, "succeeded")
    assert (told["version"], told["from_version"]) == (GOOD, FIRST)

    site.pi.remote.begin("systemctl reboot")
    site.pi.follow()
    assert (site.pi.slot, site.pi.starts[-1].tryboot) == ("B", False)
    site.is_protecting()
    assert site.version == GOOD
    assert site.record()["state"] == "succeeded"


def test_a_leak_during_the_installation_closes_its_valve_hardly_later_than_otherwise(stages: Stages) -> None:
    assert stages.staged
    seen = stages.seen
    for name in ("leak, idle", "leak, download", "leak, install", "install", "fetch, with a leak in between"):
        note(name, seen[name])
    assert seen["leak, install"] <= _MOST_TIMES_SLOWER * seen["leak, idle"]


def test_a_leak_before_the_restart_holds_it_up_until_it_is_over(site: House, stages: Stages) -> None:
    site.pi.resume(stages.staged)
    waiting = site.record()
    assert (waiting["state"], waiting["next"]) == ("waiting", "reboot")
    assert "kitchen" in waiting["detail"]
    assert site.boot_state()["armed"] == "1"
    site.dry()
    site.until_state(stages.update_id, {"rebooting"}, 300.0)
    site.pi.follow()
    assert site.pi.slot == "B"


def test_without_the_internet_a_good_update_stays(site: House, stages: Stages) -> None:
    site.unplug()
    site.pi.resume(stages.trial)
    site.is_protecting()
    site.until_state(stages.update_id, {"succeeded"}, _GATE_S)
    assert site.boot_state()["committed"] == "B"
    assert not site.told(stages.update_id)


def test_power_that_is_lost_before_the_restart_leaves_the_former_version_which_says_so(
    site: House, stages: Stages
) -> None:
    site.pi.resume(stages.staged)
    site.pi.cut_power()
    site.pi.switch_on()
    assert site.pi.slot == "A"
    site.is_protecting()
    # the leak is over with the building's power; whether it is staged again or given up, it is told
    update = site.pi.until(f"grep -E 'rebooting|not_started|waiting' {RECORD}", 300.0)
    assert update


def test_the_next_release_with_a_file_changed_is_fetched_in_part_only(site: House, stages: Stages) -> None:
    bundle = stages.works.bundle(GOOD, "broken-daemon")
    target = stages.works.release(bundle)
    site.restock(stages.works)
    site.pi.resume(stages.staged)
    site.is_linked()
    site.pi.run("reed-gateway update cancel")
    site.until_state(stages.update_id, {"cancelled"}, 300.0)
    site.dry()
    site.server.forget()
    site.until_state(site.order(target, GOOD), {"installing"}, 900.0)
    part = site.server.of_targets() / bundle.stat().st_size
    say(f"fetched for a file that changed: {part:.2%} of the bundle")
    assert part <= _MOST_FETCHED
