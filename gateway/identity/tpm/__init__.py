"""The TPM 2.0: keys and secrets that cannot be copied.

TLS signs through OpenSSL's tpm2 provider (`provider`, `armed`), in this process. All else happens in a child
process (`calls`, `worker`), which can be killed when the TPM hangs, and keeps tpm2-pytss out of the daemon.
"""
