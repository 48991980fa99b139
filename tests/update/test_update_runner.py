import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gateway.domain.update.model import Code, Kind, Order, State, Step, Window
from gateway.errors import StoreError, UpdateError
from gateway.update import keep
from gateway.update.lease import GIVEN_UP_S
from gateway.update.mailbox import Pause
from gateway.update.ports import Lease
from gateway.update.record import RECORD
from tests.fakes import quick_loop
from tests.update.updating import Gateway

Story = Callable[[Gateway], Awaitable[None]]


def told(folder: Path, story: Story, **timing: float) -> None:
    async def tell() -> None:
        await story(Gateway(folder, **timing))

    quick_loop.run(tell())


def test_a_system_is_fetched_installed_tried_and_kept(folder: Path):
    async def story(gateway: Gateway) -> None:
        gateway.wants(Kind.OS)
        await gateway.run_out()

        assert gateway.outcome == (State.SUCCEEDED, "")
        assert (gateway.machine.versions["os"], gateway.machine.trial) == ("2", False)
        assert gateway.machine.calls == ["install", "reboot", "commit"]
        assert gateway.states() == [
            "accepted",
            "downloading",
            "waiting",
            "installing",
            "waiting",
            "rebooting",
            "verifying",
            "succeeded",
        ]

    told(folder, story)


@pytest.mark.parametrize("kind", [Kind.APP, Kind.CONFIG])
def test_packages_and_configuration_need_no_restart_of_the_machine(folder: Path, kind: Kind):
    async def story(gateway: Gateway) -> None:
        gateway.wants(kind)
        await gateway.run()
        assert gateway.outcome == (State.SUCCEEDED, "")
        assert (gateway.machine.versions[kind.value], gateway.machine.boots) == ("2", 0)

    told(folder, story)


def test_a_system_that_is_not_well_is_left_and_the_reason_is_told(folder: Path):
    async def story(gateway: Gateway) -> None:
        gateway.wants(Kind.OS)
        gateway.daemon.sick = {"2"}
        await gateway.run_out()

        assert gateway.outcome == (State.ROLLED_BACK, "unhealthy")
        assert "sump" in gateway.update.detail
        assert gateway.machine.versions["os"] == "1"
        assert gateway.cloud.told[-1].state is State.ROLLED_BACK

    told(folder, story)


@pytest.mark.parametrize("kind", [Kind.APP, Kind.CONFIG])
def test_a_version_that_is_not_well_gives_way_to_the_former_one(folder: Path, kind: Kind):
    async def story(gateway: Gateway) -> None:
        gateway.wants(kind)
        gateway.daemon.sick = {"2"}
        await gateway.run()
        assert gateway.outcome == (State.ROLLED_BACK, "unhealthy")
        assert gateway.machine.versions[kind.value] == "1"

    told(folder, story)


def test_a_system_that_does_not_start_is_tried_twice(folder: Path):
    async def story(gateway: Gateway) -> None:
        gateway.wants(Kind.OS)
        gateway.machine.dead = {"2"}
        await gateway.run_out()
        assert gateway.outcome == (State.ROLLED_BACK, "not_started")
        assert gateway.machine.calls.count("reboot") == 2

    told(folder, story)


def test_a_daemon_that_dies_with_the_new_version_is_no_reason_to_stay(folder: Path):
    async def story(gateway: Gateway) -> None:
        gateway.wants(Kind.OS)
        was_restart = gateway.machine.on_restart

        def restart() -> None:
            gateway.daemon.dead = gateway.machine.versions["os"] == "2"
            was_restart()

        gateway.machine.on_restart = restart
        await gateway.run_out()
        assert gateway.outcome == (State.ROLLED_BACK, "unhealthy")
        assert "does not answer" in gateway.update.detail

    told(folder, story)


def test_a_leak_pauses_the_download_and_what_comes_after_it(folder: Path):
    async def story(gateway: Gateway) -> None:
        gateway.wants(Kind.APP)
        gateway.fetch.lasts_s = 100.0
        loop = asyncio.get_running_loop()

        def leak() -> None:
            gateway.fetch.during = lambda: None
            gateway.daemon.waits = ["zone cellar is wet: sump"]
            loop.call_later(500.0, gateway.daemon.waits.clear)

        gateway.fetch.during = leak
        await gateway.run()
        assert gateway.fetch.begun == 2
        assert gateway.outcome == (State.SUCCEEDED, "")
        waiting = [update for update in gateway.daemon.told if update.detail.startswith("zone cellar")]
        assert [update.state for update in waiting] == [State.WAITING]

    told(folder, story)


