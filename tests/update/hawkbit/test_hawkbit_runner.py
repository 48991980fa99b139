"""The whole runner at a hawkBit: five gateways of one rollout, restarts and all."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from gateway.domain.update.model import State
from gateway.update.hawkbit.client import Client
from gateway.update.hawkbit.guard import WindowGuard
from gateway.update.hawkbit.memory import Memory
from gateway.update.hawkbit.settings import Settings
from gateway.update.hawkbit.source import Hawkbit
from tests.fakes.authority import Authority
from tests.fakes.hawkbit import patient_loop
from tests.fakes.hawkbit.actions import DistributionSet, Module, Status
from tests.fakes.hawkbit.rollouts import Rollout
from tests.fakes.hawkbit.server import HawkbitServer
from tests.fakes.hawkbit.web import PlainWeb
from tests.update.updating import Gateway

NEW = DistributionSet("reed", "2", (Module("os", "reed", "2", metadata={"reed.target": "os/reed-2"}),))
NAMES = tuple(f"gw-{number}" for number in range(1, 6))
_POLL_S = 3600.0


class Fleet:
    """Gateways, each with its own certificate, folder, record and runner; and a rollout for them."""

    def __init__(self, server: HawkbitServer, authority: Authority, folder: Path) -> None:
        self.server = server
        self.gateways = {name: _gateway(name, server, authority, folder / name) for name in NAMES}
        self.rollout = Rollout(server.repository, success_percent=100, error_percent=50)
        self.rollout.add(NEW, *NAMES[:3])
        self.rollout.add(NEW, *NAMES[3:])

    async def timers_fire(self) -> None:
        """Let everybody's runner run, and once more after each restart; the server's scheduler looks on."""

        async def fire(gateway: Gateway) -> None:
            await gateway.run()
            while gateway.record.load() is not None and not gateway.update.state.final:
                await gateway.run()
                self.rollout.tick()
            self.rollout.tick()

        await asyncio.sleep(_POLL_S)
        async with asyncio.TaskGroup() as group:
            for gateway in self.gateways.values():
                group.create_task(fire(gateway))

    def versions(self) -> list[str]:
        return [gateway.machine.versions["os"] for gateway in self.gateways.values()]


def _gateway(name: str, server: HawkbitServer, authority: Authority, folder: Path) -> Gateway:
    folder.mkdir()
    gateway = Gateway(folder)
    web = PlainWeb(server.url, *authority.files(name), authority.home.roots_file)

    async def attributes() -> dict[str, str]:
        return {f"version.{kind}": version for kind, version in gateway.machine.versions.items()}

    settings = Settings(poll_s=900.0, deadline_s=86_400.0, attributes=attributes)

    def remembered() -> list[object]:
        saved = gateway.record.load()
        return [*(ended.update for ended in gateway.record.done()), *([saved.update] if saved else [])]

    source = Hawkbit(
        Client(web, "DEFAULT", name),
        Memory(folder / "hawkbit.json", gateway.time),
        remembered,  # type: ignore[arg-type]
        settings,
        gateway.time,
    )
    guard = WindowGuard(gateway.daemon, source, lambda: (saved := gateway.record.load()) and saved.update)
    gateway.parts = replace(gateway.parts, sources={"hawkbit": source}, guard=guard)
    return gateway


def _tell(fleet: Callable[[], Fleet], story: Callable[[Fleet], Awaitable[None]]) -> None:
    async def tell() -> None:
        await story(fleet())

    patient_loop.run(tell())


def test_a_rollout_pauses_over_its_threshold_and_three_gateways_keep_what_they_had(
    server: HawkbitServer, authority: Authority, folder: Path
):
    async def story(fleet: Fleet) -> None:
        fleet.gateways["gw-1"].daemon.sick = {"2"}
        fleet.gateways["gw-2"].machine.dead = {"2"}
        fleet.rollout.start()
        for _ in range(3):
            await fleet.timers_fire()
        first, second = fleet.rollout.groups
        assert fleet.rollout.status == "PAUSED"
        assert [action.status for action in first.actions] == [Status.ERROR, Status.ERROR, Status.FINISHED]
        assert [action.history[-1].code for action in first.actions] == [613, 612, 200]
        assert [action.status for action in second.actions] == [Status.SCHEDULED] * 2
        assert fleet.versions() == ["1", "1", "2", "1", "1"]
        untouched = [fleet.gateways[name].machine.calls for name in NAMES[3:]]
        assert untouched == [[], []]

    _tell(lambda: Fleet(server, authority, folder), story)


def test_hawkbit_hears_of_a_success_after_the_commit_and_not_before(
    server: HawkbitServer, authority: Authority, folder: Path
):
    async def story(fleet: Fleet) -> None:
        gateway, action = fleet.gateways["gw-1"], fleet.rollout.groups[0].actions[0]
        call = gateway.machine.call
        before: list[Status] = []

        async def watched(verb: str, *rest: object) -> object:
            if verb == "commit":
                before.append(action.status)
                assert gateway.machine.boots == 1
            return await call(verb, *rest)  # type: ignore[arg-type]

        gateway.machine.call = watched  # type: ignore[method-assign,assignment]
        fleet.rollout.start()
        await fleet.timers_fire()
        assert len(before) == 1
        assert before[0] is not Status.FINISHED
        assert action.status is Status.FINISHED
        assert gateway.outcome == (State.SUCCEEDED, "")
        await fleet.timers_fire()
        assert server.repository.target("gw-1").attributes["version.os"] == "2"

    _tell(lambda: Fleet(server, authority, folder), story)


def test_a_last_word_that_no_try_brought_there_is_said_by_the_next_run(
    server: HawkbitServer, authority: Authority, folder: Path
):
    async def story(fleet: Fleet) -> None:
        gateway, action = fleet.gateways["gw-1"], fleet.rollout.groups[0].actions[0]
        fleet.gateways = {"gw-1": gateway}
        call = gateway.machine.call

        async def cut_off(verb: str, *rest: object) -> object:
            if verb == "commit":
                server.troubles.next = [503] * 100
            return await call(verb, *rest)  # type: ignore[arg-type]

        gateway.machine.call = cut_off  # type: ignore[method-assign,assignment]
        fleet.rollout.start()
        await fleet.timers_fire()
        assert gateway.update.state is State.SUCCEEDED
        assert action.active
        server.troubles.next.clear()
        await fleet.timers_fire()
        assert action.status is Status.FINISHED
        assert gateway.machine.calls.count("install") == 1

    _tell(lambda: Fleet(server, authority, folder), story)
