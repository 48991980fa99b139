"""What follows the answers of those who work on an update: done, failed, judged."""

from typing import Final

from gateway.domain.update.model import (
    Abort,
    AskLease,
    CheckHealth,
    Code,
    Commit,
    Failed,
    Judged,
    Kind,
    Restore,
    State,
    Step,
    Task,
    Update,
)
from gateway.domain.update.moves import (
    RETRY_S,
    Outcome,
    ask,
    backoff_s,
    counted,
    end,
    interrupted,
    retry,
    stay,
    undo,
    undone,
    verify,
)

REFUSALS: Final = frozenset(
    {
        Code.UNSUPPORTED,
        Code.UNTRUSTED,
        Code.EXPIRED,
        Code.OLDER,
        Code.INCOMPATIBLE,
        Code.INVALID,
        Code.UNSAFE,
    }
)
"""Of the update itself, found before anything is written; trying again cannot help."""

TRIES: Final = 5
"""To restart, to bring the former version back."""
_COMMITS: Final = 3


def done(update: Update) -> Outcome:
    """What was under way is done."""
    match update.doing:
        case Task.FETCH:
            return ask(update, Step.INSTALL)
        case Task.INSTALL if update.order.kind is Kind.OS:
            return ask(update, Step.REBOOT)
        case Task.INSTALL:
            return verify(update)
        case Task.COMMIT:
            return end(update, State.SUCCEEDED)
        case Task.RESTORE if update.order.kind is Kind.OS:
            return stay(update, AskLease(Step.REBOOT), update.code, update.detail)
        case Task.RESTORE | Task.ABORT:
            return undone(update)
    return update, []


def failed(update: Update, event: Failed) -> Outcome:
    """What was under way could not be done."""
    match update.doing:
        case Task.FETCH:
            return _fetch_failed(update, event)
        case Task.INSTALL:
            return _install_failed(update, event)
        case Task.REBOOT:
            return _reboot_failed(update, event)
        case Task.CHECK:
            return undo(update, Code.UNHEALTHY, event.detail, runs_new=True)
        case Task.COMMIT:
            return _commit_failed(update, event)
        case Task.RESTORE | Task.ABORT:
            return _undo_failed(update, event)
    return update, []


def judged(update: Update, event: Judged) -> Outcome:
    """The health gate has decided."""
    if update.doing is not Task.CHECK:
        return update, []
    if event.healthy:
        return stay(update, Commit(), update.code, update.detail)
    return undo(update, Code.UNHEALTHY, ", ".join(event.missed), runs_new=True)


def _fetch_failed(update: Update, event: Failed) -> Outcome:
    if event.passing:
        return retry(update, Step.DOWNLOAD, event.code, event.detail)
    return _ended(update, event)


def _ended(update: Update, event: Failed) -> Outcome:
    state = State.REJECTED if event.code in REFUSALS else State.FAILED
    return end(update, state, event.code, event.detail)


def _install_failed(update: Update, event: Failed) -> Outcome:
    if event.code == Code.INTERRUPTED:
        return interrupted(update, event.detail)
    if event.passing:
        # it is not in the spool any more
        is_lost = event.code == Code.UNREACHABLE and bool(update.order.target)
        return retry(update, Step.DOWNLOAD if is_lost else Step.INSTALL, event.code, event.detail)
    if event.code in REFUSALS and "interrupted" not in update.attempts:
        return _ended(update, event)
    return undo(update, event.code, event.detail)


def _reboot_failed(update: Update, event: Failed) -> Outcome:
    if update.state is State.ROLLING_BACK:
        again = counted(update, "leave_failed")
        wait_s = backoff_s(RETRY_S, again.attempts["leave_failed"])
        return stay(again, AskLease(Step.REBOOT, wait_s), update.code, update.detail)
    if event.passing and update.attempts.get("reboot_failed", 0) < TRIES:
        return retry(update, Step.REBOOT, event.code, event.detail)
    return undo(update, event.code, event.detail)


def _commit_failed(update: Update, event: Failed) -> Outcome:
    again = counted(update, "commit_failed")
    if event.passing and again.attempts["commit_failed"] < _COMMITS:
        return stay(again, CheckHealth(), "", event.detail)
    why = f"it could not be made permanent: {event.detail}"
    return undo(again, Code.UNHEALTHY, why, runs_new=True)


def _undo_failed(update: Update, event: Failed) -> Outcome:
    again = counted(update, "restore_failed")
    count, is_abort = again.attempts["restore_failed"], update.doing is Task.ABORT
    if count < TRIES:
        wait_s = backoff_s(RETRY_S, count)
        return stay(again, Abort(wait_s) if is_abort else Restore(wait_s), update.code, update.detail)
    if update.order.kind is Kind.OS and not is_abort:  # a trial ends with any restart
        return stay(again, AskLease(Step.REBOOT), update.code, update.detail)
    return end(again, State.FAILED, update.code, f"{update.detail}; not undone: {event.detail}")
