"""Whose word counts for a key being in a TPM."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from cloud.errors import RefusedError, SetupError
from cloud.tpm.endorsement import Makers
from cloud.tpm.public import Public
from tests.fakes.softtpm import (
    NOW,
    YEAR,
    Key,
    Maker,
    SoftTpm,
)

TPM, OTHER, RSA_TPM = SoftTpm(), SoftTpm(), SoftTpm("RSA")


def public(key: Key) -> Public:
    return Public.read(key.public, "key")


def refused(reason: str) -> pytest.RaisesExc[RefusedError]:
    return pytest.raises(
        RefusedError, check=lambda error: error.reason == reason and "\n" not in error.detail
    )


ROOT = Maker.root()
INTERMEDIATE = ROOT.intermediate()
MAKERS = Makers((ROOT.certificate,), (INTERMEDIATE.certificate,))


def vouch(certificate: bytes, ek: Key = TPM.ek, makers: Makers = MAKERS) -> None:
    makers.vouch(certificate, public(ek), NOW)


@pytest.mark.parametrize("maker", [ROOT, INTERMEDIATE, INTERMEDIATE.intermediate("lower")])
@pytest.mark.parametrize("tpm", [TPM, RSA_TPM])
def test_a_trusted_maker_vouches_for_its_tpms(maker: Maker, tpm: SoftTpm):
    makers = replace(MAKERS, intermediates=(*MAKERS.intermediates, maker.certificate))

    vouch(maker.certify(tpm.ek), tpm.ek, makers)


@pytest.mark.parametrize("rest", [b"\0" * 500, b"\xff" * 7])
def test_the_unused_rest_of_a_tpms_memory_after_the_certificate_does_not_matter(rest: bytes):
    vouch(INTERMEDIATE.certify(TPM.ek) + rest)


def test_other_bytes_after_the_certificate_are_refused():
    with refused("ek-certificate-malformed"):
        vouch(INTERMEDIATE.certify(TPM.ek) + b"more")


def test_a_tpm_of_another_maker_is_refused_by_name():
    stranger = Maker.root("Stranger")

    with refused("ek-unknown-maker") as caught:
        vouch(stranger.certify(TPM.ek))
    assert "CN=Stranger" in caught.value.detail


def test_a_maker_with_the_name_of_a_trusted_one_is_refused():
    with refused("ek-unknown-maker"):
        vouch(Maker.root().certify(TPM.ek))


def test_nobody_is_trusted_by_default(tmp_path: Path):
    with refused("ek-unknown-maker"):
        vouch(INTERMEDIATE.certify(TPM.ek), makers=Makers.load(tmp_path / "ek-roots"))


def test_a_certificate_of_another_tpm_is_refused():
    with refused("ek-other-key"):
        vouch(INTERMEDIATE.certify(OTHER.ek))


def test_a_certificate_that_does_not_speak_of_a_tpm_is_refused():
    with refused("ek-not-a-tpm"):
        vouch(INTERMEDIATE.certify(TPM.ek, purposes=()))


def test_an_authority_is_no_tpm():
    with refused("ek-not-a-tpm"):
        vouch(INTERMEDIATE.certify(TPM.ek, authority=True))


@pytest.mark.parametrize(("begins", "ends"), [(NOW - 2 * YEAR, NOW - YEAR), (NOW + YEAR, NOW + 2 * YEAR)])
def test_a_certificate_outside_its_time_is_refused(begins: dt.datetime, ends: dt.datetime):
    with refused("ek-expired"):
        vouch(INTERMEDIATE.certify(TPM.ek, begins=begins, ends=ends))


@pytest.mark.parametrize("wishes", [{"ends": NOW - YEAR}, {"may_sign": False}])
def test_an_intermediate_that_may_not_sign_leads_nowhere(wishes: dict[str, object]):
    poor = ROOT.intermediate("poor", **wishes)

    with refused("ek-unknown-maker"):
        vouch(poor.certify(TPM.ek), makers=Makers((ROOT.certificate,), (poor.certificate,)))


def test_a_path_longer_than_an_authority_allows_is_refused():
    short = ROOT.intermediate("short", path_length=0)
    below = short.intermediate("below")

    with refused("ek-unknown-maker"):
        vouch(
            below.certify(TPM.ek), makers=Makers((ROOT.certificate,), (short.certificate, below.certificate))
        )


def test_a_tpm_cannot_sign_for_another_one():
    """An end-entity certificate among the intermediates must not become an authority."""
    pretender = replace(ROOT, key=TPM.key.private)
    certificate = pretender.certify(OTHER.ek)

    with refused("ek-unknown-maker"):
        vouch(certificate, OTHER.ek)


def test_two_intermediates_that_sign_each_other_end_the_search():
    one = Maker.root("one").intermediate("ring")
    ring = replace(one, certificate=one.intermediate("ring").certificate)

    with refused("ek-unknown-maker"):
        vouch(ring.certify(TPM.ek), makers=Makers((), (ring.certificate, one.certificate) * 3))


def test_makers_are_read_from_all_files_of_the_folder(tmp_path: Path):
    (tmp_path / "root.crt").write_bytes(ROOT.pem)
    (tmp_path / "both.pem").write_bytes(Maker.root("another").pem + INTERMEDIATE.pem)

    makers = Makers.load(tmp_path)

    assert len(makers.roots) == 2
    vouch(INTERMEDIATE.certify(TPM.ek), makers=makers)


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path):
    (tmp_path / "wrong.pem").write_text("no certificate")

    with pytest.raises(SetupError, match=r"wrong\.pem: holds no certificates"):
        Makers.load(tmp_path)
