"""The life of a gateway's identity in Debian 13: enrolled on a TPM, rotated, denied, let in again, copied."""

import asyncio
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest

from gateway.cli.demo.cloud import Cloud as Ingest
from gateway.sim.hands import Battery, Dry, Leak, Speak
from tests.fakes.cloud import background
from tests.system.harness.cloud import ControlPlane, until
from tests.system.harness.house import STATE, House
from tests.system.harness.machine import Machine
from tests.system.harness.note import note
from tests.system.harness.swtpm import Maker
from tests.system.harness.tree import why_not

GATEWAY = "house-7"
DENIED_S = 5.0
FIRST_MESSAGE_S = 10.0
ROTATIONS = 5
PER_S = 100.0

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")


class Watch:
    """The cloud's ingest on a loop in a thread of its own, for tests that block."""

    def __init__(self, ingest: Ingest) -> None:
        self.ingest = ingest
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._end = asyncio.Event()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._run())

    async def _run(self) -> None:
        async with background(self.ingest.run()):
            await self._end.wait()

    def __enter__(self) -> Self:
        self._thread.start()
        until(lambda: self.ingest.connected, "the ingest")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    def command(self, kind: str, **body: object) -> str:
        """Send a signed command; return its id."""
        sent = asyncio.run_coroutine_threadsafe(self.ingest.command(kind, body), self._loop)
        return sent.result(10)

    def answered(self, command_id: str) -> list[str]:
        """Return the states that the gateway answered with."""
        return [state for state, _ in self.ingest.answers(command_id)]

    def missing(self, view: dict[str, Any]) -> list[int]:
        """Return which messages of this run of the daemon are not held."""
        epoch, last = view["store"]["epoch"], view["store"]["seq"]
        return [seq for seq in range(1, last + 1) if (GATEWAY, epoch, seq) not in self.ingest.held]


@contextmanager
def talking(house: House) -> Iterator[None]:
    """Have the gateway say about a hundred things a second: a battery that goes flat and is changed."""
    stop = threading.Event()

    def talk() -> None:
        with house.visitor() as visitor:
            percent = 5.0
            while not stop.wait(0.5 / PER_S):
                visitor.poke(Battery(sensor="plant-room-pump", percent=percent))
                visitor.poke(Speak(sensor="plant-room-pump"))
                percent = 95.0 - percent

    talker = threading.Thread(target=talk)
    talker.start()
    try:
        yield
    finally:
        stop.set()
        talker.join()


def troubles(house: House) -> set[str]:
    """Return which adapters are in trouble."""
    return {alarm["subject"] for alarm in house.view()["alarms"] if alarm["kind"] == "adapter"}


