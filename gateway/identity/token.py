"""The one-time token that a person is given: `<gateway-id>.<secret>.<pin>`.

It says who may enrol (id and secret, 128 bit in base32) and whom to trust (the SHA-256 of the cloud's root
certificate in base64url), so that nothing else has to be brought to the machine safely.
"""

import re
from dataclasses import dataclass, field

from gateway.errors import EnrolmentError

_PARTS = 3
_ID = re.compile(r"[a-z0-9-]{1,63}")
_SECRET_LETTERS = 26
_NOT_IN_SECRET = re.compile("[^a-z2-7]")
_PIN_LETTERS = 43
_NOT_IN_PIN = re.compile("[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says.

    Args:
        gateway_id: Whom it is for.
        secret: Proves it once; never shown.
        pin: SHA-256 of the DER of the cloud's root certificate, base64url without padding.
    """

    gateway_id: str
    secret: str = field(repr=False)
    pin: str


def parse(text: str) -> Token:
    """Return the token in a text as it was typed or pasted; white space does not count.

    Raises:
        EnrolmentError: It is no token; says what is wrong with it without showing the secret.
    """
    parts = "".join(text.split()).split(".")
    if len(parts) != _PARTS or not all(parts):
        raise EnrolmentError(
            f"the token is not whole: it has {_PARTS} parts with dots between them (gateway.secret.pin), "
            f"here {'is nothing' if not text.strip() else f'are {sum(map(bool, parts))}'}; copy all of it"
        )
    gateway_id, secret, pin = parts[0].lower(), parts[1].lower(), parts[2]
    problem = _wrong_id(gateway_id) or _wrong_secret(secret) or _wrong_pin(pin)
    if problem:
        raise EnrolmentError(f"the token {problem}; copy it again, or ask for a new one")
    return Token(gateway_id, secret, pin)


def _wrong_id(text: str) -> str:
    return "" if _ID.fullmatch(text) else f"begins with {text[:40]!a}, which is no gateway's id"


def _wrong_secret(text: str) -> str:
    if wrong := _NOT_IN_SECRET.search(text):
        return f"has {wrong[0]!a} in its middle part, where only a-z and 2-7 stand"
    return _wrong_length("middle part", text, _SECRET_LETTERS)


def _wrong_pin(text: str) -> str:
    if wrong := _NOT_IN_PIN.search(text):
        return f"has {wrong[0]!a} in its last part, where only letters, digits, - and _ stand"
    return _wrong_length("last part", text, _PIN_LETTERS)


def _wrong_length(part: str, text: str, letters: int) -> str:
    return "" if len(text) == letters else f"is damaged: its {part} has {len(text)} letters, not {letters}"
