"""A broker in memory, as far as the registry sees it: an access list, live connections, a CRL that counts."""

import threading
from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from cryptography import x509

from cloud.brokers.interface import Stats
from cloud.ca import crl
from cloud.ca.certificates import issuer_id
from cloud.errors import BrokerError


class ModelBroker:
    """Lets in who is granted and not revoked; ends connections as mosquitto does.

    `failing` names the calls that raise BrokerError, e.g. {"deny"}; `crashing` those in which the process
    "dies" (KeyboardInterrupt passes every handler, as SIGKILL would) before anything was done. Those in
    `altered` have other rights than we gave.
    """

    def __init__(self) -> None:
        self.access: set[str] = set()
        self.altered: set[str] = set()
        self.live: set[str] = set()
        self.crls: list[x509.CertificateRevocationList] = []
        self.failing: set[str] = set()
        self.crashing: set[str] = set()
        self.calls: list[str] = []
        self._lock = threading.Lock()

    def connect(self, leaf: x509.Certificate) -> None:
        """Connect as a gateway; raises ConnectionRefusedError like a TLS alert or CONNACK 135 would."""
        name = str(leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
        lists = [each for each in self.crls if crl.signer_id(each) == issuer_id(leaf)]
        if not lists:
            raise ConnectionRefusedError("unable to get certificate CRL")
        now = datetime.now(UTC)
        if any(each.next_update_utc is not None and each.next_update_utc < now for each in lists):
            raise ConnectionRefusedError("CRL has expired")
        if any(each.get_revoked_certificate_by_serial_number(leaf.serial_number) for each in lists):
            raise ConnectionRefusedError("certificate revoked")
        if name not in self.access | self.altered:
            raise ConnectionRefusedError("not authorised")
        self.live.add(name)

    def grant(self, gateway_id: str) -> None:
        self._call("grant")
        with self._lock:
            self.access.add(gateway_id)
            self.altered.discard(gateway_id)

    def grant_all(self, gateway_ids: Iterable[str]) -> None:
        self._call("grant_all")
        with self._lock:
            ids = set(gateway_ids)
            self.access |= ids
            self.altered -= ids

    def deny(self, gateway_id: str) -> None:
        self._call("deny")
        with self._lock:
            self.access.discard(gateway_id)
            self.altered.discard(gateway_id)
            self.live.discard(gateway_id)

    def kick(self, gateway_id: str) -> None:
        self._call("kick")
        self.live.discard(gateway_id)

    def granted(self) -> set[str]:
        self._call("granted")
        return self.access - self.altered

    def present(self, unwanted: Collection[str] = ()) -> set[str]:
        del unwanted
        self._call("present")
        return self.access | self.altered

    def install_crl(self, pem: bytes) -> None:
        self._call("install_crl")
        lists = crl.read(pem)
        for new in lists:
            for old in self.crls:
                if crl.signer_id(new) == crl.signer_id(old) and crl.number(new) < crl.number(old):
                    raise BrokerError("this CRL is older than the installed one")
        self.crls = lists

    def stats(self) -> Stats:
        self._call("stats")
        return Stats("model", len(self.access), len(self.live))

    def close(self) -> None:
        """Nothing to give back."""

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.crashing:
            raise KeyboardInterrupt(name)
        if name in self.failing:
            raise BrokerError(f"{name}: the broker does not answer")
