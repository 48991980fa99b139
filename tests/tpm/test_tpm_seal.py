"""Secrets at rest: only the TPM that sealed them opens them."""

import json

import pytest

from gateway.errors import IdentityError, TpmError
from gateway.identity.config import Config
from gateway.identity.tpm.seal import MAX_BYTES, seal, unseal
from tests.system.harness.swtpm import Swtpm
from tests.tpm.conftest import left_in, tool


@pytest.mark.parametrize("secret", [b"\0", b"wet", bytes(range(MAX_BYTES))])
def test_a_secret_comes_back_after_a_power_cut(config: Config, tpm: Swtpm, secret: bytes):
    sealed = seal(config, secret)
    assert secret == b"\0" or secret not in sealed
    tpm.restart()
    assert unseal(config, sealed) == secret
    assert left_in(tpm) == []


def test_another_tpm_does_not_open_it(config: Config, other_tpm: Swtpm):
    sealed = seal(config, b"secret")
    elsewhere = Config(tcti=other_tpm.tcti)
    for _ in range(2):  # without a storage key, and with one
        with pytest.raises(IdentityError, match=r"this secret belongs to another TPM.*Set it again"):
            unseal(elsewhere, sealed)
        seal(elsewhere, b"its own")
    assert left_in(other_tpm) == []


def test_with_pcrs_it_opens_only_on_a_machine_that_started_the_same_way(config: Config, tpm: Swtpm):
    sealed = seal(config, b"secret", pcrs="sha256:7")
    assert unseal(config, sealed) == b"secret"
    tool(tpm, "tpm2_pcrextend", "7:sha256=" + "01" * 32)
    with pytest.raises(IdentityError, match=r"did not start as when this was sealed \(PCRs sha256:7\)"):
        unseal(config, sealed)
    assert unseal(config, seal(config, b"secret", pcrs="sha256:7")) == b"secret"
    assert left_in(tpm) == []


def test_its_pcrs_cannot_be_talked_away(config: Config, tpm: Swtpm):
    sealed = json.loads(seal(config, b"secret", pcrs="sha256:7"))
    with pytest.raises((IdentityError, TpmError)):
        unseal(config, json.dumps(sealed | {"pcrs": ""}).encode())


@pytest.mark.parametrize(
    "change", [{"version": 2}, {"public": "AAAA"}, {"private": "AAAA"}, {"private": "?"}, {"pcrs": 7}]
)
def test_a_damaged_secret_is_one_clear_line(config: Config, change: dict[str, object]):
    blob = json.loads(seal(config, b"secret"))
    with pytest.raises((IdentityError, TpmError)) as caught:
        unseal(config, json.dumps(blob | change).encode())
    assert "\n" not in str(caught.value)


def test_what_is_too_long_for_a_tpm_is_refused_with_its_limit(config: Config):
    with pytest.raises(IdentityError, match="1 to 128 bytes, this one 129"):
        seal(config, bytes(129))
