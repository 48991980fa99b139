"""What a new configuration changes, for people: a diff in which secrets are hidden, and not endless."""

import difflib
import re

HIDDEN = '"<hidden>"'
_SECRET = re.compile(
    r"^([-+ ]\s*[\w.\"'-]*(?:key|secret|token|pass|pin|psk|auth|credential|private)[\w\"'-]*\s*=\s*)(.*)$",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"_file\s*=|=\s*\"(?:secret:[\w.-]*|tpm|software)\"\s*$|=\s*(?:true|false)\s*$")
_LONG_HEX = re.compile(r"\b[0-9A-Fa-f]{24,}\b")
_INLINE = re.compile(r"((?:key|secret|token|pass|pin|psk)\w*\s*=\s*)(\"[^\"]*\"|'[^']*')", re.IGNORECASE)
_MAX_CHARS = 8000


def difference(old: str, new: str) -> str:
    """Return what changes, "" if nothing does."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), "before", "after", lineterm="", n=1)
    text = "\n".join(_harmless(line) for line in lines)
    return text if len(text) <= _MAX_CHARS else text[:_MAX_CHARS] + "\n… (more has changed)"


def _harmless(line: str) -> str:
    if not _HARMLESS.search(line):
        line = _INLINE.sub(rf"\1{HIDDEN}", _SECRET.sub(rf"\1{HIDDEN}", line))
    return _LONG_HEX.sub("<hidden>", line)
