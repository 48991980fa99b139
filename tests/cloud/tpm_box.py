"""A gateway with a TPM in software, which has to attest at the real server."""

import base64
import json

from cryptography.hazmat.primitives.asymmetric import ec

from tests.cloud.enrolment_rig import Gateway, Rig, certified
from tests.cloud.front import Answer, Pair
from tests.fakes.softtpm import KEY_ATTRIBUTES, Maker, SoftTpm, ec_key

ROOT = Maker.root()
MAKER = ROOT.intermediate()


class Box:
    """One gateway.

    Attributes:
        certificate: What its TPM's maker says.
        pair: What it shows in TLS; None shows nothing.
        recovery: The recovery by whose right it attests; "" is that of the token, or of the pair.
    """

    def __init__(self, rig: Rig, name: str, tpm: SoftTpm | None = None, maker: Maker = MAKER) -> None:
        self.tpm = tpm or SoftTpm()
        self.gateway = rig.expect(name, attestation="required")
        assert isinstance(self.tpm.key.private, ec.EllipticCurvePrivateKey)
        self.gateway.key = self.tpm.key.private
        self.certificate = maker.certify(self.tpm.ek)
        self.pair: Pair | None = None
        self.recovery = ""

    def enrolled(self) -> "Box":
        """Enrol by attestation, and show the certificate from now on."""
        assert self.attest().status == 204
        self.gateway.certificate = certified(self.gateway.enrol(), self.gateway.csr())
        self.pair = self.gateway.pair
        return self

    def new_key(self) -> bytes:
        """Have the TPM make the next key; return a request for it (the pair in use stays the old one)."""
        self.tpm.key = ec_key(KEY_ATTRIBUTES)
        assert isinstance(self.tpm.key.private, ec.EllipticCurvePrivateKey)
        return self.gateway.csr(self.tpm.key.private)

    def attest(self) -> Answer:
        """Go all the way with the TPM's key."""
        asked = self.challenge()
        return self.finish(asked, self.proof(asked))

    def begin(self, **changes: bytes) -> Answer:
        said: dict[str, str | bytes] = {
            "ek_certificate": self.certificate,
            "ek_public": self.tpm.ek.public,
            "ak_public": self.tpm.ak.public,
            "key_public": self.tpm.key.public,
            **changes,
        }
        return self._post("attestation", said, self.gateway)

    def challenge(self) -> dict[str, bytes]:
        """Return what was asked, as bytes; `id` as text in bytes."""
        asked = json.loads(self.begin().body)
        return {k: v.encode() if k == "id" else base64.b64decode(v) for k, v in asked.items()}

    def proof(self, asked: dict[str, bytes]) -> dict[str, str | bytes]:
        secret = self.tpm.activate(asked["credential_blob"], asked["encrypted_secret"])
        attest, signature = self.tpm.certify(asked["nonce"])
        return {"secret": secret, "attest": attest, "signature": signature}

    def finish(
        self, asked: dict[str, bytes], proof: dict[str, str | bytes], gateway: Gateway | None = None
    ) -> Answer:
        return self._post(f"attestation/{asked['id'].decode()}", proof, gateway or self.gateway)

    def _post(self, path: str, said: dict[str, str | bytes], gateway: Gateway) -> Answer:
        by_token = not self.pair and not self.recovery
        return gateway.post(path, said, basic=by_token, recovery=self.recovery, pair=self.pair)
