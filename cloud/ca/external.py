"""Another authority in the place of ours, behind EST (RFC 7030, as corrected by RFC 8951).

The gateway's own request is handed on, and what comes back is checked against the profile. It publishes its
own CRL, which we only fetch: a denial then rests on the broker and the registry until that CRL says so.
"""

import base64
import http.client
import ssl
import urllib.request
import warnings
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID

from cloud.ca import crl
from cloud.ca.authority import Revoked
from cloud.ca.config import Config
from cloud.ca.files import PUBLIC, write
from cloud.ca.folder import signed_by
from cloud.ca.profile import Profile
from cloud.errors import RefusedError, SetupError, SignerError
from cloud.home import Home

_ANSWER_BYTES = 1 << 20
_CRL_BYTES = 64 << 20
_REFUSED = 400
_UNREADY = (202, 429)
_BROKEN = 500


class ExternalIssuer:
    """Speaks to it when asked; keeps what it said about its roots in the home.

    Args:
        config: Address and credentials.
        home: For roots.pem and chain.pem.
    """

    def __init__(self, config: Config, home: Home) -> None:
        self._config = config
        self._home = home
        self._trust: tuple[list[x509.Certificate], list[x509.Certificate]] | None = None

    def issue(self, csr: x509.CertificateSigningRequest, profile: Profile) -> list[x509.Certificate]:
        """Return what it issues for the request, as `Issuer.issue`."""
        body = base64.encodebytes(csr.public_bytes(serialization.Encoding.DER))
        leaf = _certified(_certificates(self._ask("POST", "simpleenroll", body)), csr)
        self._check(leaf, profile)
        return [leaf, *self._path(leaf)]

    def roots(self) -> list[x509.Certificate]:
        """Return its roots, as `Issuer.roots`."""
        return list(self._authorities()[0])

    def intermediates(self) -> list[x509.Certificate]:
        """Return its intermediates."""
        return list(self._authorities()[1])

    def crl(self, revoked: Iterable[Revoked], number: int, now: datetime) -> bytes:  # noqa: ARG002  # it decides
        """Return the CRLs that it publishes."""
        address = self._config.est_crl_url
        if not address.startswith(("http://", "https://")):
            raise SetupError("ca.est_crl_url is missing: without CRLs brokers refuse every certificate")
        try:
            with urllib.request.urlopen(address, timeout=self._config.est_timeout_s) as answer:  # noqa: S310  # http(s) only
                data = answer.read(_CRL_BYTES)
            lists = crl.read(data) or [x509.load_der_x509_crl(data)]
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise SignerError(f"{address}: no CRL: {error}") from None
        self._check_lists(lists)
        return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in lists)

    def _check_lists(self, lists: list[x509.CertificateRevocationList]) -> None:
        authorities = [each for group in self._authorities() for each in group]
        for each in lists:
            signers = [one for one in authorities if one.subject == each.issuer]
            if not any(each.is_signature_valid(one.public_key()) for one in signers):  # type: ignore[arg-type]  # any kind of key
                raise SignerError(f"{self._config.est_crl_url}: a CRL is not signed by that authority")

    # --- speaking EST -------------------------------------------------------------------------------

    def _ask(self, method: str, operation: str, body: bytes | None = None) -> bytes:
        address = urlsplit(f"{self._config.est_url.rstrip('/')}/{operation}")
        headers = {"Content-Type": "application/pkcs10", **self._credentials()} if body else {}
        connection = http.client.HTTPSConnection(
            address.hostname or "",
            address.port or 443,
            context=self._context(),
            timeout=self._config.est_timeout_s,
        )
        try:
            connection.request(method, address.path, body, headers)
            answer = connection.getresponse()
            said = answer.read(_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise SignerError(f"{self._config.est_url}: does not answer: {error}") from None
        finally:
            connection.close()
        return self._judge(answer.status, said)

    def _judge(self, status: int, said: bytes) -> bytes:
        if status == http.HTTPStatus.OK:
            return said
        line = " ".join(said.decode(errors="replace").split())[:120] or http.client.responses.get(status, "")
        if status in _UNREADY or not _REFUSED <= status < _BROKEN:
            raise SignerError(f"{self._config.est_url}: not now: {status} {line}")
        raise RefusedError("other-authority", f"the other authority refuses: {status} {line}", 403)

    def _credentials(self) -> dict[str, str]:
        if not self._config.est_user:
            return {}
        path = Path(self._config.est_password_file)
        try:
            password = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SignerError(f"{path}: cannot be read: {error.strerror or error}") from None
        both = base64.b64encode(f"{self._config.est_user}:{password}".encode()).decode()
        return {"Authorization": f"Basic {both}"}

    def _context(self) -> ssl.SSLContext:
        config = self._config
        try:
            context = ssl.create_default_context(cafile=config.est_ca_file)
            if config.est_cert_file:
                context.load_cert_chain(config.est_cert_file, config.est_key_file or None)
        except OSError as error:  # ssl.SSLError is one
            raise SignerError(f"ca.est_ca_file or ca.est_cert_file cannot be used: {error}") from None
        return context

    # --- what it is worth ---------------------------------------------------------------------------

    def _authorities(self) -> tuple[list[x509.Certificate], list[x509.Certificate]]:
        """Return its roots and intermediates, asked once, and written for brokers and nginx."""
        if self._trust is None:
            found = _certificates(self._ask("GET", "cacerts"))
            roots = [each for each in found if signed_by(each, each)]
            others = [each for each in found if each not in roots]
            if not roots:
                raise SignerError(f"{self._config.est_url}: names no root")
            self._home.ca.mkdir(mode=0o700, parents=True, exist_ok=True)
            write(self._home.roots_file, _pem(roots), PUBLIC)
            write(self._home.chain_file, _pem([*others, *roots]), PUBLIC)
            self._trust = roots, others
        return self._trust

    def _path(self, leaf: x509.Certificate) -> list[x509.Certificate]:
        """Return the intermediates from the leaf up to a root."""
        roots, others = self._authorities()
        path: list[x509.Certificate] = []
        last = leaf
        while not any(signed_by(last, root) for root in roots):
            above = [each for each in others if each not in path and signed_by(last, each)]
            if not above:
                raise SignerError("the other authority's certificate does not lead to one of its roots")
            last = above[0]
            path.append(last)
        return path

    def _check(self, leaf: x509.Certificate, profile: Profile) -> None:
        names = [str(each.value) for each in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        try:
            usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
            fits_usage = profile.usage in usage
        except x509.ExtensionNotFound:
            fits_usage = True  # not limited
        if names != [profile.name] or not fits_usage:
            raise SignerError(
                f"the other authority's certificate is not for {profile.name} as a client or server"
            )


def _certificates(body: bytes) -> list[x509.Certificate]:
    try:
        with warnings.catch_warnings():
            # BER where DER is due: some authorities send it, and it is read all the same
            warnings.filterwarnings("ignore", "PKCS#7 certificates could not be parsed as DER", UserWarning)
            found = pkcs7.load_der_pkcs7_certificates(base64.b64decode(body))
    except ValueError:
        raise SignerError("the other authority's answer is no PKCS #7") from None
    if not found:
        raise SignerError("the other authority's answer has no certificate")
    return found


def _certified(found: list[x509.Certificate], csr: x509.CertificateSigningRequest) -> x509.Certificate:
    """Return the one for the request's key: some authorities send theirs along, and PKCS #7 has no order."""
    wanted = csr.public_key()
    for each in found:
        if each.public_key() == wanted:
            return each
    raise SignerError("the other authority has certified another key than was asked for")


def _pem(certificates: list[x509.Certificate]) -> bytes:
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)
