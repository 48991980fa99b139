"""The first enrolment with a key in a TPM, proven to a cloud that uses the real cloud's judgement."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.errors import EnrolmentError, IdentityError, UnreachableError
from gateway.identity import tls
from gateway.identity.config import Config
from gateway.identity.enrol import enrol
from gateway.identity.keys import in_tpm
from gateway.identity.order import Enrolled, Order
from gateway.identity.slots import Slots
from gateway.identity.token import parse
from tests.fakes import est_cloud
from tests.fakes.est_cloud import Cloud
from tests.system.harness.swtpm import Maker, Swtpm
from tests.tpm.conftest import left_in
from tests.tpm.prover import Prover

ID = "hq-01"


@pytest.fixture
def cloud(tmp_path: Path, maker: Maker) -> Iterator[Cloud]:
    model = est_cloud.cloud(tmp_path / "cloud", attestation_required=True, prover=Prover(maker))
    with est_cloud.served(model) as running:
        yield running


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    (tmp_path / "state").mkdir()
    return Slots(tmp_path / "state" / "identity")


def enrolled(cloud: Cloud, slots: Slots, config: Config) -> tuple[Enrolled, dict[str, str]]:
    said: dict[str, str] = {}
    order = Order(url=cloud.url, token=parse(cloud.token(ID)), now_unix_s=datetime.now(UTC).timestamp())
    return enrol(order, slots, config, said.__setitem__), said


def test_a_gateway_enrols_with_a_key_that_its_tpm_has_made_and_proven(
    cloud: Cloud, slots: Slots, config: Config, tpm: Swtpm
):
    done, said = enrolled(cloud, slots, config)

    pair = slots.current()
    assert pair is not None
    assert in_tpm(pair.key_file)
    assert (done.key, said["key"]) == ("tpm", "made in the TPM")
    assert "the cloud believes that the key lies in this TPM" in said["attestation"]
    assert left_in(tpm) == []


def test_a_tpm_of_another_maker_is_refused_and_told_why(
    cloud: Cloud, slots: Slots, config: Config, tmp_path: Path
):
    stranger = Maker(tmp_path / "stranger")
    with stranger.make("x") as other, pytest.raises(EnrolmentError, match="maker of this TPM is not trusted"):
        enrolled(cloud, slots, Config(tcti=other.tcti, tpm_timeout_s=10))
    assert cloud.issued == []


def test_a_lost_answer_costs_neither_the_token_nor_a_second_key(cloud: Cloud, slots: Slots, config: Config):
    cloud.after = lambda path: path.endswith("simpleenroll")
    with pytest.raises(UnreachableError):
        enrolled(cloud, slots, config)
    cloud.after = lambda _: False

    _, said = enrolled(cloud, slots, config)

    assert said["key"] == "kept from the last attempt"
    assert cloud.issued[0].public_key() == cloud.issued[1].public_key()


def test_a_copied_card_is_useless_to_another_tpm(
    cloud: Cloud, slots: Slots, config: Config, other_tpm: Swtpm
):
    enrolled(cloud, slots, config)

    with pytest.raises(IdentityError, match="TPM"):
        tls.client_context(slots.ca_file, slots.current(), tcti=other_tpm.tcti)
