"""A gateway enrolled at the model of the cloud, with a key in a file; and what judges its folder."""

import ssl
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway import durable
from gateway.identity.config import Config
from gateway.identity.pair import Pair
from gateway.identity.records import Cloud as Where
from gateway.identity.slots import NAMES, Slots
from gateway.identity.software import SoftwareKeys
from tests.fakes.est_cloud import Cloud
from tests.fakes.issuer import pem, public_pem

NAME = "hq-01"
CONFIG = Config(key="software", allow_software_key=True)


def enrolled(
    folder: Path, cloud: Cloud, starts: datetime | None = None, ends: datetime | None = None
) -> Slots:
    """Return the slots of a gateway whose certificate is valid in this time."""
    slots = Slots(folder)
    pair = slots.prepare()
    certify(pair, cloud, starts, ends)
    slots.save_ca(pem(cloud.authority.root))
    slots.save_cloud(Where(NAME, cloud.url or "https://localhost:1", *cloud.broker))
    slots.save_command_keys(public_pem(cloud.command_key.public_key()))
    slots.promote(pair)
    return slots


def certify(pair: Pair, cloud: Cloud, starts: datetime | None = None, ends: datetime | None = None) -> None:
    """Make a new key in this slot, and a certificate for it."""
    SoftwareKeys().create(pair.key_file)
    key = load_pem_private_key(pair.key_file.read_bytes(), None)
    certificate = cloud.authority.issue(key.public_key(), NAME, starts=starts, ends=ends)  # type: ignore[arg-type]
    durable.write(pair.cert_file, pem(certificate) + pem(cloud.authority.intermediate))


def working(slots: Slots) -> x509.Certificate:
    """Return the certificate in use; fails unless TLS could be begun with it, its key and our roots."""
    pair = slots.current()
    assert pair is not None
    return loads(pair, slots)


def loads(pair: Pair, slots: Slots) -> x509.Certificate:
    """Return the certificate of this pair; fails unless key and certificate belong together."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(slots.ca_file)
    context.load_cert_chain(pair.cert_file, pair.key_file)
    certificate = x509.load_pem_x509_certificates(pair.cert_file.read_bytes())[0]
    key = load_pem_private_key(pair.key_file.read_bytes(), None)
    assert certificate.public_key() == key.public_key()
    assert certificate.subject.rfc4514_string() == f"CN={NAME}"
    for file in (pair.cert_file, pair.key_file):
        assert file.stat().st_mode & 0o777 == 0o600
    return certificate


def shape(folder: Path) -> tuple[object, ...]:
    """Return what of an identity folder decides how it goes on: two of one shape differ in keys and dates.

    Names, which files are empty, what the links and the words say, and what came of the last renewal.
    """
    slots = Slots(folder)
    found = [(path.relative_to(folder), _said(path)) for path in sorted(folder.rglob("*"))]
    attempt = slots.attempt
    last = attempt and (attempt.kind, attempt.outcome, attempt.slot)
    pairs = (_fits(slots.pair(name)) for name in NAMES)
    return (*found, last, slots.cloud is not None, *pairs)


def _said(path: Path) -> object:
    if path.is_symlink():
        return path.readlink()
    if path.name == "trial":
        return path.read_bytes()
    # nobody ever reads a draft
    return path.is_dir() or path.suffix == ".new" or path.stat().st_size > 0


def _fits(pair: Pair) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(pair.cert_file, pair.key_file)
    except OSError:
        return False
    return True
