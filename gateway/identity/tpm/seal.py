"""Secrets at rest: what one TPM has sealed, no other opens."""

import base64
import binascii
import json
from typing import Final

from gateway.errors import IdentityError
from gateway.identity.config import Config
from gateway.identity.tpm.calls import call

MAX_BYTES: Final = 128
"""A TPM seals no more (TPM2B_SENSITIVE_DATA); seal a key, and encrypt with that."""

_VERSION: Final = 1


def seal(config: Config, secret: bytes, pcrs: str = "") -> bytes:
    """Return the sealed secret, JSON: version, pcrs, public and private (base64 of the TPM's structures).

    Args:
        config: Where the TPM is.
        secret: 1 to 128 bytes.
        pcrs: What must be as now for it to open, e.g. "sha256:7"; by default only the TPM must be the same,
            since an update of firmware or boot loader changes these, and a Raspberry Pi measures nothing.

    Raises:
        TpmError: The TPM is missing, hangs or refuses.
        IdentityError: It is empty or too long.
    """
    if not 1 <= len(secret) <= MAX_BYTES:
        raise IdentityError(f"a secret has 1 to {MAX_BYTES} bytes, this one {len(secret)}")
    made = call("seal", config.tcti, config.tpm_timeout_s, secret=secret, pcrs=pcrs.encode())
    blob = {name: base64.b64encode(made[name]).decode() for name in ("public", "private")}
    return json.dumps({"version": _VERSION, "pcrs": pcrs, **blob}).encode() + b"\n"


def unseal(config: Config, sealed: bytes) -> bytes:
    """Return the secret.

    Raises:
        TpmError: The TPM is missing, hangs or refuses.
        IdentityError: Another TPM sealed it, it is damaged, or the PCRs are not as they were.
    """
    try:
        blob = json.loads(sealed)
        version, pcrs = blob["version"], str(blob["pcrs"]).encode()
        parts = {name: base64.b64decode(blob[name], validate=True) for name in ("public", "private")}
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise IdentityError("the sealed secret is damaged: set it again") from None
    if version != _VERSION:
        raise IdentityError(
            f"the secret was sealed by a later release (version {version}): update, or set it again"
        )
    return call("unseal", config.tcti, config.tpm_timeout_s, pcrs=pcrs, **parts)["secret"]
