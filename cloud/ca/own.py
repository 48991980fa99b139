"""Our own authority: issues and revokes with the intermediates in the home."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from cloud.ca import certificates, crl
from cloud.ca.authority import Revoked
from cloud.ca.config import Config
from cloud.ca.folder import Folder, Intermediate, signed_by
from cloud.ca.keys import open_key
from cloud.ca.passphrase import read_passphrase
from cloud.ca.policy import Policy, check_key
from cloud.ca.profile import Profile
from cloud.errors import SetupError, SignerError
from cloud.home import Home


@dataclass(frozen=True, slots=True)
class _State:
    """The folder as it was read."""

    seen: tuple[int, int]
    current: str
    roots: list[x509.Certificate]
    intermediates: list[Intermediate]


class OwnIssuer:
    """Notices a ceremony in another process; opens a key when it is first needed.

    Args:
        config: Where keys are.
        policy: Lifetimes.
        home: With the folder of the authority.
    """

    def __init__(self, config: Config, policy: Policy, home: Home) -> None:
        self._config = config
        self._policy = policy
        self._home = home
        self._folder = Folder(home)
        self._keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self._lock = threading.RLock()
        self._read: _State | None = None

    def issue(self, csr: x509.CertificateSigningRequest, profile: Profile) -> list[x509.Certificate]:
        """Return the leaf and the issuing intermediate, as `Issuer.issue`."""
        public_key = check_key(csr.public_key(), self._policy)
        with self._lock:
            state = self._state()
            if not state.current:
                raise SetupError(
                    f"{self._home.ca}: no intermediate issues yet; run: reed-cloud ca intermediate"
                )
            current = state.intermediates[0]
            begun = profile.not_before + timedelta(seconds=self._policy.backdate_s)
            if current.certificate.not_valid_after_utc <= begun:
                raise SignerError("the intermediate has expired; run: reed-cloud ca intermediate")
            leaf = certificates.leaf(public_key, profile, (current.certificate, self._key(current)))
        return [leaf, current.certificate]

    def roots(self) -> list[x509.Certificate]:
        """Return the roots, as `Issuer.roots`."""
        return list(self._state().roots)

    def intermediates(self) -> list[x509.Certificate]:
        """Return all that ever issued and are still trusted, the issuing one first."""
        return [each.certificate for each in self._state().intermediates if not each.lost]

    def crl(self, revoked: Iterable[Revoked], number: int, now: datetime) -> bytes:
        """Return the CRLs of the intermediates in use, then those of the roots.

        Trust ends with the lists: brokers refuse CRLs that leave an authority of chain.pem out.
        """
        policy = self._policy
        begin = now - timedelta(seconds=policy.backdate_s)
        window = crl.Window(begin, now + timedelta(days=policy.crl_days), number)
        by_issuer: dict[str, list[Revoked]] = {}
        for each in revoked:
            by_issuer.setdefault(each.issuer, []).append(each)
        with self._lock:
            self._folder.write_trust(now)
            lists = [
                crl.build((each.certificate, self._key(each)), by_issuer.get(_id(each), ()), window)
                for each in self._in_use(now)
            ]
            return b"".join([*lists, self._folder.root_crls()])

    def _in_use(self, now: datetime) -> list[Intermediate]:
        state = self._state()
        trusted = (each for each in state.intermediates if each.in_use(now))
        return [each for each in trusted if any(signed_by(each.certificate, root) for root in state.roots)]

    def _key(self, intermediate: Intermediate) -> ec.EllipticCurvePrivateKey:
        name = intermediate.key.folder.name
        if name not in self._keys:
            key = open_key(intermediate.key, self._config, read_passphrase(self._home))
            if key.public_key() != intermediate.certificate.public_key():
                raise SignerError(f"{intermediate.key.folder}: key and certificate do not belong together")
            self._keys[name] = key
        return self._keys[name]

    def _state(self) -> _State:
        with self._lock:
            seen = (_changed(self._home, "current"), _changed(self._home, "chain.pem"))
            if self._read is None or self._read.seen != seen:
                folder = self._folder
                self._read = _State(seen, folder.current_name(), folder.roots(), folder.intermediates())
            return self._read


def _id(intermediate: Intermediate) -> str:
    return certificates.key_id(intermediate.certificate)


def _changed(home: Home, name: str) -> int:
    path = home.ca / name
    return path.stat().st_mtime_ns if path.exists() else 0