def leaks_told(watch: Watch) -> list[str]:
    """Return the states of leak alarms that the cloud has heard of."""
    alarms = (held["body"] for held in watch.ingest.held.values() if held["kind"] == "alarm")
    return [alarm["state"] for alarm in alarms if alarm["kind"] == "leak"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("identity")


@pytest.fixture(scope="module")
def machine(folder: Path) -> Iterator[Machine]:
    with Machine(folder / "house") as machine:
        yield machine


@pytest.fixture(scope="module")
def maker(machine: Machine) -> Maker:
    maker = Maker(Path("/var/lib/swtpm"), machine)
    maker.make("first")  # makes its certificates, too
    return maker


@pytest.fixture(scope="module")
def cloud(folder: Path, maker: Maker) -> Iterator[ControlPlane]:
    control = ControlPlane(folder / "cloud", maker.root_file, maker.intermediate_file)
    with control.running():
        yield control


@pytest.fixture(scope="module")
def house(machine: Machine, maker: Maker) -> Iterator[House]:
    with maker.make(GATEWAY) as tpm:
        house = House(machine, tpm, GATEWAY)
        house.build()
        house.start()
        yield house


@pytest.fixture(scope="module")
def watch(cloud: ControlPlane) -> Iterator[Watch]:
    with Watch(cloud.ingest(GATEWAY)) as watch:
        yield watch


def test_enrols_with_attestation_and_speaks_within_ten_seconds(
    house: House, cloud: ControlPlane, watch: Watch
):
    token = cloud.token(GATEWAY)
    began_s = time.monotonic()
    house.ask("enrol", "--url", cloud.url, "--token", token)
    until(lambda: watch.ingest.status(began_s) == (True, "connected"), "its first words", FIRST_MESSAGE_S)
    took_s = time.monotonic() - began_s
    note(f"enrolment to first message: {took_s:.1f} s")
    assert took_s < FIRST_MESSAGE_S
    assert house.view()["link"]["key"] == "tpm"
    assert "attest" in {entry["action"] for entry in cloud.audit()}


def test_the_key_is_in_no_file(house: House):
    pem = (house.identity_files() / "current" / "key.pem").read_text()
    assert "TSS2 PRIVATE KEY" in pem
    assert not any("BEGIN PRIVATE KEY" in path.read_text() for path in house.identity_files().rglob("*.pem"))


def test_rotates_five_times_under_load_without_a_loss_or_a_copy(house: House, watch: Watch):
    former, copies = house.view()["link"]["pair"], watch.ingest.copies.total()
    keys = set()
    began_s, held = time.monotonic(), len(watch.ingest.held)
    with talking(house):
        for _ in range(ROTATIONS):
            house.ask("renew")
            view = house.view()["link"]
            assert view["state"] == "up"
            assert view["pair"] != former
            former = view["pair"]
            keys.add((house.identity_files() / "current" / "key.pem").read_text())
    rate = (len(watch.ingest.held) - held) / (time.monotonic() - began_s)
    assert len(keys) == ROTATIONS
    until(lambda: not watch.missing(house.view()), "every message")
    doubled = watch.ingest.copies.total() - copies
    note(f"{ROTATIONS} rotations under {rate:.0f} messages a second; copies: {doubled}")
    assert not doubled
    assert rate > PER_S


def test_root_on_the_gateway_cannot_renew_with_a_key_to_carry_away(
    house: House, cloud: ControlPlane, watch: Watch
):
    before = (house.identity_files() / "current" / "key.pem").read_text()
    own = house.machine.path("/etc/reed/gateway.toml").read_text()
    carried_away = own.replace('key = "tpm"', 'key = "software"\nallow_software_key = true')
    house.machine.path("/tmp/software.toml").write_text(carried_away)

    status, line = house.refusal("renew", "--config", "/tmp/software.toml")

    assert status == 77
    assert f"{GATEWAY} has to prove that its key lies in its TPM" in line
    refused = [entry for entry in cloud.audit() if entry["outcome"] == "refused"]
    assert ("renew", "attestation-missing") in {(entry["action"], entry["reason"]) for entry in refused}
    assert (house.identity_files() / "current" / "key.pem").read_text() == before
    assert watch.ingest.status() == (True, "connected")


def test_denied_it_is_gone_within_five_seconds_and_cannot_return(
    house: House, cloud: ControlPlane, watch: Watch
):
    began_s = time.monotonic()
    cloud.ask("gateway", "deny", GATEWAY, "--reason", "story")
    until(lambda: house.view()["link"]["denied"], "the denial to be noticed")
    took_s = time.monotonic() - began_s
    note(f"denied in {took_s:.1f} s")
    assert took_s < DENIED_S
    sent_s = time.monotonic()
    command_id = watch.command("ping")
    time.sleep(DENIED_S)
    heard = [arrival for arrival in watch.ingest.since(sent_s) if arrival.message["gateway"] == GATEWAY]
    assert not [arrival for arrival in heard if arrival.message["kind"] != "status"]
    assert not watch.answered(command_id)
    assert "cloud-denied" in {alarm["kind"] for alarm in house.view()["alarms"]}


def test_denied_it_still_closes_its_valve_and_keeps_what_happened(house: House, watch: Watch):
    with house.visitor() as visitor:
        visitor.poke(Leak(pipe="main"))
        until(lambda: house.view()["valves"]["main"]["state"] == "closed", "the valve to close")
        visitor.poke(Dry(pipe="main"))
    assert sum(house.view()["store"]["queued"].values()) > 0
    assert not leaks_told(watch)


def test_a_denied_gateway_can_not_renew_its_way_in(house: House):
    status, line = house.refusal("renew")
    assert status == 77
    assert "denied" in line


def test_granted_it_comes_back_by_itself_with_everything(house: House, cloud: ControlPlane, watch: Watch):
    copies = watch.ingest.copies.total()
    cloud.ask("gateway", "grant", GATEWAY, "--reason", "story")
    took_s = until(lambda: house.view()["link"]["state"] == "up", "its return", 30.0)
    until(lambda: not watch.missing(house.view()), "every message")
    note(f"back {took_s:.1f} s after the grant; copies: {watch.ingest.copies.total() - copies}")
    assert leaks_told(watch)
    assert "cloud-denied" not in {alarm["kind"] for alarm in house.view()["alarms"] if alarm["active"]}


def test_a_copied_card_is_useless_in_another_gateway(
    house: House, cloud: ControlPlane, watch: Watch, folder: Path
):
    """The state folder on another board with another TPM of the same make: no session, no renewal."""
    with Machine(folder / "thief", "thief") as other:
        maker = Maker(Path("/var/lib/swtpm"), other)
        with maker.make("other") as tpm:
            thief = House(other, tpm, GATEWAY)
            shutil.copytree(house.machine.path(STATE), other.path(STATE), dirs_exist_ok=True, symlinks=True)
            thief.build()
            thief.start()
            until(lambda: "another TPM" in thief.view()["link"]["detail"], "its key to fail")
            status, line = thief.refusal("renew")
            assert status in (69, 77)
            assert "TPM" in line
            assert thief.view()["link"]["state"] == "down"
            until(lambda: troubles(thief) & {"tpm", "identity"}, "a trouble of its own")
    assert house.view()["link"]["state"] == "up"
    assert watch.ingest.status() == (True, "connected")


def test_the_audit_trail_tells_the_story_and_is_whole(cloud: ControlPlane):
    told = [entry["action"] for entry in cloud.audit() if entry["subject"] == GATEWAY]
    assert [action for action in told if action in ("enrol", "deny", "grant")] == ["enrol", "deny", "grant"]
    assert told.count("renew") >= ROTATIONS
    cloud.ask("audit", "--verify")


def test_retired_it_needs_a_new_token(house: House, cloud: ControlPlane):
    cloud.ask("gateway", "retire", GATEWAY, "--reason", "story")
    until(lambda: house.view()["link"]["denied"], "the end of its session")
    cloud.ask("gateway", "expect", GATEWAY, "--site", "house")
    with pytest.raises((AssertionError, subprocess.TimeoutExpired)):
        house.ask("renew")
    house.ask("enrol", "--url", cloud.url, "--token", cloud.token(GATEWAY), "--again")
    until(lambda: house.view()["link"]["state"] == "up", "its return", 20.0)
