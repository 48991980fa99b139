"""RAUC's client against a model of its service on a real bus; tests/system has the real RAUC."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.domain.update.model import Code
from gateway.errors import UpdateError
from gateway.update.apply.rauc import Rauc
from gateway.update.apply.rauc_errors import meaning
from tests.fakes import dbus
from tests.fakes.rauc import Disk, RaucService

PATH = Path("/taken/tried.raucb")
NEW = {"compatible": "reed-test", "version": "1.1.0"}

pytestmark = pytest.mark.skipif(dbus.PROGRAM is None, reason="dbus-daemon is missing (apt install dbus)")


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with dbus.private_bus(tmp_path) as address:
        yield address


@pytest.fixture
def disk() -> Disk:
    return Disk(bundles={str(PATH): NEW})


async def installed(
    address: str, disk: Disk, *, silent_s: float = 5.0, dies_at: int = 1000, hangs: bool = False
) -> list[int]:
    """Install with a service that may die once; another one is started at once then, as systemd does."""
    first, second = RaucService(address, disk, dies_at=dies_at, hangs=hangs), RaucService(address, disk)
    percents: list[int] = []
    await first.start()
    try:
        async with asyncio.TaskGroup() as tasks:
            work = tasks.create_task(Rauc(address, silent_s).install(PATH, percents.append))
            if dies_at < 1000:
                tasks.create_task(_follow(first, second))
            await work
    except* UpdateError as group:
        raise group.exceptions[0] from None
    finally:
        first.stop()
        second.stop()
    return percents


async def _follow(first: RaucService, second: RaucService) -> None:
    await first.gone.wait()
    await second.start()


async def test_an_installation_tells_how_far_it_is_and_ends_staged(address: str, disk: Disk):
    assert await installed(address, disk) == [0, 20, 40, 60, 80, 100]
    assert (disk.primary, disk.versions["B"]) == ("B", "1.1.0")


async def test_what_rauc_says_of_a_failure_becomes_ours(address: str, disk: Disk):
    disk.bundles[str(PATH)] = NEW | {
        "error": "Compatible mismatch: Expected 'reed-test' but bundle manifest has 'x'"
    }
    with pytest.raises(UpdateError, match="Expected 'reed-test'") as refused:
        await installed(address, disk)
    assert (refused.value.code, refused.value.passing, disk.primary) == (Code.INCOMPATIBLE, False, "A")


async def test_a_signature_that_is_wrong_is_found_before_anything_is_written(address: str):
    disk = Disk()
    with pytest.raises(UpdateError) as refused:
        await installed(address, disk)
    assert (refused.value.code, disk.status) == (Code.UNTRUSTED, {})


async def test_a_service_that_dies_midway_leaves_the_old_system_primary(address: str, disk: Disk):
    with pytest.raises(UpdateError, match="slot B is pending") as refused:
        await installed(address, disk, dies_at=60)
    assert (refused.value.code, refused.value.passing, disk.primary) == (Code.INTERRUPTED, True, "A")


async def test_a_service_that_dies_when_all_is_done_has_done_it(address: str, disk: Disk):
    await installed(address, disk, dies_at=101)
    assert disk.primary == "B"


async def test_a_service_that_says_nothing_more_is_given_up(address: str, disk: Disk):
    with pytest.raises(UpdateError, match="said nothing") as refused:
        await installed(address, disk, silent_s=0.2, hangs=True)
    assert (refused.value.code, refused.value.passing) == (Code.INSTALL_FAILED, True)


async def test_a_second_installation_has_to_wait(address: str, disk: Disk):
    service = RaucService(address, disk, hangs=True)
    await service.start()
    with pytest.raises(UpdateError):
        await Rauc(address, 0.1).install(PATH, lambda _: None)
    with pytest.raises(UpdateError) as refused:
        await Rauc(address).slots()
    assert (refused.value.code, refused.value.passing) == (Code.BUSY, True)
    service.stop()


async def test_slots_are_told_apart(address: str, disk: Disk):
    disk.status["B"] = "pending"
    service = RaucService(address, disk)
    await service.start()
    found = await Rauc(address).slots()
    assert (found.booted.bootname, found.other.bootname, found.primary) == ("A", "B", "A")
    assert found.interrupted == ("rootfs.1",)
    service.stop()


async def test_a_commit_that_the_back_end_refuses_is_an_error(address: str, disk: Disk):
    service = RaucService(address, disk)
    await service.start()
    rauc = Rauc(address)
    await rauc.mark_good()
    await rauc.mark_bad()
    with pytest.raises(UpdateError, match="custom backend failed") as refused:
        await rauc.mark_good()
    assert refused.value.code == Code.INSTALL_FAILED
    service.stop()


async def test_without_rauc_or_without_a_bus_it_says_so(address: str, tmp_path: Path):
    with pytest.raises(UpdateError) as refused:
        await Rauc(address).slots()
    assert "de.pengutronix.rauc" in str(refused.value)
    with pytest.raises(UpdateError, match="no system bus") as refused:
        await Rauc(f"unix:path={tmp_path}/nothing").slots()
    assert refused.value.passing


@pytest.mark.parametrize(
    ("text", "code", "passing"),
    [
        ("Version mismatch: Expected at least '1.0.0' but bundle manifest has '0.9.0'", Code.OLDER, False),
        ("signature verification failed: Verify error: certificate is not yet valid", Code.UNTRUSTED, True),
        ("signature verification failed: Verify error: certificate has expired", Code.UNTRUSTED, False),
        ("Bundle format 'plain' not allowed", Code.UNTRUSTED, False),
        ("Failed updating slot rootfs.1: No space left on device", Code.NO_SPACE, True),
        ("Slot (100 bytes) is too small for image (200 bytes).", Code.INCOMPATIBLE, False),
        ("Failed to load dm table: x, check DM_VERITY, DM_CRYPT kernel options.", Code.INSTALL_FAILED, False),
        ("something new", Code.INSTALL_FAILED, False),
        ("", Code.INSTALL_FAILED, False),
    ],
)
def test_texts_of_rauc_have_a_meaning(text: str, code: Code, passing: bool):
    found = meaning(text)
    assert (found.code, found.passing) == (code, passing)
