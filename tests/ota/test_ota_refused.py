"""What must not be installed is refused before anything is written: no slot and no choice changes."""

import json
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata

from tests.ota.harness.house import House
from tests.ota.harness.say import say
from tests.ota.harness.stages import Stages
from tests.ota.harness.works import GOOD, Works

_REFUSED = {"failed", "rejected"}
_IN_S = 400.0
_SLOT_B = (3, 6)


def _refusal(site: House, stages: Stages, target: str, version: str = GOOD) -> str:
    """Order it, wait for the refusal, look at the card; return the code."""
    site.pi.resume(stages.ready)
    site.is_linked()
    update_id = site.order(target, version)
    update = site.until_state(update_id, _REFUSED, _IN_S)
    say(f"{update['state']}: {update['code']}: {update['detail']}")
    assert site.hears(update_id, str(update["state"]))["code"] == update["code"]
    boot = site.boot_state()
    assert (boot["running"], boot["committed"], boot["armed"], boot["staged"]) == ("A", "A", "0", "")
    site.pi.cut_power()
    before = json.loads((stages.ready.with_suffix(".sums")).read_text())
    assert [site.pi.card.summary(number) for number in _SLOT_B] == before
    return str(update["code"])


@pytest.fixture(autouse=True)
def _sums(site: House, stages: Stages) -> None:
    file = stages.ready.with_suffix(".sums")
    if not file.exists():
        site.pi.card.copy_from(stages.ready)
        file.write_text(json.dumps([site.pi.card.summary(number) for number in _SLOT_B]))


@pytest.mark.parametrize(
    ("name", "said", "codes"),
    [
        ("older", {"version": "0.9.0"}, {"older"}),
        ("foreign", {"compatible": "reed-rpi4-arm64"}, {"incompatible"}),
        ("unsigned", {"by": "dev"}, {"untrusted"}),
    ],
)
def test_a_bundle_that_is_not_for_this_gateway_is_refused(
    site: House, stages: Stages, name: str, said: dict[str, str], codes: set[str]
) -> None:
    works: Works = stages.works
    version = said.get("version", GOOD)
    target = works.release(works.small(name, **said), version, said.get("compatible", "reed-qemu-amd64"))
    site.restock(works)
    assert _refusal(site, stages, target, version) in codes


def test_a_bundle_that_lies_about_its_machine_is_refused_by_rauc(site: House, stages: Stages) -> None:
    file = stages.works.small("liar", compatible="reed-rpi4-arm64")
    target = stages.works.release(file)
    site.restock(stages.works)
    assert _refusal(site, stages, target) == "incompatible"


def test_a_bundle_that_was_changed_on_the_server_is_refused(site: House, stages: Stages) -> None:
    target = stages.works.release(stages.works.small("tampered"))
    site.restock(stages.works)
    file = next(site.shop.www.rglob("*.tampered.raucb"))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.unlink()  # a link to the vendor's own
    file.write_bytes(data)
    assert _refusal(site, stages, target) == "untrusted"


def test_metadata_that_are_held_back_are_refused_when_they_expire(site: House, stages: Stages) -> None:
    good = stages.good
    site.restock(stages.works)
    site.shop.expire()
    assert _refusal(site, stages, good) == "expired"


def test_lists_of_different_releases_are_not_mixed(site: House, stages: Stages) -> None:
    good = stages.good
    site.restock(stages.works)
    lists = sorted((site.shop.www / "metadata").glob("*.os.json"), key=_number)
    assert len(lists) > 1
    lists[-1].unlink()
    lists[-1].write_bytes(lists[-2].read_bytes())
    assert Metadata.from_file(str(lists[-1])).signed.version == _number(lists[-2])
    assert _refusal(site, stages, good) == "untrusted"


def _number(file: Path) -> int:
    return int(file.name.split(".")[0])
