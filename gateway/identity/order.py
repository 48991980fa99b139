"""What an enrolment is given, and what it gives."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.identity.est import TIMEOUT_S
from gateway.identity.token import Token

Say = Callable[[str, str], None]
"""Told of each step that is done: a word for it, and a line for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is wanted.

    Args:
        url: Where the cloud's enrolment is.
        token: Who we are to be, and whom to trust.
        ca_file: PEM; who may vouch for the servers besides the root that the token names.
        again: Enrol although there is a pair in use.
        now_unix_s: The time; None while the clock is not to be trusted, then no dates are judged.
        timeout_s: For each request.
    """

    url: str
    token: Token
    ca_file: Path | None = None
    again: bool = False
    now_unix_s: float | None = None
    timeout_s: float = TIMEOUT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """What came of it.

    Args:
        gateway: Who we are.
        key: "tpm" or "software".
        until: When the certificate ends, for a person.
        host: The broker's.
        port: The broker's.
        is_new: False if this token had done its work before.
    """

    gateway: str
    key: str
    until: str
    host: str
    port: int
    is_new: bool
