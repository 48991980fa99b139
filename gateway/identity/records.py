"""What is kept beside the pairs: where the cloud is, and how the last renewal went. Pure."""

import json
from dataclasses import asdict, dataclass
from typing import Any

_YEAR_10000_UNIX_S = 253_402_300_800


@dataclass(frozen=True, slots=True)
class Cloud:
    """Where we were enrolled (cloud.json).

    Args:
        gateway: Our id there; the common name of our certificates.
        est_url: Base address for renewal, e.g. "https://cloud.example.org:8443".
        host: The broker's.
        port: The broker's, MQTT over TLS.
        attestation: Each new key has to be proven to lie in our TPM.
    """

    gateway: str
    est_url: str
    host: str
    port: int
    attestation: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """The last renewal and what came of it (renewal.json).

    Args:
        at_unix_s: When it began.
        kind: "renew", with the certificate; "recover", by proof of possession after its end.
        outcome: "failed" (no new pair), "staged" (to be tried), "promoted" (in use) or "rejected" (tried,
            refused).
        slot: "a" or "b": where the new pair is; "" if there is none.
        detail: One line for a person; "" if all went well.
    """

    at_unix_s: float
    kind: str
    outcome: str
    slot: str = ""
    detail: str = ""


def cloud_json(cloud: Cloud) -> bytes:
    """Return the content of cloud.json."""
    broker = {"host": cloud.host, "port": cloud.port}
    told = {"gateway": cloud.gateway, "est_url": cloud.est_url, "broker": broker}
    return _text(told | {"attestation": cloud.attestation})


def parse_cloud(text: bytes) -> Cloud | None:
    """Return what cloud.json says, or None if it says nothing that could be used."""
    match told := _parsed(text):
        case {
            "gateway": str(gateway),
            "est_url": str(est_url),
            "broker": {"host": str(host), "port": int(port)},
        } if gateway and est_url and host and port is not True and 0 < port < 1 << 16:
            return Cloud(gateway, est_url, host, port, told.get("attestation") is True)
    return None


def attempt_json(attempt: Attempt) -> bytes:
    """Return the content of renewal.json."""
    return _text(asdict(attempt))


def parse_attempt(text: bytes) -> Attempt | None:
    """Return what renewal.json says, or None if that cannot be understood: then nothing was tried yet."""
    match _parsed(text):
        case {
            "at_unix_s": int(at_unix_s) | float(at_unix_s),
            "kind": str(kind),
            "outcome": str(outcome),
            "slot": str(slot),
            "detail": str(detail),
        } if 0 <= at_unix_s < _YEAR_10000_UNIX_S:
            return Attempt(float(at_unix_s), kind, outcome, slot, detail)
    return None


def _text(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n"


def _parsed(text: bytes) -> dict[str, Any]:
    """Return the JSON object; an empty one for anything else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