def test_a_release_that_was_taken_back_while_it_waited_is_not_installed(folder: Path):
    async def story(gateway: Gateway) -> None:
        gateway.wants(Kind.APP)
        gateway.fetch.stale = UpdateError(Code.UNTRUSTED, "nobody whom we trust has signed app/2")
        await gateway.run()
        assert gateway.outcome == (State.REJECTED, "untrusted")
        assert gateway.update.from_version == "1"

    told(folder, story)


@pytest.mark.parametrize(("kind", "asked"), [(Kind.APP, Step.INSTALL), (Kind.OS, Step.REBOOT)])
def test_nothing_is_installed_or_restarted_while_the_core_objects(folder: Path, kind: Kind, asked: Step):
    async def story(gateway: Gateway) -> None:
        gateway.wants(kind, deadline_s=20_000.0)
        verb = {Step.INSTALL: "install", Step.REBOOT: "reboot"}[asked]
        lease = gateway.daemon.lease

        async def objects(step: Step) -> Lease:
            gateway.daemon.waits = ["valve main is closing"] if step is asked else []
            return await lease(step)

        gateway.daemon.lease = objects  # type: ignore[method-assign]
        await gateway.run()
        assert verb not in gateway.machine.calls
        assert gateway.outcome == (State.FAILED, "timeout")
        assert "valve main is closing" in gateway.update.detail

    told(folder, story)


def test_without_a_daemon_things_are_fetched_but_not_installed(folder: Path):
    async def story(gateway: Gateway) -> None:
        gateway.wants(Kind.APP, deadline_s=GIVEN_UP_S - 60)
        gateway.daemon.dead = True
        await gateway.run()
        assert gateway.fetch.whole
        assert gateway.machine.calls == []
        assert gateway.outcome == (State.FAILED, "timeout")

    told(folder, story)


def test_a_daemon_that_does_not_come_back_is_mended_by_the_version_that_runs(folder: Path):
    async def story(gateway: Gateway) -> None:
        gateway.wants(Kind.APP, deadline_s=20_000.0)
        gateway.daemon.dead = True
        gateway.machine.on_install = lambda: setattr(gateway.daemon, "dead", False)
        await gateway.run()
        assert gateway.time.now_s() >= GIVEN_UP_S
        assert gateway.outcome == (State.SUCCEEDED, "")

    told(folder, story)


def test_a_lost_network_is_waited_for(folder: Path):
    async def story(gateway: Gateway) -> None:
        gateway.wants(Kind.APP)
        gateway.fetch.troubles = [UpdateError(Code.UNREACHABLE, "no route", passing=True) for _ in range(5)]
        await gateway.run()
        assert gateway.outcome == (State.SUCCEEDED, "")
        assert gateway.time.now_s() > 30 + 60 + 120 + 240 + 480

    told(folder, story)


def test_what_is_not_trusted_is_rejected_before_anything_is_written(folder: Path):
    async def story(gateway: Gateway) -> None:
        gateway.wants(Kind.OS)
        gateway.machine.trouble["install"] = [UpdateError(Code.UNTRUSTED, "the hash is wrong")]
        await gateway.run()
        assert gateway.outcome == (State.REJECTED, "untrusted")
        assert gateway.machine.calls == ["install"]

    told(folder, story)


def test_kinds_that_are_not_allowed_or_not_possible_are_rejected(folder: Path):
    async def story(gateway: Gateway) -> None:
        gateway.wants(Kind.OS)
        gateway.machine.versions.pop("os")
        await gateway.run()
        assert gateway.outcome == (State.REJECTED, "unsupported")
        assert gateway.machine.calls == []

    told(folder, story)


def test_an_id_is_done_once_and_its_source_hears_the_end_again(folder: Path):
    async def story(gateway: Gateway) -> None:
        order = gateway.wants(Kind.APP)
        await gateway.run()
        gateway.machine.versions["app"] = "1"
        gateway.cloud.orders = [order]
        await gateway.run()
        assert gateway.machine.calls == ["install", "commit"]
        assert gateway.cloud.told[-1].state is State.SUCCEEDED
        assert gateway.cloud.orders == []

    told(folder, story)


def test_whoever_wants_something_meanwhile_is_told_to_come_later(folder: Path):
    async def story(gateway: Gateway) -> None:
        gateway.wants(Kind.APP)
        gateway.fetch.lasts_s = 500.0
        gateway.fetch.during = lambda: gateway.mailbox.ask(Order("mine", Kind.CONFIG, "config/9", "9"))
        await gateway.run()
        assert gateway.outcome == (State.SUCCEEDED, "")
        refused = gateway.record.find("mine")
        assert refused is not None
        assert (refused.update.state, refused.update.code) == (State.REJECTED, "busy")

    told(folder, story)


