"""What is wrong with our key and certificate while they still work. Pure."""

import time
from typing import Final

from gateway.app.folder import Known
from gateway.identity.records import Attempt

_NEAR_END: Final = 0.1
"""With less than this share of its lifetime left, a certificate that was not renewed is a trouble."""

_SOFTWARE: Final = "our key lies in a file: whoever copies the card can pass for this gateway; fit a TPM"


def troubles(current: Known | None, attempt: Attempt | None, now_unix_s: float | None) -> dict[str, str]:
    """Return a line for each adapter that has a trouble, and "" for each that has none.

    Args:
        current: What is in use; None before the enrolment, which is no trouble of these.
        attempt: The last renewal.
        now_unix_s: None while the clock is not to be trusted: then nothing ends.
    """
    if current is None:
        return {"identity": "", "certificate": ""}
    return {
        "identity": _SOFTWARE if current.in_tpm is False else "",
        "certificate": _ending(current, attempt, now_unix_s),
    }


def _ending(current: Known, attempt: Attempt | None, now_unix_s: float | None) -> str:
    valid = current.valid
    if valid is None or now_unix_s is None or valid.end_unix_s - now_unix_s > _NEAR_END * valid.length_s:
        return ""
    failed = attempt is not None and attempt.outcome in ("failed", "rejected")
    why = f"the last renewal failed: {attempt.detail}" if attempt and failed else "nobody has renewed it"
    day = time.strftime("%Y-%m-%d", time.gmtime(valid.end_unix_s))
    word = "has ended" if current.has_ended(now_unix_s) else "ends"
    return f"our certificate {word} on {day}; {why}; see: reed-gateway identity"
