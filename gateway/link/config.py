"""Keys of `[link]`: the broker, who we are there, and how fast the backlog may leave."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.errors import ConfigError

DEFAULT_PORT = 8883
"""MQTT over TLS, as registered with IANA."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The session with the broker. Without `[link]` the gateway protects the building all the same.

    What is not given comes from the enrolment (`reed-gateway enrol`).

    Args:
        host: Name or address of the broker; its certificate must carry it.
        port: TCP port for MQTT over TLS; only with `host`.
        ca_file: PEM; the authority that signed the broker's certificate.
        cert_file: PEM; our certificate, its common name is the gateway id; only with all the others.
        key_file: PEM; the key of our certificate, without a password; only with all the others.
        command_key_file: PEM; public key (P-256) of the cloud. May hold several while keys change.
        receipts: "cloud" keeps a message until the cloud says that its database holds it; "broker" only
            until the broker has acknowledged it.
        in_flight: Messages sent and not yet acknowledged by the broker.
        replay_per_s: Messages per second at most; 0 for no limit.
        keepalive_s: A ping at least this often; the broker gives us up after 1.5 times this.
        connect_timeout_s: One attempt (TCP, TLS, MQTT) may take this long for each of its three steps.
        ack_timeout_s: The broker must acknowledge a message within this time, or the session ends.
        receipt_timeout_s: The cloud must confirm a message within this time, or all are sent again.
        unreceipted_max: Messages acknowledged by the broker and not yet confirmed by the cloud.
        backoff_cap_s: Longest pause between two attempts to connect.
        snapshot_every_s: The present state is sent at least this often, and after each connect.
    """

    host: str | None = None
    port: int = DEFAULT_PORT
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    command_key_file: Path | None = None
    receipts: Literal["cloud", "broker"] = "cloud"
    in_flight: int = 20
    replay_per_s: float = 200.0
    keepalive_s: int = 60
    connect_timeout_s: float = 10.0
    ack_timeout_s: float = 30.0
    receipt_timeout_s: float = 120.0
    unreceipted_max: int = 1000
    backoff_cap_s: float = 300.0
    snapshot_every_s: float = 900.0

    def __post_init__(self) -> None:
        ranges: tuple[tuple[str, float, float, float], ...] = (
            ("port", self.port, 1, 65535),
            ("in_flight", self.in_flight, 1, 1000),
            ("replay_per_s", self.replay_per_s, 0, 100_000),
            ("keepalive_s", self.keepalive_s, 5, 1200),
            ("connect_timeout_s", self.connect_timeout_s, 1, 60),
            ("ack_timeout_s", self.ack_timeout_s, 1, 600),
            ("receipt_timeout_s", self.receipt_timeout_s, 1, 3600),
            ("unreceipted_max", self.unreceipted_max, 10, 100_000),
            ("backoff_cap_s", self.backoff_cap_s, 1, 3600),
            ("snapshot_every_s", self.snapshot_every_s, 10, 86400),
        )
        problems = [
            (key, f"{value:g} is out of range; give {low:g} to {high:g}")
            for key, value, low, high in ranges
            if not low <= value <= high
        ]
        if self.host is None and self.port != DEFAULT_PORT:
            problems.append(("port", "belongs to a host; give link.host, too"))
        elif self.host is not None and not self.host.strip():
            problems.append(("host", "is empty; give the broker's name or address"))
        if self.cert_file is not None or self.key_file is not None:
            together = ("host", "ca_file", "cert_file", "key_file", "command_key_file")
            missing = [key for key in together if getattr(self, key) is None]
            problems += [(key, "missing; a certificate that is not enrolled needs it") for key in missing]
        if problems:
            raise ConfigError(*problems)

    @property
    def has_own_pair(self) -> bool:
        """Certificate and key are files that the configuration names, not those of the enrolment."""
        return self.cert_file is not None
