"""Enrolment over HTTPS: EST (RFC 7030, RFC 8951), attestation, recovery; docs/protocol.md, "Enrolment"."""
