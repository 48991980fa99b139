"""The update machine: one for the whole system, our packages and the configuration. Pure.

    (nothing) -- Offered --> ACCEPTED, or REJECTED if it cannot be taken at all
    ACCEPTED, WAITING -- lease --> DOWNLOADING --> WAITING -- lease --> INSTALLING
    INSTALLING -- os ----------> WAITING -- lease --> REBOOTING -- came up in it --> VERIFYING
               -- app, config -> VERIFYING
    VERIFYING  -- healthy --> Commit --> SUCCEEDED
               -- not, or too late --> ROLLING_BACK -- (os: reboot) --> ROLLED_BACK
    REBOOTING, VERIFYING -- came up in the former one --> WAITING once more, then ROLLING_BACK
    DOWNLOADING -- lease withdrawn, network lost --> WAITING
    INSTALLING  -- cut off --> WAITING, at most 3 times; then ROLLING_BACK --> FAILED
    before INSTALLING -- refused for good, deadline, cancelled --> REJECTED, FAILED, CANCELLED
    WAITING for the reboot -- deadline, cancelled --> ROLLING_BACK (Abort) --> FAILED, CANCELLED

Rules:
* The caller persists what `step` returns before it carries out any of the commands.
* At most one command of a step is work; its answer is one of Leased, Done, Failed, Judged. Answers to
  anything but the present `doing` change nothing.
* Install, and Reboot into the new system, follow a granted lease at once. A reboot away from a system that
  failed its trial waits for a lease, too, as a moving valve counts more; but not for ever, and not at all
  if there is no core that could move one.
* SUCCEEDED follows Commit's Done, and Commit follows Judged(healthy): nothing else leads there.
* The deadline counts over reboots and needs no wall clock. Between the installation and its verdict nothing
  times out into the unknown: what cannot be judged in time is undone.
"""

from dataclasses import replace

from gateway.domain.update.done import done, failed, judged
from gateway.domain.update.model import (
    AskLease,
    Cancelled,
    Code,
    Done,
    Failed,
    Fetch,
    Install,
    Judged,
    Leased,
    Offered,
    Order,
    Progressed,
    Reboot,
    Report,
    Resumed,
    State,
    Step,
    Task,
    Ticked,
    Update,
    UpdateCommand,
    UpdateEvent,
)
from gateway.domain.update.moves import (
    Outcome,
    cleared,
    end,
    enter,
    interrupted,
    refused,
    retry,
    stay,
    undo,
)
from gateway.domain.update.resume import resume

MOST_CHANGES = 40
"""More than any way through the states takes, with everything that may go wrong on it."""
_TOO_MANY = MOST_CHANGES + 10
_PATIENCE_S = 600.0
"""So long a system that failed its trial waits for a lease to be left."""
_LONGEST_S = {
    State.INSTALLING: 3 * 3600.0,
    State.REBOOTING: 900.0,
    State.VERIFYING: 2 * 3600.0,
    State.ROLLING_BACK: 2 * 3600.0,
}
"""Whoever works on it has his own, shorter limits; these end what even they miss."""
_TOLD_PERCENT = 10
_TOO_LATE = "too late to cancel"


def step(
    update: Update | None, event: UpdateEvent, now_s: float
) -> tuple[Update | None, list[UpdateCommand]]:
    """Return the update after `event`, and what to do about it.

    Args:
        update: The present one, or the last; None before the first.
        event: What happened.
        now_s: Monotonic seconds of this boot.
    """
    if update is None or update.state.final:
        return _offered(update, event, now_s) if isinstance(event, Offered) else (update, [])
    if isinstance(event, Offered):
        return update, []
    moved, commands = _react(_aged(update, event, now_s), event)
    return _unless_looping(moved, commands)


def refusal(order: Order, code: Code, detail: str) -> Update:
    """Return the answer to an order that is not taken."""
    return end(Update(order, State.OFFERED), State.REJECTED, code, detail)[0]


def _offered(last: Update | None, event: Offered, now_s: float) -> tuple[Update | None, list[UpdateCommand]]:
    order = event.order
    if last is not None and last.order.id == order.id:
        return last, []
    first = Step.DOWNLOAD if order.target else Step.INSTALL
    fresh = Update(
        order,
        State.OFFERED,
        next=first,
        from_version=event.from_version,
        left_s=order.deadline_s,
        at_s=now_s,
    )
    if event.refuse:
        return end(fresh, State.REJECTED, event.refuse, event.detail)
    return enter(fresh, State.ACCEPTED, AskLease(first))


