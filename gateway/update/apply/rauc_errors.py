"""What RAUC says when it refuses, in our words. Its texts are those of RAUC 1.13."""

from gateway.domain.update.model import Code
from gateway.errors import UpdateError

_SHOWN_CHARS = 400
_MEANINGS = (
    ("compatible mismatch", Code.INCOMPATIBLE, False),
    ("version mismatch", Code.OLDER, False),
    ("no space left", Code.NO_SPACE, True),
    ("disk quota exceeded", Code.NO_SPACE, True),
    ("too small for image", Code.INCOMPATIBLE, False),
    # this kernel or this card, and nothing about the bundle
    ("dm table", Code.INSTALL_FAILED, False),
    ("dm-verity device", Code.INSTALL_FAILED, True),
    ("/dev/mapper", Code.INSTALL_FAILED, False),
    ("already processing", Code.BUSY, True),
    # a clock that stands before the certificate's first day goes right by itself
    ("not yet valid", Code.UNTRUSTED, True),
    ("signature", Code.UNTRUSTED, False),
    ("certificate", Code.UNTRUSTED, False),
    ("keyring", Code.UNTRUSTED, False),
    ("bundle format", Code.UNTRUSTED, False),
    ("verity", Code.UNTRUSTED, False),
    ("checksum", Code.UNTRUSTED, False),
    ("identifier", Code.UNTRUSTED, False),
    ("manifest", Code.UNTRUSTED, False),
)
"""The first that its text contains says it; in lower case, with whether it is worth trying again."""


def meaning(text: str) -> UpdateError:
    """Return the error for RAUC's text. What nobody has foreseen is INSTALL_FAILED, which loses nothing."""
    said = " ".join(text.split())[-_SHOWN_CHARS:]
    lower = text.lower()
    for part, code, passing in _MEANINGS:
        if part in lower:
            return UpdateError(code, f"RAUC: {said}", passing=passing)
    return UpdateError(Code.INSTALL_FAILED, f"RAUC: {said or 'it failed without a word'}")
