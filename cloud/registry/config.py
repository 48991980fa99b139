"""What an operator may set about names and enrolment: the tables `[public]` and `[enrolment]`."""

import re
from dataclasses import dataclass
from typing import Literal

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?")
DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Public:
    """How gateways and people reach us.

    Args:
        host: Name or address in our servers' certificates.
        more_hosts: Further names or addresses that the certificates shall carry.
        https_port: Where nginx listens: EST and pages.
        bind: The address of that port; "" is every address.
        broker_host: What gateways are told about the broker; "" is `host`.
        updates_dir: Folder that `reed-ota publish` fills; gateways get it under /updates/. "" is none.
    """

    host: str = "localhost"
    more_hosts: tuple[str, ...] = ()
    https_port: int = 8443
    bind: str = ""
    broker_host: str = ""
    updates_dir: str = ""

    def __post_init__(self) -> None:
        for name in (self.host, *self.more_hosts, self.broker_host or self.host):
            if not _HOST.fullmatch(name):
                raise ValueError(f'"{name}" is no host name or address; give a name without port or path')
        if self.updates_dir and not self.updates_dir.startswith("/"):
            raise ValueError(f'updates_dir "{self.updates_dir}" is no absolute path; begin it with "/"')
        if not 1 <= self.https_port <= 65535:  # noqa: PLR2004  # TCP
            raise ValueError(f"https_port {self.https_port} is out of range; give 1 to 65535")

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every name and address of ours, each once."""
        return tuple(dict.fromkeys((self.host, *self.more_hosts, self.broker_host or self.host)))

    @property
    def url(self) -> str:
        """What a person gives to `reed-gateway enrol --url`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.https_port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """Who may become a gateway, and for how long he may try.

    Args:
        token_valid_s: How long a token for enrolment may be used.
        retry_s: After this time a used token is refused even to the key that it certified.
        attestation: What a gateway needs if nothing else was said: proof that its key lies in a TPM, or none.
        attestation_valid_s: How long such a proof, or a nonce for recovery, may be used.
        tries: Refusals (a wrong secret, request ...) for one gateway from one address in `tries_window_s`.
        peer_tries: Refusals from one address within `tries_window_s`, whichever gateway it claims.
        tries_window_s: See `tries`.
    """

    token_valid_s: int = 7 * DAY_S
    retry_s: int = 600
    attestation: Literal["none", "required"] = "none"
    attestation_valid_s: int = 300
    tries: int = 10
    peer_tries: int = 100
    tries_window_s: int = 600

    def __post_init__(self) -> None:
        ranges = (
            ("token_valid_s", self.token_valid_s, 60, 366 * DAY_S),
            ("retry_s", self.retry_s, 0, 3600),
            ("attestation_valid_s", self.attestation_valid_s, 30, 3600),
            ("tries", self.tries, 1, 10_000),
            ("peer_tries", self.peer_tries, 1, 1_000_000),
            ("tries_window_s", self.tries_window_s, 10, DAY_S),
        )
        for name, value, least, most in ranges:
            if not least <= value <= most:
                raise ValueError(f"{name} {value} is out of range; give {least} to {most}")
