"""One line of `doctor`."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How good it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was found, and what to do about it."""

    check: str
    verdict: Verdict
    text: str
    advice: str = ""


def ok(check: str, text: str) -> Finding:
    """Return a finding without a worry."""
    return Finding(check, Verdict.OK, text)


def warn(check: str, text: str, advice: str) -> Finding:
    """Return a finding that does not stop protection, but should not stay."""
    return Finding(check, Verdict.WARN, text, advice)


def fail(check: str, text: str, advice: str) -> Finding:
    """Return a finding that needs somebody now."""
    return Finding(check, Verdict.FAIL, text, advice)