@pytest.mark.parametrize("who", ["cloud", "local"])
def test_an_update_is_cancelled_by_its_source_or_by_somebody_here(folder: Path, who: str):
    async def story(gateway: Gateway) -> None:
        order = gateway.wants(Kind.APP)
        gateway.fetch.lasts_s = 500.0

        def cancel() -> None:
            if who == "local":
                gateway.mailbox.cancel(order.id)
            else:
                gateway.cloud.withdrawn.add(order.id)

        gateway.fetch.during = cancel
        await gateway.run()
        assert gateway.outcome == (State.CANCELLED, "cancelled")
        assert not gateway.fetch.whole

    told(folder, story)


def test_somebody_here_can_have_the_former_version_back_while_the_new_one_is_on_trial(folder: Path):
    async def story(gateway: Gateway) -> None:
        order = gateway.wants(Kind.APP)
        asyncio.get_running_loop().call_later(29.0, lambda: gateway.mailbox.undo(order.id))
        gateway.daemon.sick = {"2"}
        await gateway.run()
        assert gateway.outcome == (State.ROLLED_BACK, "unhealthy")
        assert gateway.update.detail == "asked for at this machine"

    told(folder, story)


def test_a_window_that_is_far_lets_the_runner_rest_and_go_on_later(folder: Path):
    async def story(gateway: Gateway) -> None:
        gateway.wants(Kind.APP, window=Window(22 * 60, 23 * 60))
        await gateway.run()
        assert (gateway.update.state, gateway.update.detail) == (State.WAITING, "waits for 22:00-23:00")
        assert gateway.fetch.whole

        await asyncio.sleep(10 * 3600.0)
        await gateway.run()
        assert gateway.outcome == (State.SUCCEEDED, "")

    told(folder, story)


def test_hours_of_waiting_are_not_written_to_the_card_again_and_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    written: list[str] = []
    write = keep.write

    def counting(path: Path, data: bytes) -> None:
        written.append(path.name)
        write(path, data)

    monkeypatch.setattr(keep, "write", counting)

    async def story(gateway: Gateway) -> None:
        gateway.wants(Kind.APP)
        gateway.daemon.waits = ["zone cellar is wet: sump"]
        asyncio.get_running_loop().call_later(6 * 3600.0, gateway.daemon.waits.clear)
        await gateway.run()
        assert gateway.outcome == (State.SUCCEEDED, "")

    told(folder, story)
    assert written.count(RECORD) < 6 * 4 + 15


def test_a_window_without_a_clock_is_waited_for(folder: Path):
    async def story(gateway: Gateway) -> None:
        gateway.wants(Kind.APP, window=Window(0, 60), deadline_s=5000.0)
        gateway.time.minute_of_day = None
        await gateway.run()
        assert gateway.outcome == (State.FAILED, "timeout")
        assert "clock" in gateway.update.detail

    told(folder, story)


def test_a_pause_holds_everything_up_and_ends_by_itself(folder: Path):
    async def story(gateway: Gateway) -> None:
        gateway.mailbox.pause(Pause(None, gateway.time.boot_id, 900.0))
        gateway.wants(Kind.APP)
        await gateway.run()
        assert gateway.outcome == (State.SUCCEEDED, "")
        assert 900.0 < gateway.time.now_s() < 1200.0

    told(folder, story)


def test_a_disk_that_does_not_take_the_record_holds_the_step_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    full = True
    write = keep.write

    def refuse(path: Path, data: bytes) -> None:
        if full and path.name == RECORD and b'"installing"' in data:
            raise StoreError(f"{path}: no space left")
        write(path, data)

    monkeypatch.setattr(keep, "write", refuse)

    async def story(gateway: Gateway) -> None:
        nonlocal full
        gateway.wants(Kind.APP)

        def free() -> None:
            nonlocal full
            full = False
            assert "install" not in gateway.machine.calls

        asyncio.get_running_loop().call_later(1000.0, free)
        await gateway.run()
        assert gateway.outcome == (State.SUCCEEDED, "")

    told(folder, story)