def _aged(update: Update, event: UpdateEvent, now_s: float) -> Update:
    """Count the time since the last event; after a start of the machine, that since its start at least."""
    since_s = 0.0 if isinstance(event, Resumed) and event.rebooted else update.at_s
    passed_s = max(0.0, now_s - since_s)
    return replace(
        update, left_s=update.left_s - passed_s, in_state_s=update.in_state_s + passed_s, at_s=now_s
    )


def _react(update: Update, event: UpdateEvent) -> Outcome:  # one line for each event
    match event:
        case Resumed():
            return resume(update, event)
        case Leased():
            return _leased(update, event)
        case Progressed(percent):
            return _progressed(update, percent)
        case Done():
            return done(update)
        case Failed():
            return failed(update, event)
        case Judged():
            return judged(update, event)
        case Cancelled(detail):
            return _cancelled(update, detail)
        case Ticked():
            return _ticked(update)
    return update, []


def _leased(update: Update, event: Leased) -> Outcome:
    if update.state is State.DOWNLOADING and event.step is Step.DOWNLOAD and not event.granted:
        return refused(update, Step.DOWNLOAD, event.reasons)
    if update.doing is not Task.ASK:
        return update, []
    if update.state is State.ROLLING_BACK:
        return _leave(update, event)
    if event.step is not update.next:
        return update, []
    if not event.granted:
        return refused(update, event.step, event.reasons)
    return _take(cleared(update, "lease"))


def _take(update: Update) -> Outcome:
    match update.next:
        case Step.DOWNLOAD:
            return enter(update, State.DOWNLOADING, Fetch())
        case Step.INSTALL:
            return enter(update, State.INSTALLING, Install())
        case Step.REBOOT:
            return enter(update, State.REBOOTING, Reboot())


def _leave(update: Update, event: Leased) -> Outcome:
    """Restart away from what failed its trial."""
    if event.granted or event.dead or update.in_state_s > _PATIENCE_S:
        return stay(update, Reboot(), update.code, update.detail)
    return stay(update, AskLease(Step.REBOOT, 10.0), update.code, update.detail)


def _progressed(update: Update, percent: int) -> Outcome:
    if update.state not in (State.DOWNLOADING, State.INSTALLING):
        return update, []
    bounded = max(0, min(100, percent))
    is_told = bounded // _TOLD_PERCENT != update.percent // _TOLD_PERCENT
    return replace(update, percent=bounded), [Report()] if is_told else []


def _cancelled(update: Update, detail: str) -> Outcome:
    if _is_early(update):
        return end(update, State.CANCELLED, Code.CANCELLED, detail)
    if update.state is State.WAITING:
        return undo(update, Code.CANCELLED, detail)
    if update.state is State.ROLLING_BACK or update.detail == _TOO_LATE:
        return update, []
    return replace(update, detail=_TOO_LATE), [Report()]


def _is_early(update: Update) -> bool:
    """Return True while nothing has been changed."""
    before = update.state in (State.ACCEPTED, State.DOWNLOADING, State.WAITING)
    return before and update.next is not Step.REBOOT and "interrupted" not in update.attempts


def _ticked(update: Update) -> Outcome:
    if update.left_s <= 0 and update.state in (State.ACCEPTED, State.DOWNLOADING, State.WAITING):
        reason = "the deadline has passed" + (f" ({update.detail})" if update.detail else "")
        if _is_early(update):
            return end(update, State.FAILED, Code.TIMEOUT, reason)
        return undo(update, Code.TIMEOUT, reason)
    if update.in_state_s > _LONGEST_S.get(update.state, float("inf")):
        return _stuck(update)
    return update, []


def _stuck(update: Update) -> Outcome:
    match update.state:
        case State.INSTALLING:
            return interrupted(update, "the installation did not end")
        case State.REBOOTING:
            return retry(update, Step.REBOOT, Code.NOT_STARTED, "the machine did not restart")
        case State.VERIFYING:
            return undo(update, Code.UNHEALTHY, "it could not be judged", runs_new=True)
    return end(update, State.FAILED, update.code, f"{update.detail}; it could not be undone")


def _unless_looping(update: Update, commands: list[UpdateCommand]) -> Outcome:
    if update.state.final or update.changes <= MOST_CHANGES:
        return update, commands
    if update.changes > _TOO_MANY or _is_early(update):
        return end(update, State.FAILED, Code.LOOP, f"{update.changes} changes of state")
    if update.state is State.ROLLING_BACK:
        return update, commands
    runs_new = update.state is State.VERIFYING
    return undo(update, Code.LOOP, f"{update.changes} changes of state", runs_new=runs_new)
