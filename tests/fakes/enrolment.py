"""An enrolled gateway's certificates, as the cloud gives, renews and revokes them."""

import os
import shutil
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from gateway.identity.pair import Pair
from gateway.identity.records import Attempt, Cloud
from gateway.identity.slots import Slots
from tests.fakes.broker import Broker, DevCa


class Enrolment:
    """Fills the identity folder of one gateway.

    Args:
        ca: Signs.
        folder: `identity` in the gateway's state folder.
    """

    def __init__(self, ca: DevCa, folder: Path) -> None:
        self.ca = ca
        folder.parent.mkdir(parents=True, exist_ok=True)
        self.slots = Slots(folder)

    def enrol(self, port: int, host: str = "127.0.0.1", **validity: datetime) -> Pair:
        """A first enrolment: certificate, authority, broker, command keys."""
        slots, ca = self.slots, self.ca
        pair = self._made(ca, validity)
        slots.save_ca(ca.ca_file.read_bytes())
        slots.save_command_keys(ca.command_key_file.read_bytes())
        slots.save_cloud(Cloud(ca.gateway_id, "https://localhost:1", host, port))
        slots.promote(pair)
        return pair

    def renew(self, by: DevCa | None = None, name: str = "", **validity: datetime) -> Pair:
        """A new pair, to be tried; of another authority or for another name, if the cloud has gone mad."""
        pair = self._made(by or self.ca, validity, name)
        now_unix_s = datetime.now(UTC).timestamp()
        self.slots.save_attempt(Attempt(now_unix_s, "renew", "staged", pair.slot))
        self.slots.stage(pair)
        return pair

    def _made(self, ca: DevCa, validity: dict[str, datetime], name: str = "") -> Pair:
        pair, name = self.slots.prepare(), name or ca.gateway_id
        ca.issue(name, **validity)
        shutil.copy(ca.key_file(name), pair.key_file)
        shutil.copy(ca.cert_file(name), pair.cert_file)
        return pair

    @property
    def in_use(self) -> str:
        """The slot in use."""
        pair = self.slots.current()
        return "" if pair is None else pair.slot

    @property
    def outcome(self) -> tuple[str, str]:
        """What came of the last renewal, and why."""
        attempt = self.slots.attempt
        return ("", "") if attempt is None else (attempt.outcome, attempt.detail)


class Revocations:
    """The list of revoked certificates (CRL) that a broker reads.

    Args:
        ca: Signs it.
        file: Where it is.
    """

    def __init__(self, ca: DevCa, file: Path) -> None:
        self.file = file
        self._ca = ca
        self._serials: set[int] = set()
        self.write()

    @property
    def line(self) -> str:
        """What mosquitto's configuration needs."""
        return f"crlfile {self.file}\n"

    def revoke(self, *pairs: Pair) -> None:
        """Add these; `write` and a SIGHUP make it known."""
        self._serials |= {_serial(pair) for pair in pairs}
        self.write()

    def restore(self) -> None:
        """Take all off."""
        self._serials.clear()
        self.write()

    def write(self, ends_after: timedelta = timedelta(days=1)) -> None:
        """Write the list in one step."""
        now = datetime.now(UTC)
        ca = x509.load_pem_x509_certificate(self._ca.ca_file.read_bytes())
        key = serialization.load_pem_private_key(self._ca.key_file("ca").read_bytes(), None)
        builder = x509.CertificateRevocationListBuilder().issuer_name(ca.subject)
        builder = builder.last_update(now - timedelta(days=2)).next_update(now + ends_after)
        for serial in sorted(self._serials):
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
            builder = builder.add_revoked_certificate(entry.build())
        draft = self.file.with_suffix(".new")
        draft.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        draft.replace(self.file)


def read_again(broker: Broker) -> None:
    """Let mosquitto read its list of revocations; connections that it has stay."""
    os.kill(broker.pid, signal.SIGHUP)


def _serial(pair: Pair) -> int:
    return x509.load_pem_x509_certificate(pair.cert_file.read_bytes()).serial_number
