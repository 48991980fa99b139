"""What hawkBit is told about an update, pure.

An action is closed as a success only when the update is kept: after the health gate, not after the
installation, so that a rollout never goes on because of what has not been tried.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from gateway.domain.update.model import Code, State, Step, Update

NUMBERS: Final[Mapping[str, int]] = {
    "": 200,
    Code.BUSY: 601,
    Code.UNSUPPORTED: 602,
    Code.UNTRUSTED: 603,
    Code.EXPIRED: 604,
    Code.OLDER: 605,
    Code.INCOMPATIBLE: 606,
    Code.UNREACHABLE: 607,
    Code.NO_SPACE: 608,
    Code.INVALID: 609,
    Code.UNSAFE: 610,
    Code.INSTALL_FAILED: 611,
    Code.NOT_STARTED: 612,
    Code.UNHEALTHY: 613,
    Code.INTERRUPTED: 614,
    Code.TIMEOUT: 615,
    Code.LOOP: 616,
    Code.CANCELLED: 617,
}
"""hawkBit's status codes are numbers, and a rollout's targets can be searched by them. Never renumbered."""

_UNKNOWN: Final = 600
_MAX_DETAIL: Final = 500
_STEPS: Final = 10

Execution = Literal["scheduled", "download", "downloaded", "proceeding", "closed", "rejected"]


def feedback(action: str, update: Update) -> bytes:
    """Return the state of an update as DDI wants it."""
    execution = _execution(update)
    finished = "none"
    if update.state.final:
        finished = "success" if update.state is State.SUCCEEDED else "failure"
    progress = None if update.state.final else update.percent
    words = f"{update.state}: {update.code}" if update.code else str(update.state)
    return _body(action, execution, finished, update.code, progress, words, update.detail)


def refused(action: str, code: str, detail: str) -> bytes:
    """Return that a deployment cannot be carried out at all."""
    return _body(action, "closed", "failure", code, None, f"{State.REJECTED}: {code}", detail)


def alive(action: str) -> bytes:
    """Return that it is still under way; the answer says whether the server still has it open."""
    return _body(action, "proceeding", "none", "", None, "still under way")


def cancellation(action: str, *, accepted: bool, detail: str) -> bytes:
    """Return the answer to a cancellation."""
    if accepted:
        return _body(action, "closed", "success", Code.CANCELLED, None, "cancelled", detail)
    return _body(action, "rejected", "none", "", None, "too late to cancel", detail)


def consent(*, reason: str = "") -> bytes:
    """Return that a deployment may begin, or why not now; hawkBit leaves it waiting then."""
    if reason:
        return msgspec.json.encode({"confirmation": "denied", "details": [_line(reason)]})
    return msgspec.json.encode({"confirmation": "confirmed", "details": ["nothing here speaks against it"]})


def stage(update: Update) -> tuple[State, Step, str, int]:
    """Return what is worth telling once: hawkBit bounds the number of messages for an action."""
    return update.state, update.next, update.code, update.percent // _STEPS


def _execution(update: Update) -> Execution:
    match update.state:
        case State.OFFERED | State.ACCEPTED:
            return "scheduled"
        case State.WAITING if update.next is Step.DOWNLOAD:
            return "scheduled"
        case State.WAITING if update.next is Step.INSTALL:
            return "downloaded"
        case State.DOWNLOADING if update.percent == 0:
            return "download"
    return "closed" if update.state.final else "proceeding"


def _body(
    action: str, execution: Execution, finished: str, code: str, percent: int | None, *details: str
) -> bytes:
    # without a timestamp hawkBit takes its own time: ours may be wrong; older ones want the id in the body
    result: dict[str, object] = {"finished": finished}
    if percent is not None:
        result["progress"] = {"cnt": percent, "of": 100}
    return msgspec.json.encode(
        {
            "id": action,
            "status": {
                "execution": execution,
                "result": result,
                "code": NUMBERS.get(code, _UNKNOWN),
                "details": [_line(detail) for detail in details if detail],
            },
        }
    )


def _line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)[:_MAX_DETAIL]
