"""What the errors of a TLS handshake say about us."""

import ssl

import pytest

from gateway.link import refusal


def ssl_error(reason: str | None, kind: type[ssl.SSLError] = ssl.SSLError) -> ssl.SSLError:
    error = kind(1, "as OpenSSL says it")
    error.reason = reason
    return error


@pytest.mark.parametrize("reason", [None, "", "EVP_LIB", "TLSV1_ALERT_DECRYPT_ERROR"])
def test_a_handshake_in_which_our_key_fails_is_told_from_all_others(reason: str | None):
    assert refusal.is_our_key(ssl_error(reason))


@pytest.mark.parametrize(
    "error",
    [
        ssl_error("WRONG_VERSION_NUMBER"),
        ssl_error("SSLV3_ALERT_CERTIFICATE_REVOKED"),
        ssl_error("SSLV3_ALERT_HANDSHAKE_FAILURE"),
        ssl_error(None, ssl.SSLEOFError),
        ssl_error("CERTIFICATE_VERIFY_FAILED", ssl.SSLCertVerificationError),
        ConnectionResetError(),
        None,
    ],
)
def test_what_others_do_wrong_in_a_handshake_is_not_our_keys_fault(error: BaseException | None):
    assert not refusal.is_our_key(error)


@pytest.mark.parametrize(
    ("reason", "expired"),
    [
        ("SSLV3_ALERT_CERTIFICATE_REVOKED", False),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", True),
        ("SSLV3_ALERT_BAD_CERTIFICATE", False),
        ("SSLV3_ALERT_CERTIFICATE_UNKNOWN", False),
        ("SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", False),
        ("TLSV1_ALERT_UNKNOWN_CA", False),
        ("TLSV1_ALERT_ACCESS_DENIED", False),
    ],
)
def test_every_alert_about_our_certificate_is_a_refusal(reason: str, expired: bool):
    why, says_expired = refusal.by_alert(ssl_error(reason))

    assert why
    assert says_expired is expired


@pytest.mark.parametrize(
    "reason",
    ["TLSV1_ALERT_INTERNAL_ERROR", "SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV1_ALERT_PROTOCOL_VERSION", None],
)
def test_alerts_about_anything_else_are_none(reason: str | None):
    assert refusal.by_alert(ssl_error(reason)) == ("", False)