def test_an_order_that_the_disk_does_not_take_stays_with_its_source(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(path: Path, data: bytes) -> None:
        raise StoreError(f"{path}: no space left")

    async def story(gateway: Gateway) -> None:
        gateway.wants(Kind.APP)
        monkeypatch.setattr(keep, "write", refuse)
        with pytest.raises(StoreError, match="no space"):
            await gateway.run()
        assert gateway.cloud.told == []
        monkeypatch.undo()
        await gateway.run()
        assert gateway.outcome == (State.SUCCEEDED, "")

    told(folder, story)


def test_an_end_that_nobody_heard_of_is_told_by_the_next_run(folder: Path):
    async def story(gateway: Gateway) -> None:
        gateway.wants(Kind.APP)
        gateway.daemon.deaf = True

        async def lose(_: object) -> None:
            raise UpdateError(Code.UNREACHABLE, "no network", passing=True)

        report, gateway.cloud.report = gateway.cloud.report, lose  # type: ignore[method-assign]
        await gateway.run()
        assert gateway.outcome == (State.SUCCEEDED, "")
        assert gateway.daemon.told == []

        gateway.daemon.deaf, gateway.cloud.report = False, report  # type: ignore[method-assign]
        await gateway.run()
        assert [update.state for update in gateway.daemon.told] == [State.SUCCEEDED]
        assert [update.state for update in gateway.cloud.told] == [State.SUCCEEDED]

        await gateway.run()
        assert len(gateway.cloud.told) == 1

    told(folder, story)


def test_only_one_runner_works(folder: Path):
    async def story(gateway: Gateway) -> None:
        gateway.wants(Kind.APP)
        with gateway.record.only_one() as ours:
            assert ours
            await gateway.run()
        assert gateway.cloud.told == []

    told(folder, story)


def test_verify_brings_a_trial_to_its_verdict_and_takes_no_order(folder: Path):
    async def story(gateway: Gateway) -> None:
        gateway.wants(Kind.OS)
        await gateway.run()
        assert gateway.machine.trial
        gateway.wants(Kind.APP)

        await gateway.run(verify_only=True)
        assert gateway.outcome == (State.SUCCEEDED, "")
        assert gateway.update.order.kind is Kind.OS
        await gateway.run(verify_only=True)
        assert gateway.update.order.kind is Kind.OS

    told(folder, story)


VERBS = ["install", "reboot", "commit"]


@pytest.mark.parametrize("verb", VERBS)
def test_a_power_cut_in_each_verb_still_ends_in_success(folder: Path, verb: str):
    async def story(gateway: Gateway) -> None:
        gateway.wants(Kind.OS)
        gateway.machine.cuts = [verb]
        await gateway.run_out()
        assert gateway.outcome == (State.SUCCEEDED, "")
        assert (gateway.machine.versions["os"], gateway.machine.trial) == ("2", False)

    told(folder, story)


def test_power_cuts_in_every_installation_end_with_the_former_version(folder: Path):
    async def story(gateway: Gateway) -> None:
        gateway.wants(Kind.OS)
        gateway.machine.cuts = ["install"] * 3
        await gateway.run_out()
        assert gateway.outcome == (State.FAILED, "interrupted")
        assert gateway.machine.versions["os"] == "1"

    told(folder, story)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("sick", [False, True])
def test_a_power_cut_at_any_moment_ends_as_it_would_have_without(folder: Path, kind: Kind, sick: bool):
    """The machine loses power after n seconds, for every n of the way."""

    def outcome(cut_s: float | None) -> tuple[State, str, str]:
        async def tell() -> tuple[State, str, str]:
            home = folder / str(cut_s)
            gateway = Gateway(home, health_timeout_s=20.0)
            gateway.fetch.lasts_s = 8.0
            gateway.wants(kind)
            gateway.daemon.sick = {"2"} if sick else set()
            if cut_s is not None:
                cut = gateway.machine.restart
                asyncio.get_running_loop().call_later(cut_s, lambda: cut(power_cut=True))
            await gateway.run_out()
            await gateway.run_out()
            return (*gateway.outcome, gateway.machine.versions[kind.value])

        return quick_loop.run(tell())

    undisturbed = outcome(None)
    assert undisturbed[0] is (State.ROLLED_BACK if sick else State.SUCCEEDED)
    different = {cut_s: found for cut_s in range(60) if (found := outcome(cut_s + 0.5)) != undisturbed}
    assert different == {}


def test_a_damaged_record_is_kept_aside_and_said_in_one_line(folder: Path, caplog: pytest.LogCaptureFixture):
    folder.joinpath(RECORD).write_bytes(b'{"update": {"order"')

    async def story(gateway: Gateway) -> None:
        await gateway.run()
        assert (folder / f"{RECORD}.bad").exists()
        assert [r.message for r in caplog.records if r.levelname == "ERROR"] == gateway.record.troubles

    told(folder, story)
