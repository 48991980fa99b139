"""The cloud's judgement of a TPM, for the model of the cloud in tests/fakes/est_cloud.py."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cloud.errors import RefusedError
from cloud.tpm import certify
from cloud.tpm.credential import make_credential
from cloud.tpm.endorsement import Makers
from cloud.tpm.public import Public
from tests.system.harness.swtpm import Maker


class Prover:
    """The cloud's half of the proof, with the cloud's own code."""

    def __init__(self, maker: Maker) -> None:
        files = (maker.root_file, maker.intermediate_file)
        root, intermediate = (x509.load_pem_x509_certificate(path.read_bytes()) for path in files)
        self._makers = Makers((root,), (intermediate,))

    def challenge(self, told: Mapping[str, bytes]) -> tuple[dict[str, bytes] | None, tuple[bytes, ...]]:
        ek, ak = Public.read(told["ek_public"], "EK"), Public.read(told["ak_public"], "AK")
        secret, nonce = os.urandom(32), os.urandom(32)
        try:
            self._makers.vouch(told["ek_certificate"], ek, datetime.now(UTC))
        except RefusedError:
            return None, ()
        credential = make_credential(ek, secret, ak.name)
        sent = {
            "credential_blob": credential.blob,
            "encrypted_secret": credential.encrypted_secret,
            "nonce": nonce,
        }
        return sent, (secret, nonce, told["ak_public"], told["key_public"])

    def key_proven(self, proof: list[bytes], told: Mapping[str, bytes]) -> bytes | None:
        secret, nonce, ak_public, key_public = proof
        ak, key = Public.read(ak_public, "AK"), Public.read(key_public, "key")
        certify.verify(ak, key, told["attest"], told["signature"], nonce)
        proven = key.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return proven if told["secret"] == secret else None
