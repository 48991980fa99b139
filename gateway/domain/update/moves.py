"""Steps that several parts of the update machine take: into a state, back to waiting, undone, ended."""

from dataclasses import replace
from typing import Final, TypeAlias

from gateway.domain.update.model import (
    Abort,
    AskLease,
    CheckHealth,
    Code,
    Commit,
    Fetch,
    Install,
    Kind,
    Reboot,
    Report,
    Restore,
    State,
    Step,
    Task,
    Update,
    UpdateCommand,
    Work,
)

Outcome: TypeAlias = tuple[Update, list[UpdateCommand]]

LEASE_WAIT_S: Final = (5.0, 60.0)
"""The first wait for a lease, doubled each time up to the longest."""
RETRY_S: Final = (30.0, 3600.0)
"""The same after a failure that passes."""
INTERRUPTIONS: Final = 3
"""An installation may be cut off this often, by power cuts for example."""

_TASKS: Final[dict[type[Work], Task]] = {
    AskLease: Task.ASK,
    Fetch: Task.FETCH,
    Install: Task.INSTALL,
    Reboot: Task.REBOOT,
    CheckHealth: Task.CHECK,
    Commit: Task.COMMIT,
    Restore: Task.RESTORE,
    Abort: Task.ABORT,
}


def backoff_s(span_s: tuple[float, float], count: int) -> float:
    """Return how long to wait after `count` failures in a row."""
    return min(span_s[1], span_s[0] * 2.0 ** min(max(count - 1, 0), 30))


def counted(update: Update, name: str) -> Update:
    """Return it with one more of these attempts."""
    return replace(update, attempts={**update.attempts, name: update.attempts.get(name, 0) + 1})


def cleared(update: Update, name: str) -> Update:
    """Return it without these attempts."""
    left = {key: count for key, count in update.attempts.items() if key != name}
    return replace(update, attempts=left)


def enter(update: Update, state: State, work: Work, code: str = "", detail: str = "") -> Outcome:
    """Go into another state; it is told, and `work` begins."""
    moved = replace(
        update,
        state=state,
        code=code,
        detail=detail,
        percent=0,
        in_state_s=0.0,
        changes=update.changes + (not _pauses_download(update, state)),
        doing=_TASKS[type(work)],
    )
    return moved, [Report(), work]


def _pauses_download(update: Update, state: State) -> bool:
    """A bad network may do this for days; the deadline ends it."""
    pair = {update.state, state}
    return update.next is Step.DOWNLOAD and pair == {State.WAITING, State.DOWNLOADING}


def stay(update: Update, work: Work, code: str = "", detail: str = "") -> Outcome:
    """Do this without a change of state; told if there is news."""
    is_news = (code, detail) != (update.code, update.detail)
    moved = replace(update, code=code, detail=detail, doing=_TASKS[type(work)])
    return moved, [Report(), work] if is_news else [work]


def ask(update: Update, step: Step, wait_s: float = 0.0, code: str = "", detail: str = "") -> Outcome:
    """Wait until the core lets this step be taken."""
    work = AskLease(step, wait_s)
    if update.state is State.WAITING and update.next is step:
        return stay(update, work, code, detail)
    if step is Step.DOWNLOAD:
        return enter(replace(update, next=step), State.WAITING, work, code, detail)
    return replace_next(enter(update, State.WAITING, work, code, detail), step)


def replace_next(outcome: Outcome, step: Step) -> Outcome:
    """Return the same, waiting for this step."""
    return replace(outcome[0], next=step), outcome[1]


def refused(update: Update, step: Step, reasons: tuple[str, ...]) -> Outcome:
    """Wait a little longer each time."""
    again = counted(update, "lease")
    wait_s = backoff_s(LEASE_WAIT_S, again.attempts["lease"])
    return ask(again, step, wait_s, "", ", ".join(reasons))


def retry(update: Update, step: Step, code: str, detail: str) -> Outcome:
    """Try it again, later each time."""
    again = counted(update, f"{step}_failed")
    return ask(again, step, backoff_s(RETRY_S, again.attempts[f"{step}_failed"]), code, detail)


def verify(update: Update) -> Outcome:
    """The new version runs; watch whether all is as before."""
    return enter(counted(update, "verify"), State.VERIFYING, CheckHealth())


def interrupted(update: Update, detail: str) -> Outcome:
    """An installation was cut off: no failure, so it is done again, but not for ever."""
    again = counted(update, "interrupted")
    if again.attempts["interrupted"] < INTERRUPTIONS:
        return ask(again, Step.INSTALL, 0.0, Code.INTERRUPTED, detail)
    return undo(again, Code.INTERRUPTED, f"{INTERRUPTIONS} times: {detail}")


def undo(update: Update, code: str, detail: str, *, runs_new: bool = False) -> Outcome:
    """Bring the former version back.

    Args:
        update: What is to be undone; something may have been changed.
        code: Why.
        detail: The same in words.
        runs_new: The system that is on trial runs now. Packages and configuration need no such word.
    """
    is_aside = update.order.kind is Kind.OS and not runs_new
    return enter(update, State.ROLLING_BACK, Abort() if is_aside else Restore(), code, detail)


def undone(update: Update) -> Outcome:
    """The former version runs, and nothing else waits."""
    if update.code == Code.CANCELLED:
        return end(update, State.CANCELLED, update.code, update.detail)
    tried = "verify" in update.attempts or update.code in (Code.NOT_STARTED, Code.UNHEALTHY)
    return end(update, State.ROLLED_BACK if tried else State.FAILED, update.code, update.detail)


def end(update: Update, state: State, code: str = "", detail: str = "") -> Outcome:
    """Nothing more happens."""
    moved = replace(
        update,
        state=state,
        code=code,
        detail=detail,
        percent=100 if state is State.SUCCEEDED else update.percent,
        in_state_s=0.0,
        changes=update.changes + 1,
        doing=Task.NOTHING,
        reported=False,
    )
    return moved, [Report()]
