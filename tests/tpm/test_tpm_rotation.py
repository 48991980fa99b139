"""Renewal with keys in the TPM, against a model of the cloud over TLS that asks for our certificate."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from gateway import durable
from gateway.errors import EnrolmentError, IdentityError, TpmError
from gateway.identity import tls
from gateway.identity.config import Config
from gateway.identity.keys import Keys, in_tpm, open_keys
from gateway.identity.records import Cloud as Where
from gateway.identity.rotation import renew
from gateway.identity.slots import Slots
from tests.fakes import est_cloud
from tests.fakes.est_cloud import Cloud
from tests.fakes.issuer import DAY, pem, public_pem
from tests.system.harness.swtpm import Maker, Swtpm
from tests.tpm.conftest import left_in
from tests.tpm.prover import Prover

NAME = "hq-01"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with est_cloud.served(est_cloud.cloud(tmp_path)) as running:
        yield running


@pytest.fixture
def demanding(cloud: Cloud, maker: Maker) -> Cloud:
    """It wants each key proven, and judges as the real one does."""
    cloud.attestation_required, cloud.prover = True, Prover(maker)
    return cloud


def enrolled(folder: Path, cloud: Cloud, keys: Keys, starts: datetime | None = None) -> Slots:
    slots = Slots(folder)
    pair = slots.prepare()
    keys.create(pair.key_file)
    csr = x509.load_der_x509_csr(keys.csr(pair.key_file, NAME))
    certificate = cloud.authority.issue(csr.public_key(), NAME, starts=starts)  # type: ignore[arg-type]
    durable.write(pair.cert_file, pem(certificate) + pem(cloud.authority.intermediate))
    slots.save_ca(pem(cloud.authority.root))
    slots.save_cloud(Where(NAME, cloud.url, *cloud.broker))
    slots.promote(pair)
    return slots


def in_use(slots: Slots, config: Config) -> bytes:
    """Return the public key in use; fails unless TLS could be begun with its pair."""
    pair = slots.current()
    assert pair is not None
    assert in_tpm(pair.key_file)
    tls.release(tls.client_context(slots.ca_file, pair, tcti=config.tcti))
    return public_pem(x509.load_pem_x509_certificates(pair.cert_file.read_bytes())[0].public_key())  # type: ignore[arg-type]


def test_five_renewals_use_six_keys_and_leave_nothing_in_the_tpm(
    tmp_path: Path, cloud: Cloud, keys: Keys, config: Config, tpm: Swtpm
):
    slots = enrolled(tmp_path / "identity", cloud, keys)
    used = [in_use(slots, config)]
    for _ in range(5):
        slots.promote(renew(slots, config, time.time()))
        used.append(in_use(slots, config))
        assert left_in(tpm) == []

    assert len(set(used)) == 6
    assert len(cloud.issued) == 5


def test_after_its_end_the_key_in_the_tpm_proves_who_we_are(
    tmp_path: Path, cloud: Cloud, keys: Keys, config: Config, tpm: Swtpm
):
    slots = enrolled(tmp_path / "identity", cloud, keys, datetime.now(UTC) - 40 * DAY)

    slots.promote(renew(slots, config, time.time()))

    in_use(slots, config)
    assert any("recovery" in asked for asked in cloud.asked)
    assert left_in(tpm) == []


@pytest.mark.parametrize("began", [timedelta(0), timedelta(days=40)], ids=["renewal", "recovery"])
def test_the_tpm_proves_the_next_key_where_the_cloud_wants_to_know(
    tmp_path: Path, demanding: Cloud, config: Config, tpm: Swtpm, began: timedelta
):
    slots = enrolled(tmp_path / "identity", demanding, open_keys(config), datetime.now(UTC) - began)
    used = [in_use(slots, config)]

    for _ in range(2):  # the first after a refusal, the second without one
        slots.promote(renew(slots, config, time.time()))
        used.append(in_use(slots, config))
        assert left_in(tpm) == []

    assert len(set(used)) == 3
    assert sum("attestation" in asked for asked in demanding.asked) == 4


def test_a_key_in_a_file_does_not_follow_one_in_the_tpm(tmp_path: Path, demanding: Cloud, config: Config):
    slots = enrolled(tmp_path / "identity", demanding, open_keys(config))
    before = in_use(slots, config)

    with pytest.raises(EnrolmentError, match="an attestation of the TPM is needed"):
        renew(slots, replace(config, key="software", allow_software_key=True), time.time())

    assert in_use(slots, config) == before
    assert demanding.issued == []


def test_a_tpm_that_dies_costs_a_renewal_and_nothing_else(
    tmp_path: Path, cloud: Cloud, keys: Keys, config: Config, tpm: Swtpm
):
    slots = enrolled(tmp_path / "identity", cloud, keys)
    before = in_use(slots, config)
    tpm.kill()
    with pytest.raises(TpmError):
        renew(slots, config, time.time())
    assert slots.trial() is None
    assert slots.attempt is not None
    assert slots.attempt.outcome == "failed"

    tpm.start()

    assert in_use(slots, config) == before
    slots.promote(renew(slots, config, time.time()))
    assert in_use(slots, config) != before


def test_a_cloned_card_cannot_renew_nor_recover(
    tmp_path: Path, cloud: Cloud, keys: Keys, config: Config, other_tpm: Swtpm
):
    slots = enrolled(tmp_path / "identity", cloud, keys)
    elsewhere = Config(tcti=other_tpm.tcti, tpm_timeout_s=10)

    with pytest.raises(IdentityError, match="belongs to another TPM"):
        renew(slots, elsewhere, time.time())

    assert cloud.issued == []
    in_use(slots, config)
