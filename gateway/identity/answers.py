"""Answers of the enrolment server, taken apart: nothing in them is believed to be as it should be.

What cannot be used raises UnreachableError: whoever answers so is no cloud of ours, or not now.
"""

import base64
import json
import re
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gateway.errors import EnrolmentError, UnreachableError
from gateway.identity.https import Answer

if TYPE_CHECKING:
    from cryptography import x509

_OK, _CREATED, _ACCEPTED, _NO_CONTENT = 200, 201, 202, 204
_REFUSED = range(400, 500)
_LATER = (408, 425, 429)
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_TITLE = re.compile(r"<title>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_KEY_END = "-----END PUBLIC KEY-----"
_MAX_LINE = 300
_MEANING = {
    401: "the token is wrong, used or expired; ask for a new one",
    403: "this gateway is not allowed to",
    404: "there is no enrolment at this address",
    413: "what we sent is too large for it",
}


def demand_success(answer: Answer) -> None:
    """Raise what the status says, with the server's own line for a person.

    Raises:
        EnrolmentError: It refuses, or is no enrolment server.
        UnreachableError: It cannot do it now.
    """
    status = answer.status
    if status in (_OK, _CREATED, _NO_CONTENT):
        return
    line = _line(answer) or _MEANING.get(status) or f"status {status}"
    if status >= _REFUSED.stop or status in (_ACCEPTED, *_LATER):
        raise UnreachableError(f"{answer.url} cannot do it now: {line}; {_when(answer)}")
    if status in _REFUSED:
        raise EnrolmentError(f"{answer.url} refuses: {line}", status, answer.reason)
    raise EnrolmentError(f"{answer.url} is no enrolment server ({line}); check the address", status)


def certificates(answer: Answer) -> "list[x509.Certificate]":
    """Return what a certs-only PKCS#7 holds, in no order, without those that cannot be understood."""
    from cryptography.hazmat.primitives.serialization import pkcs7  # noqa: PLC0415  10 MiB

    from gateway.identity.foreign import UNREADABLE, is_readable  # noqa: PLC0415

    try:
        # RFC 8951: white space anywhere, whatever the header says of the encoding
        der = base64.b64decode(b"".join(answer.body.split()), validate=True)
        with warnings.catch_warnings():
            # BER where DER is due: some servers send it; the terminal of whoever enrols is no place to say so
            warnings.filterwarnings("ignore", "PKCS#7 certificates could not be parsed as DER", UserWarning)
            listed = pkcs7.load_der_pkcs7_certificates(der)
        found = [one for one in listed if is_readable(one)]
    except UNREADABLE:
        found = []
    if not found:
        raise unusable(answer, "holds no certificates that can be read")
    return found


def json_object(answer: Answer) -> dict[str, Any]:  # Any: what the server wrote, for the caller to look at
    """Return the JSON object."""
    try:
        told = json.loads(answer.body)
    except (ValueError, RecursionError):
        told = None
    if isinstance(told, dict):
        return told
    raise unusable(answer, "is no JSON object")


def challenge(answer: Answer, *names: str) -> tuple[str, Mapping[str, bytes]]:
    """Return the id of a challenge, fit to stand in a path, and its parts."""
    told = json_object(answer)
    number = _ID.fullmatch(told["id"]) if isinstance(told.get("id"), str) else None
    try:
        parts = {name: base64.b64decode(str(told[name]), validate=True) for name in names}
    except (KeyError, ValueError):
        number = None
    if number is None:
        raise unusable(answer, f"lacks one of id, {', '.join(names)}")
    return number[0], parts


def public_keys(answer: Answer, pem: str) -> bytes:
    """Return the public keys in a PEM text, each in a block of its own."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    try:
        blocks = [f"{one.strip()}\n{_KEY_END}\n".encode() for one in pem.split(_KEY_END) if one.strip()]
        for block in blocks:
            load_pem_public_key(block)
    except (ValueError, UnsupportedAlgorithm):
        blocks = []
    if not blocks:
        raise unusable(answer, "holds no public key of commands")
    return b"".join(blocks)


def unusable(answer: Answer, what: str) -> UnreachableError:
    """Return the error for an answer that says what it should not."""
    return UnreachableError(f"{answer.url}: its answer {what}; is this the cloud? try again later")


def _line(answer: Answer) -> str:
    """Return what the server says to a person, without what would act on a terminal."""
    text = answer.body[: 16 * _MAX_LINE].decode("utf-8", "replace")
    if answer.kind == "text/html":
        title = _TITLE.search(text)
        text = title[1] if title else ""
    elif answer.kind != "text/plain":
        text = ""
    line = next(iter(text.strip().splitlines()), "")
    return "".join(letter if letter.isprintable() else "?" for letter in line)[:_MAX_LINE].rstrip(".")


def _when(answer: Answer) -> str:
    wait = answer.retry_after
    return f"try again in {wait} s" if re.fullmatch("[0-9]{1,6}", wait) else "try again later"
