"""The client of the cloud's enrolment: EST (RFC 7030, as corrected by RFC 8951) and what reed adds to it.

The wire is in docs/protocol.md, section "Enrolment". Bodies of EST are base64 of DER; of reed's own
requests JSON, with base64 for bytes. A refusal is one line of text for a person.
"""

import base64
import json
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.errors import EnrolmentError, IdentityError, UnreachableError
from gateway.identity import answers
from gateway.identity.https import Answer, Request, exchange, place

if TYPE_CHECKING:
    from gateway.identity.keys import Attester

TIMEOUT_S = 20.0
MAX_BYTES = 256 * 1024
"""A dozen certificates need a tenth of it."""

RECOVERY = b"reed-recovery-v1\0"
"""Leads what the old key signs, so that no other signature can pass for it."""

Lender = Callable[[], AbstractContextManager[ssl.SSLContext]]
_PROOF_WANTED = "attestation-"
"""Begins the reason of a refusal that a proof of the TPM cures."""

_EST = "/.well-known/est"
_REED = "/reed/v1"


@dataclass(frozen=True, slots=True)
class CloudParameters:
    """What a certified gateway is told.

    Args:
        gateway: Who we are, as the cloud sees it.
        host: Name or address of the broker.
        port: Its TCP port for MQTT over TLS.
        command_keys: PEM; public keys of the cloud that sign commands.
        attestation: The next key has to be proven to lie in our TPM.
    """

    gateway: str
    host: str
    port: int
    command_keys: bytes = field(repr=False)
    attestation: bool = False


@dataclass(frozen=True, slots=True)
class Provable:
    """A key whose place a TPM can prove. The proof costs it seconds: it is given when the cloud wants it.

    Args:
        attester: The TPM.
        key_file: The key that is to be certified.
        is_expected: The cloud has said before that it will: a refusal less, which it would have to record.
    """

    attester: "Attester"
    key_file: Path
    is_expected: bool = False


