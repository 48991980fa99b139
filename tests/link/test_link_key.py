"""A key that fails or hangs, as one in a TPM may: the link goes on trying, and nothing waits for it."""

import asyncio
import threading
from dataclasses import dataclass, field, replace

import pytest

from gateway.domain.events import AdapterFailed, AdapterRecovered
from gateway.errors import DeniedError, GatewayError, IdentityError, TpmError
from gateway.link import link as links
from gateway.link.blocking import Lane
from gateway.link.credentials import Access
from gateway.link.link import Link
from gateway.link.tls import Files
from tests.fakes.broker import Broker, DevCa, needs_mosquitto
from tests.fakes.cloud import background, running_cloud
from tests.fakes.waiting import until
from tests.link.conftest import Site, link_config, quick

pytestmark = [pytest.mark.broker, needs_mosquitto]


@dataclass
class Chip:
    """Credentials from a TPM that can be told how to fail."""

    files: Files
    problem: GatewayError | None = None
    hangs: threading.Event | None = None
    limit_s: float = 0.3
    uses_tpm: bool = True
    made: int = 0
    said: list[str] = field(default_factory=list)

    def make(self) -> Access:
        self.made += 1
        if self.hangs is not None:
            self.hangs.wait()
        if self.problem is not None:
            raise self.problem
        return replace(self.files.make(), in_tpm=True, pair="a")

    def useless(self, error: IdentityError) -> None:
        self.said.append(f"useless: {error}")

    def worked(self, access: Access) -> None:
        self.said.append(f"{access.pair} worked")

    def refused(self, access: Access, error: DeniedError) -> bool:
        self.said.append(f"{access.pair} refused: {error}")
        return False

    def failed(self, access: Access, error: GatewayError) -> bool:
        self.said.append(f"{access.pair} failed: {error}")
        return False


@pytest.fixture
def chip(site: Site, ca: DevCa, broker: Broker) -> Chip:
    made = Chip(Files(link_config(ca, broker)))
    site.credentials = made
    return made


@pytest.fixture
def link(site: Site, ca: DevCa, broker: Broker, chip: Chip) -> Link:
    return Link(link_config(ca, broker), site.host, quick())


def troubles(site: Site) -> list[str]:
    """What was told of the TPM, in order."""
    found = [e for e in site.events if isinstance(e, AdapterFailed | AdapterRecovered) and e.adapter == "tpm"]
    return [event.problem if isinstance(event, AdapterFailed) else "recovered" for event in found]


async def test_a_tpm_that_fails_is_told_once_counted_and_tried_again(site: Site, chip: Chip, link: Link):
    chip.problem = TpmError("the TPM is missing")
    async with background(link.run()):
        await until(lambda: link.view(0)["key_failures"] == 3)
        assert troubles(site) == ["the TPM is missing"]
        assert link.view(0)["detail"] == "the TPM is missing"

        chip.problem = None
        await until(lambda: link.is_up)
        assert troubles(site) == ["the TPM is missing", "recovered"]
        assert chip.said == ["a worked"]


async def test_a_tpm_that_hangs_costs_one_thread_and_not_a_turn_of_the_loop(
    site: Site, chip: Chip, link: Link
):
    chip.hangs = threading.Event()
    async with background(link.run()):
        await until(lambda: link.view(0)["key_failures"] >= 5)
        stuck = [thread for thread in threading.enumerate() if thread.name == "link"]
        assert (chip.made, len(stuck)) == (1, 1)
        assert troubles(site) == ["reading certificate and key has not ended yet"]
        turns = 0
        while turns < 200:  # the same loop in which a valve would close
            await asyncio.sleep(0)
            turns += 1
            assert not link.is_up

        chip.hangs.set()
        await until(lambda: link.is_up)
        assert troubles(site)[-1] == "recovered"


async def test_whatever_is_wrong_with_the_identity_waits_for_somebody_to_mend_it(
    site: Site, chip: Chip, link: Link, monkeypatch: pytest.MonkeyPatch
):
    chip.problem = IdentityError("not enrolled; run: reed-gateway enrol")
    async with background(link.run()):
        await until(lambda: "not enrolled" in str(link.view(0)["detail"]))
        assert link.view(0)["sessions"] == 1
        assert troubles(site) == []

        chip.problem = None
        link.hand_over()
        await until(lambda: link.is_up)
    assert links.LOOK_AGAIN_S > 10


async def test_a_provider_with_a_bug_ends_the_link_and_nothing_else(chip: Chip, link: Link):
    chip.make = lambda: {}["bug"]  # type: ignore[method-assign]
    with pytest.raises(KeyError):
        await link.run()  # its bulkhead starts it again


async def test_a_session_that_hands_over_says_goodbye_and_the_next_one_hello(
    site: Site, ca: DevCa, broker: Broker, link: Link, chip: Chip
):
    async with running_cloud(ca, broker) as cloud, background(link.run()):
        await cloud.until(lambda c: c.status() == (True, "connected"))
        site.tell(300)
        link.hand_over()
        await until(lambda: chip.said == ["a worked", "a worked"])
        await until(lambda: not site.outbox.rows)

    assert not cloud.copies
    statuses = [a.message["body"] for a in cloud.arrivals if a.message["kind"] == "status"]
    assert [body["reason"] for body in statuses[:3]] == ["connected", "renewing", "connected"]


@pytest.mark.usefixtures("chip")
async def test_a_cloud_that_confirms_nothing_does_not_hold_up_the_new_certificate(
    site: Site, ca: DevCa, broker: Broker, link: Link, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gateway.link.session._HAND_OVER_S", 0.3)
    async with running_cloud(ca, broker, receipts=False) as cloud, background(link.run()):
        site.tell(5)
        await cloud.until(lambda c: len(c.held) == 5)
        link.hand_over()
        await cloud.until(lambda c: len(c.copies) == 5)

    assert link.view(0)["sessions"] == 2
    assert not site.outbox.poisoned


async def test_what_is_stuck_in_a_lane_is_waited_for_by_nobody_and_joined_by_nobody():
    lane, release, late = Lane(), threading.Event(), asyncio.Event()
    with pytest.raises(TimeoutError):
        await lane.run("the first", release.wait, 0.05, late.set)
    assert lane.stuck == "the first"
    with pytest.raises(TimeoutError, match="the first"):
        await lane.run("the second", lambda: 1 / 0, 5.0)

    release.set()
    await late.wait()

    assert lane.stuck == ""
    assert await lane.run("the third", lambda: 3, 5.0) == 3
