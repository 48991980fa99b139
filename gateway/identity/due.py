"""When to renew. Pure: the clock, the dice and the history are given.

    begin ---------------- 66 % ~~~~~~ first attempt . . . . .  .  . .......| end    .    .      .        .
                                 |<- spread ->|<- an eighth of what is left  | recovery, at a bounded pace

Thousands of gateways that were enrolled on one day must not renew in one minute: each certificate has its own
place in the spread, and keeps it, however often one asks. After a failure an eighth of what is left is waited
for: two days when there is time, minutes near the end.

A certificate that the broker refuses is renewed before its time: perhaps the authority that issued it was
given up, and nothing but a new one helps.
"""

from dataclasses import dataclass
from enum import StrEnum

from gateway.identity.window import Window

SPREAD = 0.25
"""The first attempt falls within this share of the time between `renew_at` and the end."""

STEPS = 8
"""After a failure this share (one in ...) of the remaining time is waited for."""

SHORTEST_WAIT_S = 600.0
SHORTEST_WAIT_SHARE = 1 / 256
"""... but never less than this, or than this share of a short lifetime."""

LONGEST_RECOVERY_WAIT_S = 6 * 3600.0

REFUSAL_SPREAD_S = 3600.0
"""Whom the broker refuses begins within this time: it may refuse all at once."""


class Action(StrEnum):
    """What to do now."""

    WAIT = "wait"
    RENEW = "renew"
    RECOVER = "recover"


@dataclass(frozen=True, slots=True)
class Due:
    """What to do now, and when the next thing is to be done; `at_unix_s` is None without a trusted clock."""

    action: Action
    at_unix_s: float | None


def due(  # noqa: PLR0913  # as many as there are things that count
    valid: Window,
    now_unix_s: float | None,
    *,
    renew_at: float,
    chance: float,
    last_unix_s: float | None,
    refused_unix_s: float | None = None,
) -> Due:
    """Return whether to renew now, to recover, or to wait.

    Args:
        valid: Of the certificate in use.
        now_unix_s: None while the clock is not to be trusted: then nothing is done.
        renew_at: Share of the lifetime that passes before the first attempt.
        chance: 0 to less than 1, the certificate's own.
        last_unix_s: The last attempt, if there was one.
        refused_unix_s: Since when the broker turns us away for who we are, if it does.
    """
    if now_unix_s is None:
        return Due(Action.WAIT, None)
    if last_unix_s is not None and last_unix_s > now_unix_s:
        last_unix_s = None  # the clock was wrong then
    at_unix_s = next_attempt_unix_s(valid, renew_at=renew_at, chance=chance, last_unix_s=last_unix_s)
    if refused_unix_s is not None:
        at_unix_s = min(at_unix_s, next_try_unix_s(refused_unix_s, chance=chance, last_unix_s=last_unix_s))
    if now_unix_s < at_unix_s:
        return Due(Action.WAIT, at_unix_s)
    return Due(Action.RENEW if now_unix_s < valid.end_unix_s else Action.RECOVER, at_unix_s)


def next_attempt_unix_s(valid: Window, *, renew_at: float, chance: float, last_unix_s: float | None) -> float:
    """Return the earliest moment of the next attempt; the one at the end is the first recovery."""
    share = renew_at + (1 - renew_at) * SPREAD * chance
    first = valid.begin_unix_s + valid.length_s * share
    if last_unix_s is None or last_unix_s < first:
        return first
    if last_unix_s < valid.end_unix_s:
        return min(last_unix_s + wait_s(valid, last_unix_s), valid.end_unix_s)
    return last_unix_s + recovery_wait_s(valid.end_unix_s, last_unix_s) * (1 + chance / 2)


def next_try_unix_s(refused_unix_s: float, *, chance: float, last_unix_s: float | None) -> float:
    """Return the earliest moment of the next attempt of a gateway that is turned away since then."""
    first = refused_unix_s + SHORTEST_WAIT_S + REFUSAL_SPREAD_S * chance
    if last_unix_s is None or last_unix_s < first:
        return first
    return last_unix_s + recovery_wait_s(refused_unix_s, last_unix_s) * (1 + chance / 2)


def wait_s(valid: Window, last_unix_s: float) -> float:
    """Return how long to wait after a failure before the end: the nearer the end, the shorter."""
    shortest_s = min(SHORTEST_WAIT_S, valid.length_s * SHORTEST_WAIT_SHARE)
    return max(shortest_s, (valid.end_unix_s - last_unix_s) / STEPS)


def recovery_wait_s(since_unix_s: float, last_unix_s: float) -> float:
    """Return how long to wait after a failed recovery: longer and longer, up to a bound."""
    return min(max(SHORTEST_WAIT_S, (last_unix_s - since_unix_s) / 2), LONGEST_RECOVERY_WAIT_S)