class EstClient:
    """Asks the enrolment server, each time on a new connection.

    Args:
        url: "https://HOST" or "https://HOST:PORT".
        context: Whom to trust, and our certificate where one is needed; or what lends it for one request, so
            that it holds no key in the TPM while that proves another one.
        timeout_s: For each request as a whole.
        authority: What `cacerts` has said, if it was asked before: then it is not asked again.

    Raises:
        EnrolmentError: The cloud refuses; the message is its own line. From every method.
        UnreachableError: No answer, or none that can be used; trying again later helps. From every method.
    """

    def __init__(
        self,
        url: str,
        context: ssl.SSLContext | Lender,
        timeout_s: float = TIMEOUT_S,
        authority: Sequence[bytes] = (),
    ) -> None:
        self._where = place(url)
        self._lent: Lender = (
            (lambda: nullcontext(context)) if isinstance(context, ssl.SSLContext) else context
        )
        self._timeout_s = timeout_s
        self._known = authority

    def cacerts(self) -> list[bytes]:
        """Return the authority's certificates as DER, in no order: roots, and perhaps intermediates."""
        from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415  10 MiB

        told = answers.certificates(self._ask(Request("GET", f"{_EST}/cacerts")))
        return [one.public_bytes(Encoding.DER) for one in told]

    def enrol(self, csr_der: bytes, gateway_id: str, secret: str) -> bytes:
        """Return the first certificate, for a token's secret: PEM, ours first, then intermediates."""
        return self._enrol("simpleenroll", csr_der, _basic(gateway_id, secret))

    def reenrol(self, csr_der: bytes, provable: Provable | None = None) -> bytes:
        """Return the next certificate, for the one that the context holds: PEM as `enrol`.

        Args:
            csr_der: For the new key.
            provable: That key, if a TPM can prove where it lies; None if it cannot be proven.

        Raises:
            TpmError: The cloud wants the proof, and the TPM does not do its part.
        """
        return self._enrol("simplereenroll", csr_der, {}, provable)

    def attest(self, attester: "Attester", key_file: Path, gateway_id: str, secret: str) -> None:
        """Prove that the key lies in a TPM whose maker vouches for it; `enrol` comes next.

        Raises:
            TpmError: The TPM does not do its part.
        """
        self._attest(Provable(attester, key_file), _basic(gateway_id, secret))

    def recover(
        self,
        cert_pem: bytes,
        csr_der: bytes,
        sign: Callable[[bytes], bytes],
        provable: Provable | None = None,
    ) -> bytes:
        """Return a certificate in exchange for an expired one: PEM as `enrol`.

        Args:
            cert_pem: The old certificate.
            csr_der: For the new key.
            sign: Signs with the old key (ECDSA, SHA-256, DER).
            provable: As in `reenrol`.

        Raises:
            TpmError: As in `reenrol`.
        """
        path = f"{_REED}/recovery"
        begun = self._post(path, {"certificate": cert_pem.decode("ascii", "replace")}, {})
        number, asked = answers.challenge(begun, "nonce")
        body = _encoded({"csr": csr_der, "signature": sign(RECOVERY + asked["nonce"] + csr_der)})
        right = {"Authorization": f"Reed-Recovery {number}"}
        return self._issued(
            csr_der, lambda: self._proving(lambda: self._post(f"{path}/{number}", body, {}), provable, right)
        )

    def parameters(self) -> CloudParameters:
        """Return where the broker is and who commands; the context must hold our certificate."""
        answer = self._ask(Request("GET", f"{_REED}/parameters"))
        match said := answers.json_object(answer):
            case {
                "gateway": str(gateway),
                "broker": {"host": str(host), "port": int(port)},
                "command_keys": str(keys),
            } if host.strip() and host.isprintable() and port is not True and 0 < port < 1 << 16:
                must_prove = said.get("attestation") == "required"
                return CloudParameters(gateway, host, port, answers.public_keys(answer, keys), must_prove)
        raise answers.unusable(answer, "names no broker and no key of commands")

    def _enrol(
        self, operation: str, csr_der: bytes, headers: Mapping[str, str], provable: Provable | None = None
    ) -> bytes:
        kind = {"Content-Type": "application/pkcs10", "Content-Transfer-Encoding": "base64"}
        request = Request("POST", f"{_EST}/{operation}", base64.encodebytes(csr_der), {**kind, **headers})
        return self._issued(csr_der, lambda: self._proving(lambda: self._ask(request), provable, headers))

    def _proving(
        self, ask: Callable[[], Answer], provable: Provable | None, right: Mapping[str, str]
    ) -> Answer:
        """Ask; if the cloud wants to know first where the key lies, and that can be proven, ask once more."""
        if provable is None:
            return ask()
        failure = self._failure(provable, right) if provable.is_expected else None
        try:
            return ask()
        except EnrolmentError as refusal:
            if not refusal.reason.startswith(_PROOF_WANTED):
                raise
            if failure is not None:
                raise failure from None
        self._attest(provable, right)
        return ask()

    def _failure(self, key: Provable, right: Mapping[str, str]) -> IdentityError | None:
        """Return why the proof failed; None if it did not. Whether that matters is for the cloud to say."""
        try:
            self._attest(key, right)
        except UnreachableError:
            raise
        except IdentityError as error:
            return error
        return None

    def _attest(self, key: Provable, right: Mapping[str, str]) -> None:
        """Have the TPM prove where the key lies; `right` is by which the key is to be certified."""
        path = f"{_REED}/attestation"
        begun = self._post(path, _encoded(key.attester.begin(key.key_file)), right)
        number, asked = answers.challenge(begun, "credential_blob", "encrypted_secret", "nonce")
        self._post(f"{path}/{number}", _encoded(key.attester.answer(asked)), right)

    def _issued(self, csr_der: bytes, ask: Callable[[], Answer]) -> bytes:
        """Return the certificate for the key of the CSR and its issuers below the root, as PEM.

        An answer holds what was issued and nothing else (RFC 7030, 4.2.3), in no order. The issuers are
        asked for first: nothing may go wrong once a token is used up.
        """
        from cryptography import x509  # noqa: PLC0415
        from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

        from gateway.identity.foreign import has_signed  # noqa: PLC0415

        authority = [x509.load_der_x509_certificate(one) for one in self._known or self.cacerts()]
        key = x509.load_der_x509_csr(csr_der).public_key()
        sent = answers.certificates(ask())
        chain = [one for one in sent if one.public_key() == key][:1]
        if not chain:
            raise EnrolmentError(f"{self._where.url} sent no certificate for our key")
        left = [one for one in (*sent, *authority) if one.subject != one.issuer and one != chain[0]]
        while issuer := next((one for one in left if has_signed(one, chain[-1])), None):
            chain.append(issuer)
            left.remove(issuer)
        return b"".join(one.public_bytes(Encoding.PEM) for one in chain)

    def _post(self, path: str, body: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        kind = {"Content-Type": "application/json"}
        return self._ask(Request("POST", path, json.dumps(body).encode(), {**kind, **headers}))

    def _ask(self, request: Request) -> Answer:
        with self._lent() as context:
            answer = exchange(self._where, context, request, timeout_s=self._timeout_s, max_bytes=MAX_BYTES)
        answers.demand_success(answer)
        return answer


def _basic(gateway_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{gateway_id}:{secret}".encode()).decode()}


def _encoded(values: Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(value).decode() for name, value in values.items()}
