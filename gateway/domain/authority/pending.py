"""A request whose motion is awaited: how it ends, and when it lapses."""

from typing import NamedTuple

from gateway.domain.authority.ranks import StoredWish
from gateway.domain.commands import AnswerRequest
from gateway.domain.model import Position
from gateway.domain.valve.machine import ValveState

EXPIRED = "expired"


class Pending(NamedTuple):
    """`command_id` names the answer; `goal` is where the valve shall be."""

    command_id: str
    goal: Position

    def answer(self, state: str, reason: str = "") -> AnswerRequest:
        """Return how it ended."""
        return AnswerRequest(self.command_id, state, reason)

    def lapses_s(self, state: ValveState, wish: StoredWish | None) -> float | None:
        """Return when it lapses; while the valve moves, the end of that is awaited."""
        is_moving = state in (ValveState.OPENING, ValveState.CLOSING)
        return None if wish is None or is_moving else wish.expires_s

    def outcome(self, state: ValveState, wish: StoredWish | None, now_s: float) -> tuple[str, str] | None:
        """Return (answer, reason) if the request is over."""
        if state is (ValveState.OPEN if self.goal is Position.OPEN else ValveState.CLOSED):
            return "succeeded", ""
        if state is ValveState.FAULT:
            return "failed", "valve_fault"
        lapses_s = self.lapses_s(state, wish)
        return ("failed", EXPIRED) if lapses_s is not None and now_s >= lapses_s else None
