"""Conformance of a broker: only a CRL that does no harm is installed."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from cloud.errors import BrokerError
from tests.cloud.broker_rig import GONE_S, Rig, Tell, gateway
from tests.fakes.authority import Signer


class Crls:
    """Only a CRL that does no harm is installed; after any other the former one holds."""

    @pytest.fixture(autouse=True)
    def _held(self, rig: Rig) -> None:
        """Of two gateways that are granted, one has a certificate that the CRL in force refuses."""
        rig.admin.grant_all(["crl-held", "crl-good"])
        rig.admin.install_crl(rig.authority.hold("crl-held"))

    def _refuses(self, rig: Rig, pem: bytes, why: str) -> None:
        began_s = time.monotonic()
        with pytest.raises(BrokerError, match=why):
            rig.admin.install_crl(pem)
        assert time.monotonic() - began_s < 3 * rig.timeout_s
        with gateway(rig, "crl-good"):
            pass
        if rig.obeys_crl:
            one = gateway(rig, "crl-held")
            assert not one.connect()
            one.leave()

    @pytest.mark.parametrize("what", ["", "no CRL at all", "certificate", "half", "bytes"])
    def test_garbage_is_refused(self, rig: Rig, what: str) -> None:
        good = rig.authority.crl()
        spoiled = good.replace(good[100:140], b"A" * 40)
        pem = {
            "certificate": rig.authority.home.chain_file.read_bytes(),
            "half": good[: len(good) - 60],
            "bytes": spoiled,
        }.get(what, what.encode())
        self._refuses(rig, pem, "no CRL|cannot be read|wrong signature")

    def test_an_expired_one_is_refused(self, rig: Rig) -> None:
        now = datetime.now(UTC)
        pem = rig.authority.crl(made_at=now - timedelta(days=8), valid_for=timedelta(days=7))
        self._refuses(rig, pem, "expired")

    def test_one_that_is_not_yet_valid_is_refused(self, rig: Rig) -> None:
        self._refuses(
            rig, rig.authority.crl(made_at=datetime.now(UTC) + timedelta(minutes=2)), "holds only from"
        )

    def test_one_of_another_authority_is_refused(self, rig: Rig) -> None:
        pem = rig.authority.crl() + Signer("Somebody Else").crl([])
        self._refuses(rig, pem, "no authority of ours")

    def test_a_forged_one_is_refused(self, rig: Rig) -> None:
        pem = rig.authority.crl(key=Signer("Forger").key)
        self._refuses(rig, pem, "wrong signature")

    def test_one_that_lacks_an_authority_of_ours_is_refused(self, rig: Rig) -> None:
        self._refuses(rig, rig.authority.root.crl([]), 'no CRL of "Test Intermediate"')

    def test_one_that_cannot_be_tried_out_is_refused(self, rig: Rig) -> None:
        self._refuses(rig, rig.authority.signer.crl([]) + rig.authority.root.crl([]), "revoked-probe")

    def test_the_same_one_may_be_installed_again(self, rig: Rig, tell: Tell) -> None:
        pem = rig.authority.crl()
        rig.admin.install_crl(pem)
        began_s = time.monotonic()
        rig.admin.install_crl(pem)
        tell(f"{rig.name}: CRL of {len(pem)} bytes installed in {time.monotonic() - began_s:.3f} s")

    def test_ten_thousand_entries_are_installed_in_time(self, rig: Rig, tell: Tell) -> None:
        serials = [*rig.authority.held_serials(), *range(1 << 120, (1 << 120) + 10_000)]
        pem = rig.authority.signer.crl(serials) + rig.authority.root.crl([])
        began_s = time.monotonic()
        rig.admin.install_crl(pem)
        tell(f"{rig.name}: CRL of 10,000 ({len(pem)} bytes) installed in {time.monotonic() - began_s:.3f} s")
        assert time.monotonic() - began_s < GONE_S
        rig.admin.install_crl(rig.authority.crl())
