"""Keys in the TPM, as the rest of the gateway sees them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from gateway import durable
from gateway.errors import IdentityError
from gateway.identity.config import Config
from gateway.identity.keys import read_key_file
from gateway.identity.tpm.calls import call

_TASKS_OF_ATTESTATION = 3.0
"""It may make an RSA key, and some chips need half a minute for that."""


class TpmKeys:
    """`Keys` whose file (PEM, "TSS2 PRIVATE KEY") is of use to this TPM only.

    Args:
        config: Where the TPM is, and how long it may take.
    """

    kind: Literal["tpm"] = "tpm"

    def __init__(self, config: Config) -> None:
        self._tcti = config.tcti
        self._timeout_s = config.tpm_timeout_s

    def create(self, key_file: Path) -> None:
        """Make a new key in the TPM and write what it needs to find it again."""
        made = call("create", self._tcti, self._timeout_s)
        try:
            durable.write(key_file, made["key"])
        except OSError as error:
            raise IdentityError(
                f"{key_file}: the new key cannot be written: {error.strerror or error}"
            ) from None

    def csr(self, key_file: Path, gateway_id: str) -> bytes:
        """Return a certificate request (DER)."""
        return self._of(key_file, "request", gateway_id=gateway_id.encode())["csr"]

    def sign(self, key_file: Path, data: bytes) -> bytes:
        """Return the signature (ECDSA with SHA-256, DER)."""
        return self._of(key_file, "sign", data=data)["signature"]

    def attester(self) -> "TpmAttester":
        """Return who proves where the key lies."""
        return TpmAttester(self._tcti, self._timeout_s * _TASKS_OF_ATTESTATION)

    def _of(self, key_file: Path, task: str, **given: bytes) -> Mapping[str, bytes]:
        return of_file(key_file, task, self._tcti, self._timeout_s, **given)


class TpmAttester:
    """`Attester`: keeps what belongs to one proof between its two steps.

    Args:
        tcti: Where the TPM is.
        timeout_s: How long one step may take.
    """

    def __init__(self, tcti: str, timeout_s: float) -> None:
        self._tcti = tcti
        self._timeout_s = timeout_s
        self._kept: dict[str, bytes] = {}
        self._key_file = Path()

    def begin(self, key_file: Path) -> Mapping[str, bytes]:
        """Return what the cloud needs for its challenge."""
        told = dict(of_file(key_file, "begin", self._tcti, self._timeout_s))
        self._key_file = key_file
        self._kept = {"ak_private": told.pop("ak_private"), "ak_public": told["ak_public"]}
        return told

    def answer(self, challenge: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """Return the proof."""
        wanted = {name: challenge[name] for name in ("credential_blob", "encrypted_secret", "nonce")}
        return of_file(self._key_file, "answer", self._tcti, self._timeout_s, **self._kept, **wanted)


def of_file(key_file: Path, task: str, tcti: str, timeout_s: float, **given: bytes) -> Mapping[str, bytes]:
    """Return what a task with this key returns; the message of an IdentityError names the file.

    Raises:
        TpmError: The TPM is missing, hangs or refuses.
        IdentityError: The file cannot be read, is damaged, or belongs to another TPM.
    """
    key = read_key_file(key_file)
    try:
        return call(task, tcti, timeout_s, key=key, **given)
    except IdentityError as error:
        error.args = (f"{key_file}: {error}",) if type(error) is IdentityError else error.args
        raise
