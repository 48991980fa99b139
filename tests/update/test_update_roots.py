"""Root keys that are replaced, lost and stolen; roots that an image brings."""

import shutil
from pathlib import Path

import pytest

from gateway.domain.update.model import Code
from ota import keys, rotating
from tests.fakes.ota.gateway import PATH, Gateway
from tests.fakes.ota.house import NOBODY, Vendor
from tests.fakes.ota.web import FileWeb


@pytest.fixture
def vendor(folder: Path) -> Vendor:
    made = Vendor(folder / "vendor")
    made.release(PATH)
    return made


@pytest.fixture
def gateway(vendor: Vendor, folder: Path) -> Gateway:
    return Gateway(vendor, folder / "tuf")


def rotate_root(vendor: Vendor, number: int) -> None:
    """Replace one of the three root keys, signed by the former ones."""
    name = vendor.repo.keys / f"root-new-{number}.pem"
    keys.make(name, None)
    oldest = vendor.repo.published("root").signed.roles["root"].keyids[0]  # type: ignore[union-attr]
    rotating.rotate(vendor.repo, "root", add=keys.public_file(name), remove=oldest)
    vendor.seal()


def test_a_gateway_that_slept_through_three_changes_of_root_keys_finds_its_way(
    vendor: Vendor, gateway: Gateway
) -> None:
    gateway.target()
    for number in range(3):
        rotate_root(vendor, number)
    assert gateway.target().version == "1.4.0"
    assert sorted(gateway.trusted().known().roots) == [1, 2, 3, 4]


def test_a_root_that_the_former_keys_have_not_signed_is_refused(
    vendor: Vendor, gateway: Gateway, folder: Path
) -> None:
    other = Vendor(folder / "other")
    rotate_root(other, 0)
    shutil.copy(other.file("root"), vendor.www / "metadata" / "2.root.json")
    assert gateway.refused() == Code.UNTRUSTED


def test_one_root_key_alone_cannot_make_a_root(vendor: Vendor, gateway: Gateway) -> None:
    thief = keys.open_key(vendor.repo.keys / "root-1.pem", NOBODY)
    metadata = vendor.change("root")
    metadata.signed.version = 2
    metadata.sign(thief)
    (vendor.www / "metadata" / "2.root.json").write_bytes(metadata.to_bytes())
    assert gateway.refused() == Code.UNTRUSTED


def test_a_stolen_key_that_was_replaced_signs_no_more(vendor: Vendor, gateway: Gateway) -> None:
    stolen = keys.open_key(vendor.repo.keys / "os.pem", NOBODY)
    keys.make(vendor.repo.keys / "os-2.pem", None)
    rotating.rotate(vendor.repo, "os", add=vendor.repo.keys / "os-2.pub", remove=stolen.public_key.keyid)
    vendor.seal()
    gateway.target()
    metadata = vendor.change("os")
    metadata.sign(stolen)
    vendor.file("os").write_bytes(metadata.to_bytes())
    shutil.rmtree(gateway.folder)
    assert gateway.refused() == Code.UNTRUSTED


def test_a_root_of_another_vendor_put_there_by_hand_begins_anew(
    vendor: Vendor, gateway: Gateway, folder: Path
) -> None:
    gateway.target()
    other = Vendor(folder / "other")
    other.release("os/other-2.raucb", b"2", version="2")
    gateway.root, gateway.web = other.root, FileWeb(other.www)
    assert gateway.target("os/other-2.raucb", "os", "2").version == "2"


def test_an_image_with_a_newer_root_keeps_what_was_seen(vendor: Vendor, gateway: Gateway) -> None:
    gateway.target()
    old = vendor.file("timestamp").read_bytes()
    rotate_root(vendor, 0)
    gateway.root = vendor.file("root")
    vendor.refresh()
    gateway.target()
    vendor.file("timestamp").write_bytes(old)
    assert gateway.refused() == Code.OLDER
    gateway.root = vendor.root  # the former slot, with the former root
    assert gateway.refused() == Code.OLDER


def test_without_any_root_nothing_is_believed(gateway: Gateway, folder: Path) -> None:
    gateway.root = folder / "none.json"
    assert gateway.refused() == Code.UNTRUSTED
