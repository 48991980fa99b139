"""What is true of an update when the runner starts again: after a crash, a power cut or a wanted reboot."""

from gateway.domain.update.model import (
    Abort,
    CheckHealth,
    Code,
    Kind,
    Restore,
    Resumed,
    State,
    Step,
    Task,
    Update,
)
from gateway.domain.update.moves import (
    Outcome,
    ask,
    counted,
    end,
    interrupted,
    stay,
    undo,
    undone,
    verify,
)

RETURNS = 2
"""After the second return to the former system nobody believes in a power cut any more."""
_BACK = 3
"""The machine may come back in the system that it was to leave this often."""


def resume(update: Update, event: Resumed) -> Outcome:
    """Go on where the record says, as far as the machine agrees."""
    match update.state:
        case State.INSTALLING:
            return _installing(update, event)
        case State.REBOOTING:
            return _rebooting(update, event)
        case State.VERIFYING:
            return _verifying(update, event)
        case State.ROLLING_BACK:
            return _rolling_back(update, event)
    if update.next is Step.REBOOT and runs_new(update, event):
        return verify(update)  # somebody else has restarted the machine
    if update.state is State.WAITING:
        return ask(update, update.next, 0.0, update.code, update.detail)
    return ask(update, update.next)


def runs_new(update: Update, event: Resumed) -> bool:
    """Return True if the version of this update runs now."""
    order = update.order
    if order.kind is Kind.OS:
        return event.trial or event.version == order.version != update.from_version
    return event.version in ("", order.version)


def _installing(update: Update, event: Resumed) -> Outcome:
    if update.order.kind is Kind.OS:
        if event.trial:
            return verify(update)
    elif event.version == update.order.version != update.from_version and not event.pending:
        return verify(update)  # only the answer was lost
    what = "the machine was started" if event.rebooted else "the runner was ended"
    return interrupted(update, f"{what} while it was installed")


def _rebooting(update: Update, event: Resumed) -> Outcome:
    if runs_new(update, event):
        return verify(update)
    if not event.rebooted:
        return ask(update, Step.REBOOT)
    return _came_back(update, Code.NOT_STARTED, f"{event.version or 'the former version'} came up instead")


def _verifying(update: Update, event: Resumed) -> Outcome:
    if runs_new(update, event):
        return stay(update, CheckHealth())
    why = f"{event.version or 'the former version'} runs again before it was judged"
    if update.order.kind is Kind.OS:
        return _came_back(update, Code.UNHEALTHY, why)
    return end(update, State.ROLLED_BACK, Code.UNHEALTHY, why)


def _came_back(update: Update, code: Code, detail: str) -> Outcome:
    """A power cut forgets that the other slot was to be tried: that is no verdict, the first time."""
    again = counted(update, "returned")
    if again.attempts["returned"] < RETURNS:
        return ask(again, Step.REBOOT, 0.0, code, f"{detail}; it is tried once more")
    return undo(again, code, detail)


def _rolling_back(update: Update, event: Resumed) -> Outcome:
    if update.order.kind is not Kind.OS:
        return stay(update, Restore(), update.code, update.detail)
    if event.rebooted and not runs_new(update, event) and update.doing is not Task.ABORT:
        return undone(update)
    if update.doing is Task.ABORT and not event.trial:
        return stay(update, Abort(), update.code, update.detail)
    again = counted(update, "back") if event.rebooted else update
    if again.attempts.get("back", 0) > _BACK:
        return end(again, State.FAILED, update.code, f"{update.detail}; the machine does not leave it")
    return stay(again, Restore(), update.code, update.detail)
