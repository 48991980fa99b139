"""What an operator may set about the authority: the table `[ca]` of cloud.toml."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Who issues, and where the key of the next intermediate is made.

    Args:
        issuer: "own": the authority in this home. "est": another authority, by EST (RFC 7030).
        key: "file": encrypted in the home. "pkcs11": in a security module. "tpm": in this machine's TPM.
        pkcs11_module: The module's library, e.g. "/usr/lib/softhsm/libsofthsm2.so".
        pkcs11_token: Label of the token. Its PIN is the authority's passphrase.
        tpm_tcti: How the TPM is reached.
        est_url: Of the other authority, e.g. "https://ca.example.com/.well-known/est".
        est_ca_file: Who signed its server certificate and ours (PEM).
        est_user: For HTTP Basic; "" if only a client certificate is shown.
        est_password_file: The password, alone in a file.
        est_cert_file: Our client certificate (PEM); "" for none.
        est_key_file: Its key (PEM).
        est_crl_url: Where the other authority publishes its CRL, e.g. "http://ca.example.com/ca.crl".
        est_timeout_s: How long one request may take.
    """

    issuer: Literal["own", "est"] = "own"
    key: Literal["file", "pkcs11", "tpm"] = "file"
    pkcs11_module: str = ""
    pkcs11_token: str = "reed"  # noqa: S105  # a label
    tpm_tcti: str = "device:/dev/tpmrm0"
    est_url: str = ""
    est_ca_file: str = ""
    est_user: str = ""
    est_password_file: str = ""
    est_cert_file: str = ""
    est_key_file: str = ""
    est_crl_url: str = ""
    est_timeout_s: float = 20.0

    def __post_init__(self) -> None:
        if self.key == "pkcs11" and not self.pkcs11_module:
            raise ValueError('key "pkcs11" needs pkcs11_module, the path of the library')
        if self.issuer == "est" and not (self.est_url.startswith("https://") and self.est_ca_file):
            raise ValueError('issuer "est" needs est_url (https://...) and est_ca_file')
