"""Renewal and recovery at a cloud that wants to know where the new key lies."""

import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from gateway.errors import EnrolmentError, TpmError
from gateway.identity import keys
from gateway.identity.rotation import renew
from gateway.identity.slots import Slots
from gateway.identity.software import SoftwareKeys
from tests.fakes.enrolled import CONFIG, enrolled, loads, working
from tests.fakes.est_cloud import Cloud
from tests.fakes.issuer import DAY
from tests.fakes.maker import Chip

REENROL = "POST /.well-known/est/simplereenroll"


@pytest.fixture
def demanding(cloud: Cloud) -> Cloud:
    cloud.attestation_required = True
    return cloud


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> list[Chip]:
    """New keys are such whose place a chip proves; the list says which chip."""
    fitted = [Chip()]

    class InAChip(SoftwareKeys):
        def attester(self) -> Chip:  # type: ignore[override]
            return fitted[0]

    monkeypatch.setattr(keys, "open_keys", lambda _config: InAChip())
    return fitted


@pytest.fixture(params=["valid", "expired"])
def slots(request: pytest.FixtureRequest, tmp_path: Path, cloud: Cloud) -> Slots:
    """A gateway that is going to renew, and one that has to recover."""
    now = datetime.now(UTC)
    ends = now - DAY if request.param == "expired" else now + DAY
    return enrolled(tmp_path / "identity", cloud, now - 31 * DAY, ends)


def count(cloud: Cloud, part: str) -> int:
    return sum(part in asked for asked in cloud.asked)


@pytest.mark.usefixtures("chip")
def test_a_cloud_that_asks_no_proof_is_given_none(slots: Slots, cloud: Cloud):
    renew(slots, CONFIG, time.time())

    assert not count(cloud, "attestation")


@pytest.mark.usefixtures("chip")
def test_the_new_key_is_proven_when_the_cloud_asks_for_it(slots: Slots, demanding: Cloud):
    pair = renew(slots, CONFIG, time.time())

    assert loads(pair, slots) == demanding.issued[-1]
    assert count(demanding, "attestation") == 2


@pytest.mark.usefixtures("chip")
def test_each_renewal_proves_its_own_key(slots: Slots, demanding: Cloud):
    for _ in range(3):
        slots.promote(renew(slots, CONFIG, time.time()))

    assert count(demanding, "attestation") == 6
    working(slots)


@pytest.mark.usefixtures("chip")
def test_a_cloud_that_wanted_the_proof_need_not_refuse_again(slots: Slots, demanding: Cloud):
    slots.promote(renew(slots, CONFIG, time.time()))
    demanding.asked.clear()

    slots.promote(renew(slots, CONFIG, time.time()))

    assert demanding.asked.count(REENROL) == 1
    assert count(demanding, "attestation") == 2


def test_a_proof_that_fails_costs_nothing_where_it_is_wanted_no_more(
    slots: Slots, demanding: Cloud, chip: list[Chip]
):
    slots.promote(renew(slots, CONFIG, time.time()))
    demanding.attestation_required = False
    chip[0] = Chip(b"nobody's")

    slots.promote(renew(slots, CONFIG, time.time()))

    assert slots.cloud is not None
    assert not slots.cloud.attestation


def test_a_proof_that_fails_is_the_reason_where_it_is_wanted_still(
    slots: Slots, demanding: Cloud, chip: list[Chip]
):
    slots.promote(renew(slots, CONFIG, time.time()))
    chip[0] = Chip(b"nobody's")

    with pytest.raises(EnrolmentError, match="the maker of this TPM is not trusted"):
        renew(slots, CONFIG, time.time())


def test_a_key_in_a_file_is_refused_and_the_pair_in_use_stays(slots: Slots, demanding: Cloud):
    before = working(slots)

    with pytest.raises(EnrolmentError, match="an attestation of the TPM is needed first") as refused:
        renew(slots, CONFIG, time.time())

    assert "\n" not in str(refused.value)
    assert working(slots) == before
    assert (slots.trial(), demanding.issued) == (None, [])


def test_without_a_proof_a_renewal_is_not_tried_by_recovery_too(tmp_path: Path, demanding: Cloud):
    slots = enrolled(tmp_path / "identity", demanding)

    with pytest.raises(EnrolmentError):
        renew(slots, CONFIG, time.time())

    assert demanding.asked.count(REENROL) == 1
    assert not count(demanding, "recovery")


@pytest.mark.usefixtures("chip")
def test_a_certificate_that_is_not_taken_any_more_is_replaced_with_proof(tmp_path: Path, demanding: Cloud):
    slots = enrolled(tmp_path / "identity", demanding)
    demanding.before = _turned_away

    pair = renew(slots, CONFIG, time.time())

    assert loads(pair, slots) == demanding.issued[-1]
    assert count(demanding, "recovery") == 3


def test_a_chip_that_is_not_believed_is_told_why(slots: Slots, demanding: Cloud, chip: list[Chip]):
    chip[0] = Chip(b"nobody's")

    with pytest.raises(EnrolmentError, match="the maker of this TPM is not trusted"):
        renew(slots, CONFIG, time.time())

    assert demanding.issued == []


def test_a_tpm_that_fails_at_the_proof_is_tried_again_later(
    slots: Slots, demanding: Cloud, chip: list[Chip], monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as failing:
        failing.setattr(chip[0], "answer", _dead)
        with pytest.raises(TpmError, match="does not answer"):
            renew(slots, CONFIG, time.time())
    assert slots.attempt is not None
    assert (slots.attempt.outcome, slots.attempt.detail) == ("failed", "the TPM does not answer")

    loads(renew(slots, CONFIG, time.time()), slots)


def _dead(*_: object) -> None:
    raise TpmError("the TPM does not answer")


def _turned_away(handler: BaseHTTPRequestHandler) -> bool:
    if not handler.path.endswith("simplereenroll"):
        return False
    handler.send_response(403)
    handler.send_header("Content-Length", "0")
    handler.send_header("Reed-Reason", "certificate-revoked")
    handler.end_headers()
    return True
