"""One input for everything that strangers may send for enrolment: bytes become a body or a TPM's structure.

Run under atheris by tests/fuzz/run.py, and with fewer inputs by the test suite. No input may raise anything
but RefusedError with one line, and none may be taken for what only a TPM can say.

    python -m tests.fuzz.enrolment TARGET CORPUS_FOLDER [libFuzzer options]
"""

import base64
import datetime as dt
import sys
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from cloud.ca.policy import Policy, check_request
from cloud.errors import RefusedError
from cloud.est import wire
from cloud.tpm import certify
from cloud.tpm.endorsement import Makers
from cloud.tpm.public import Public
from tests.fakes.softtpm import NOW, Key, Maker, SoftTpm, private_key


def _request() -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "house-7")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return builder.sign(private_key(), hashes.SHA256()).public_bytes(Encoding.DER)


REQUEST = _request()
TPM = SoftTpm(number=1)  # the same keys in each run, so that what crashed once crashes again
MAKER = Maker.root(number=99)
NONCE = bytes(32)
ATTEST, SIGNATURE = TPM.certify(NONCE)
EK_CERTIFICATE = MAKER.certify(TPM.ek, serial=1)
SIGNED = x509.load_der_x509_certificate(EK_CERTIFICATE).tbs_certificate_bytes

_MESSAGES = (wire.AttestationBegin, wire.AttestationAnswer, wire.RecoveryBegin, wire.RecoveryAnswer)
_POLICY = Policy()


class BelievedError(AssertionError):
    """Made-up bytes passed for genuine."""


def _csr(data: bytes) -> None:
    """The body of simpleenroll, before and after base64."""
    try:
        check_request(data, "house-7", _POLICY)
    except RefusedError:
        check_request(wire.decoded(data, "the request"), "house-7", _POLICY)


def _json(data: bytes) -> None:
    """Every JSON body, and what is inside."""
    kind = _MESSAGES[sum(data[:1]) % len(_MESSAGES)]
    message = wire.read(data[1:], kind)
    for name in kind.__struct_fields__:
        text = getattr(message, name).encode()
        if name == "certificate":
            wire.certificate_of(text, name)
        else:
            wire.decoded(text, name)


def _pem(data: bytes) -> None:
    """A certificate for recovery."""
    text = base64.encodebytes(data)
    wire.certificate_of(b"-----BEGIN CERTIFICATE-----\n" + text + b"-----END CERTIFICATE-----\n", "it")


def _public(data: bytes) -> None:
    """A TPM's public area."""
    Public.read(data, "key").must_be(certify.BOUND, certify.Attribute.RESTRICTED)


def _certification(data: bytes) -> None:
    """What a TPM says of a key, and the signature, the length of the former before both."""
    cut = int.from_bytes(data[:2], "big")
    attest, signature = data[2 : 2 + cut], data[2 + cut :]
    certify.verify(_read(TPM.ak), _read(TPM.key), attest, signature, NONCE)
    if attest != ATTEST:
        raise BelievedError("a certification")


def _ek_certificate(data: bytes) -> None:
    """The certificate of a TPM."""
    Makers((MAKER.certificate,), ()).vouch(data, _read(TPM.ek), NOW + dt.timedelta(seconds=1))
    if SIGNED not in data:
        raise BelievedError("a TPM's certificate")


TARGETS: dict[str, Callable[[bytes], None]] = {
    "csr": _csr,
    "json": _json,
    "pem": _pem,
    "public": _public,
    "certification": _certification,
    "ek-certificate": _ek_certificate,
}

SAMPLES: dict[str, tuple[bytes, ...]] = {
    "csr": (REQUEST, base64.encodebytes(REQUEST)),
    "json": (
        b'\0{"ek_certificate": "AA==", "ek_public": "AA==", "ak_public": "AA==", "key_public": "AA=="}',
        b'\1{"secret": "AA==", "attest": "AA==", "signature": "AA=="}',
        b'\2{"certificate": "-----BEGIN CERTIFICATE-----"}',
        b'\3{"csr": "AA==", "signature": "AA=="}',
    ),
    "pem": (MAKER.certificate.public_bytes(Encoding.DER),),
    "public": (TPM.ek.public, TPM.ak.public, TPM.key.public),
    "certification": (len(ATTEST).to_bytes(2, "big") + ATTEST + SIGNATURE,),
    "ek-certificate": (EK_CERTIFICATE,),
}
"""Good input of each, from which a fuzzer finds the way into it."""


def _read(key: Key) -> Public:
    return Public.read(key.public, "key")


def target(name: str) -> Callable[[bytes], None]:
    """Return the function to fuzz."""
    attempt = TARGETS[name]

    def fuzz_one(data: bytes) -> None:
        try:
            attempt(data)
        except RefusedError as error:
            if not error.detail or "\n" in error.detail:
                raise AssertionError("a refusal is one line") from error

    return fuzz_one


def main() -> None:
    """Fuzz one target until libFuzzer's limits."""
    import atheris  # noqa: PLC0415  only `make fuzz` has it

    name, corpus = sys.argv[1], Path(sys.argv[2])
    atheris.instrument_all()
    corpus.mkdir(parents=True, exist_ok=True)
    for number, sample in enumerate(SAMPLES[name]):
        (corpus / f"sample-{number}").write_bytes(sample)
    atheris.Setup([sys.argv[0], str(corpus), *sys.argv[3:]], target(name))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
