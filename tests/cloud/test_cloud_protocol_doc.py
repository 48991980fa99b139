"""docs/protocol.md, section "Enrolment": the examples are what the cloud reads, and belong together."""

import base64
import datetime as dt
import json
import re
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from cloud.ca.policy import Policy, check_request
from cloud.est import wire
from cloud.registry.recovery import PREFIX
from cloud.run import nginx
from cloud.tpm import certify
from cloud.tpm.endorsement import Makers
from cloud.tpm.public import Public
from tests.fakes.softtpm import Maker, SoftTpm

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "protocol.md").read_text()
ENROLMENT = DOC[DOC.index("## 7. Enrolment") : DOC.index("## 8. Updates")]
KINDS: dict[str, type[msgspec.Struct]] = {
    "attestation": wire.AttestationBegin,
    "attestation-challenge": wire.AttestationChallenge,
    "attestation-answer": wire.AttestationAnswer,
    "recovery": wire.RecoveryBegin,
    "recovery-challenge": wire.RecoveryChallenge,
    "recovery-answer": wire.RecoveryAnswer,
    "parameters": wire.Parameters,
}
EXAMPLES: dict[str, dict[str, str]] = {
    name: json.loads(text)
    for name, text in re.findall(r"^```json ([\w-]+)\n(.*?)^```$", ENROLMENT, re.MULTILINE | re.DOTALL)
}
TPM = SoftTpm(number=7)
MAKER = Maker.root("Example TPM maker", number=77)


def bytes_of(name: str, field: str) -> bytes:
    return wire.decoded(EXAMPLES[name][field].encode(), field)


def public(field: str) -> Public:
    return Public.read(bytes_of("attestation", field), field)


@pytest.mark.parametrize("name", KINDS)
def test_every_message_of_enrolment_has_an_example_that_the_cloud_reads(name: str):
    read = msgspec.json.decode(json.dumps(EXAMPLES[name]).encode(), type=KINDS[name])

    assert msgspec.to_builtins(read) == EXAMPLES[name]


@pytest.mark.parametrize("name", KINDS)
def test_the_schema_of_a_message_names_what_the_cloud_reads(name: str):
    schema = json.loads((ROOT / "protocol" / f"{name}.schema.json").read_text())

    assert set(schema["properties"]) == set(schema["required"]) == set(KINDS[name].__struct_fields__)


def test_the_tpm_of_the_example_has_proven_its_key():
    ek, ak, key = public("ek_public"), public("ak_public"), public("key_public")
    now = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)

    Makers((MAKER.certificate,), ()).vouch(bytes_of("attestation", "ek_certificate"), ek, now)
    blob = bytes_of("attestation-challenge", "credential_blob")
    opened = TPM.activate(blob, bytes_of("attestation-challenge", "encrypted_secret"))
    assert opened == bytes_of("attestation-answer", "secret")
    certify.verify(
        ak,
        key,
        bytes_of("attestation-answer", "attest"),
        bytes_of("attestation-answer", "signature"),
        bytes_of("attestation-challenge", "nonce"),
    )


def test_the_old_key_of_the_example_has_signed_the_new_request():
    old = x509.load_pem_x509_certificate(EXAMPLES["recovery"]["certificate"].encode())
    csr = bytes_of("recovery-answer", "csr")
    key = old.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)

    check_request(csr, "house-7", Policy())
    signed = PREFIX + bytes_of("recovery-challenge", "nonce") + csr
    key.verify(bytes_of("recovery-answer", "signature"), signed, ec.ECDSA(hashes.SHA256()))


def test_the_document_names_every_address_of_enrolment():
    from cloud.est.urls import urlpatterns  # noqa: PLC0415  # Django must have been set up

    named = {re.sub(r"[\^\\]|\(\?P.*", "", str(each.pattern)).rstrip("Z/") for each in urlpatterns}
    assert [path for path in named if path[0] != "(" and f"/{path}" not in ENROLMENT] == []


def test_the_document_names_the_limits_that_the_code_has():
    assert wire.BODY_MAX_BYTES == nginx.BODY_MAX_BYTES == 32 * 1024
    assert "at most 32 KiB" in ENROLMENT
    assert "silent for 10 s" in ENROLMENT
    assert f"`{PREFIX[:-1].decode()}`, one zero byte" in ENROLMENT.replace("\n", " ")


def test_the_reasons_that_the_document_names_are_those_of_the_code():
    sources = [*(ROOT / "cloud").rglob("*.py")]
    code = "\n".join(path.read_text() for path in sources)
    reasons = set(re.findall(r"`((?:gateway|certificate|attestation|crl|ek)-[a-z-]+)`", ENROLMENT))

    assert len(reasons) >= 7
    assert [reason for reason in sorted(reasons - set(KINDS)) if f'"{reason}"' not in code] == []


def test_the_example_of_base64_has_no_line_ends():
    for fields in EXAMPLES.values():
        for name, text in fields.items():
            if name not in ("id", "certificate", "gateway", "broker", "command_keys", "attestation"):
                assert base64.b64decode(text, validate=True)
