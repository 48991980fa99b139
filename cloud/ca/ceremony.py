"""Ceremonies of the authority: what is done rarely, by a person, with the root's key at hand.

The root's key is made in a folder of its own, encrypted with a passphrase that is stored nowhere; the
folder is carried away afterwards and brought back for the next ceremony. Each ceremony may be repeated
after a crash at any point: what is incomplete is not used.
"""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from cloud.ca import certificates, crl, keys
from cloud.ca.authority import Revoked
from cloud.ca.config import Config
from cloud.ca.files import PUBLIC, write
from cloud.ca.folder import Folder, Intermediate, signed_by
from cloud.ca.passphrase import checked, ensure_passphrase
from cloud.ca.policy import Policy
from cloud.errors import SetupError
from cloud.home import Home


@dataclass(frozen=True, slots=True)
class RootKey:
    """A root whose key is at hand: `<id>.pem` and `<id>.key` in the offline folder."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def create_root(
    home: Home,
    *,
    passphrase: str,
    now: datetime,
    name: str = "reed root",
    days: float = certificates.ROOT_DAYS,
) -> x509.Certificate:
    """Make a root; it is trusted from now on, beside those that were.

    Raises:
        SetupError: The passphrase is too short.
    """
    secret = checked(passphrase)
    folder = Folder(home)
    folder.make()
    key = ec.generate_private_key(ec.SECP256R1())
    key_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest.hex()
    root = certificates.root(key, f"{name} {key_id[:8]}", now, days)
    home.offline.mkdir(mode=0o700, parents=True, exist_ok=True)
    write(_offline(home.offline, root, "key"), keys.encrypted(key, secret))
    write(_offline(home.offline, root, "pem"), certificates.pem(root), PUBLIC)
    folder.add_root(root, _root_crl(RootKey(root, key), [], 1, now))
    folder.write_trust(now)
    return root


def root_key(home: Home, offline: Path, passphrase: str, below: x509.Certificate | None = None) -> RootKey:
    """Return the newest trusted root whose key is in the folder.

    Args:
        home: Says which roots are trusted.
        offline: The folder.
        passphrase: Of the key.
        below: An intermediate that the root must have signed; None for any.

    Raises:
        SetupError: None is there.
        SignerError: The passphrase does not open it.
    """
    for root in reversed(Folder(home).roots()):
        path = _offline(offline, root, "key")
        if path.exists() and (below is None or signed_by(below, root)):
            return RootKey(root, keys.open_file(path, passphrase.encode()))
    raise SetupError(f"{offline}: has no key of a root that we trust; bring the folder with the root's key")


def create_intermediate(  # noqa: PLR0913, PLR0917  # as many as there are things to decide
    home: Home,
    config: Config,
    policy: Policy,
    root: RootKey,
    now: datetime,
    last_leaf_ends: datetime | None = None,
) -> x509.Certificate:
    """Make an intermediate that issues from now on; the former one's CRL goes on until its leaves end.

    Args:
        home: Where.
        config: Says where the key is to be made.
        policy: Says how long leaves live.
        root: Signs it.
        now: The present time.
        last_leaf_ends: When the last certificate of the former one ends, if that is known; lifetimes may
            have been longer once than the policy says now.

    Raises:
        SetupError: The passphrase for a key in a file is too short.
        SignerError: The key cannot be made there.
    """
    folder = Folder(home)
    passphrase = ensure_passphrase(home)
    if config.key == "file":
        checked(passphrase)
    former = folder.current() if folder.current_name() else None
    place = folder.place(config.key, secrets.token_hex(8))
    key = keys.make_key(place, config, passphrase)
    certificate = certificates.intermediate(
        key.public_key(),
        f"reed intermediate {place.folder.name}",
        (root.certificate, root.key),
        now,
        certificates.INTERMEDIATE_DAYS,
    )
    made = Intermediate(certificate, place, None, False)
    folder.save(made)
    folder.let_issue(made)
    if former is not None and not former.lost:
        until = max(_end_of_leaves(former, policy, now), last_leaf_ends or now)
        folder.save(replace(former, until=until))
    folder.write_trust(now)
    return certificate


def revoke_intermediate(home: Home, root: RootKey, serial: int, now: datetime) -> x509.Certificate:
    """Trust an intermediate no more: its key is lost or stolen. Its leaves end with it.

    Every gateway comes back by itself: refused everywhere, it proves possession of its old key
    (`begin_recovery`), which is judged by the registry and not by the intermediate's signature.

    Raises:
        SetupError: It is unknown, was signed by another root, or issues still.
    """
    folder = Folder(home)
    lost = find_intermediate(home, serial)
    if not signed_by(lost.certificate, root.certificate):
        raise SetupError(f"this root has not signed the intermediate with the serial number {serial:x}")
    if lost.key.folder.name == folder.current_name():
        raise SetupError("this intermediate issues still; first make another one: reed-cloud ca intermediate")
    former = crl.read((home.ca / "roots" / _short(root.certificate) / "crl.pem").read_bytes())[0]
    entries = _entries(former)
    if serial not in {each.serial for each in entries}:  # a ceremony that died half-way listed it already
        entries.append(Revoked("", serial, now, x509.ReasonFlags.key_compromise))
    number = crl.number(former) + 1
    folder.replace_root_crl(root.certificate, _root_crl(root, entries, number, now))
    folder.save(replace(lost, lost=True))
    folder.write_trust(now)
    return lost.certificate


def drop_root(home: Home, root: x509.Certificate, now: datetime) -> None:
    """Trust a root no more, once everybody lives under another one.

    Raises:
        SetupError: Certificates under it are still in use.
    """
    folder = Folder(home)
    for each in folder.intermediates():
        if each.in_use(now) and signed_by(each.certificate, root):
            end = f"until {each.until:%Y-%m-%d}" if each.until else "and it issues"
            raise SetupError(f"an intermediate under this root is in use {end}; rotate it first, and wait")
    folder.drop_root(root)
    folder.write_trust(now)


def find_intermediate(home: Home, serial: int) -> Intermediate:
    """Return the intermediate with this serial number.

    Raises:
        SetupError: There is none.
    """
    found = [each for each in Folder(home).intermediates() if each.certificate.serial_number == serial]
    if not found:
        raise SetupError(f"no intermediate has the serial number {serial:x}; see: reed-cloud ca show")
    return found[0]


def find_root(home: Home, key_id: str) -> x509.Certificate:
    """Return the trusted root whose subject key identifier begins so (hexadecimal).

    Raises:
        SetupError: There is none, or more than one.
    """
    found = [root for root in Folder(home).roots() if certificates.key_id(root).startswith(key_id.lower())]
    if len(found) != 1 or not key_id:
        raise SetupError(f'"{key_id}" names {len(found)} trusted roots; see: reed-cloud ca show')
    return found[0]


def check_known(home: Home, policy: Policy, root: x509.Certificate, now: datetime) -> None:
    """Go on if gateways have had the time to learn a root: they do so when they renew.

    Raises:
        SetupError: They have not.
    """
    folder = Folder(home)
    known_at = root.not_valid_before_utc + timedelta(days=policy.gateway_days)
    others = [each for each in folder.roots() if each != root]
    if others and folder.current_name() and now < known_at:
        raise SetupError(
            f"gateways learn a new root when they renew: use it from {known_at:%Y-%m-%d} on, "
            "or they cannot verify us any more; until then bring the older root's key only"
        )


def _end_of_leaves(former: Intermediate, policy: Policy, now: datetime) -> datetime:
    longest = timedelta(days=max(policy.gateway_days, policy.service_days), hours=1)
    return min(now + longest, former.certificate.not_valid_after_utc)


def _root_crl(root: RootKey, revoked: list[Revoked], number: int, now: datetime) -> bytes:
    """Return a list that holds as long as the root: it reaches brokers as a file of ours, not over a network.

    An end that somebody forgets would shut everybody out; freshness is the intermediate's list's task.
    """
    window = crl.Window(now - timedelta(hours=1), root.certificate.not_valid_after_utc, number)
    return crl.build((root.certificate, root.key), revoked, window)


def _entries(former: x509.CertificateRevocationList) -> list[Revoked]:
    reason = x509.ReasonFlags.key_compromise
    return [Revoked("", each.serial_number, each.revocation_date_utc, reason) for each in former]


def _short(root: x509.Certificate) -> str:
    return certificates.key_id(root)[:16]


def _offline(folder: Path, root: x509.Certificate, ending: str) -> Path:
    return folder / f"root-{_short(root)}.{ending}"
