"""One valve under all its masters: keeps their wishes, drives the valve, answers the persons who asked.

Closing needs nobody's leave below the master in force; opening happens only inside the call that handles
what an authorised person did (`_obey(..., may_open=True)`). Everything automatic passes False.
"""

from gateway.domain.authority import override as overrides
from gateway.domain.authority import ranks as masters
from gateway.domain.authority.override import Mode, Override
from gateway.domain.authority.pending import EXPIRED, Pending
from gateway.domain.authority.ranks import Authority, Rank, StoredWish
from gateway.domain.commands import AnswerRequest, Remember
from gateway.domain.effects import Clear, Effect, Raise, Why
from gateway.domain.events import CoilFailed, EndSwitchChanged, ValveFound
from gateway.domain.evolve import replace
from gateway.domain.flow.demand import Seen
from gateway.domain.model import SYSTEM, ActorKind, Json, Position, Request, SignalClass, Wish
from gateway.domain.site import OverridePolicy, ValveSpec
from gateway.domain.valve import flow as valve_flow
from gateway.domain.valve import machine
from gateway.domain.valve import recall as valve_recall
from gateway.domain.valve.machine import ValveState
from gateway.domain.valve.model import FAIL_TO_CLOSE, FlowSays

_SHUT_OR_SHUTTING = (ValveState.CLOSED, ValveState.CLOSING, ValveState.OUT_OF_SERVICE)


class Arbiter:
    """A valve, its standing wishes and the request that waits for its motion.

    Args:
        spec: The valve.
        policy: Of the button.

    `is_touched`: a person has moved it, or wanted to, since the start.
    """

    def __init__(self, spec: ValveSpec, policy: OverridePolicy) -> None:
        self.spec = spec
        self.policy = policy
        self._subject = f"valve/{spec.id}"
        self._pending: Pending | None = None
        self.is_touched = False
        self.authority = Authority()
        self.valve = machine.unknown(spec)

    # --- start --------------------------------------------------------------------------------------

    def found(self, event: ValveFound, memory: Json, now_s: float) -> list[Effect]:
        """Adopt the valve as it is: at start, and whenever its board was away.

        Args:
            event: Its lines, as they are.
            memory: What was last remembered of it.
            now_s: Monotonic seconds.
        """
        self.valve, effects = machine.found(self.spec, event, memory, now_s)
        if self.authority.lockout is not None:
            self.valve, more = machine.take_out_of_service(self.valve, self.authority.lockout, now_s)
            effects += more
        return effects + self._finish_closing(now_s) + self._settle_pending(now_s)

    def recall(self, memory: Json, now_s: float) -> list[Effect]:
        """Take over what was remembered, late; finish a closing unless a person moved the valve since."""
        self.valve, effects = valve_recall.recall(self.valve, memory, now_s)
        return effects if self.is_touched else effects + self._finish_closing(now_s)

    def _finish_closing(self, now_s: float) -> list[Effect]:
        """A closing for an alarm that was interrupted is finished; nothing else moves (docs/adr/0003)."""
        if not self.authority.protects or self.is_shut:
            return []
        return self._obey(now_s, may_open=False)

    # --- water --------------------------------------------------------------------------------------

    @property
    def is_shut(self) -> bool:
        """The valve is closed or on its way, as far as anybody can do something about it."""
        # a valve that failed to close goes on trying by itself, at its own pace
        return self.valve.state in _SHUT_OR_SHUTTING or self.has_failed_to_close

    @property
    def has_failed_to_close(self) -> bool:
        """It was to close and did not, and is tried again every few minutes."""
        return self.valve.fault == FAIL_TO_CLOSE

    @property
    def is_free(self) -> bool:
        """Nobody has a standing wish."""
        return masters.rank(self.authority) is Rank.AUTO

    def protect(self, rank: Rank, name: str, why: Why, now_s: float, *, again: bool) -> list[Effect]:
        """A zone (`Rank.LEAK`) or flow rule (`Rank.FLOW`) wants the valve closed.

        Returns the closing command unless a person at the button holds the valve open, or a lockout as it is.
        A request to open that has not been carried out is over. `again`: it wanted so before, and there still
        is water.
        """
        self.authority = masters.with_alarm(self.authority, rank, name, why)
        motion = [] if again and self.is_shut else self._obey(now_s, may_open=False)
        effects = motion + self._drop_opening()
        if self.authority.override is None or rank is Rank.FLOW:
            # no countdown for a flow rule: whoever keeps a valve open on the spot sees what the water is for
            return effects
        # under a lockout, too: whoever removes it must find the countdown, not an hour of open valve
        override = overrides.leak_confirmed(self.authority.override, self.policy, now_s)
        return effects + self.set_override(override, self.authority.override_why, now_s)

    def relax(self, rank: Rank, name: str) -> None:
        """That alarm has ended. The valve stays where it is: reopening is a person's decision."""
        self.authority = masters.without_alarm(self.authority, rank, name)

    def metered(self, seen: Seen, why: Why, now_s: float) -> list[Effect]:
        """Take what a meter shows of the closed valve; one that lets water through is closed once more."""
        if seen in (Seen.STOPPED, Seen.QUIET):
            says = FlowSays.STOPPED if seen is Seen.STOPPED else FlowSays.NOTHING
            self.valve, effects = valve_flow.says(self.valve, says, now_s)
            return effects
        self.valve, effects = valve_flow.says(self.valve, FlowSays.PASSING, now_s)
        self.valve, motion = valve_flow.close_again(self.valve, why, now_s)
        return motion + effects

    # --- the button ---------------------------------------------------------------------------------

    def press(self, position: Position, mode: Mode, why: Why, now_s: float) -> list[Effect]:
        """A person at the button wants the valve there."""
        self.is_touched = True
        make = overrides.hold if mode is Mode.HOLD else overrides.timed
        override = make(position, why.actor.name, self.policy, now_s)
        if self.authority.leaks:
            override = overrides.leak_confirmed(override, self.policy, now_s)
        effects = self.set_override(override, why, now_s)
        if masters.rank(self.authority) is Rank.LOCKOUT:
            return effects
        return self._obey(now_s, may_open=True) + effects

    def extend(self, why: Why, now_s: float) -> list[Effect]:
        """A person wants one more countdown."""
        if self.authority.override is None:
            return []
        override = overrides.extend(self.authority.override, self.policy, now_s)
        return self.set_override(override, why, now_s)

    def release(self, why: Why, now_s: float, *, by_person: bool) -> list[Effect]:
        """End the override; what lies beneath decides again."""
        if self.authority.override is None:
            # also ends one from before the restart that the disk has not told yet
            return [Remember(f"override/{self.spec.id}", None)] if by_person else []
        effects = self.set_override(None, why, now_s)
        return self._obey(now_s, may_open=by_person) + effects

    # --- requests -----------------------------------------------------------------------------------

    def request(self, wish: Wish, request: Request, now_s: float) -> list[Effect]:
        """A person at the socket or in the cloud asks; the answer is among the effects."""
        refusal = masters.refusal(self.authority, self.valve.state, wish, request)
        if refusal:
            return [AnswerRequest(request.command_id, "rejected", *refusal)]
        why = Why(request.actor, request.cause or f"{wish} requested", request.command_id)
        match wish:
            case Wish.LOCKOUT:
                remember = Remember(f"lockout/{self.spec.id}", str(why.actor))
                effects = [*self.lock_out(why, str(why.actor), now_s), remember]
                effects += self._answer_pending("failed", "locked_out")
                return [*effects, AnswerRequest(request.command_id, "succeeded")]
            case Wish.AUTO:
                return [*self._back_to_auto(why, now_s), AnswerRequest(request.command_id, "succeeded")]
            case _:
                return self._ask(masters.stored(wish, why, request, now_s), request.command_id, now_s)

    def _ask(self, wish: StoredWish, command_id: str, now_s: float) -> list[Effect]:
        self.is_touched = True
        effects = self._answer_pending("failed", "superseded")
        self.authority = replace(self.authority, wish=wish)
        standing = wish.position.value if wish.position is Position.CLOSED else None
        memory = Remember(f"wish/{self.spec.id}", standing)
        self._pending = Pending(command_id, wish.position)
        in_force = masters.desired(self.authority)
        held = in_force is not None and in_force[0] is not wish.position
        motion = [] if held else self._obey(now_s, may_open=True)
        detail = f"stored: {masters.rank(self.authority)} has the valve" if held else ""
        return [*effects, AnswerRequest(command_id, "executing", "", detail), *motion, memory]

    def lock_out(self, why: Why, by: str, now_s: float) -> list[Effect]:
        """Take the valve out of service in the name of `by`."""
        self.authority = replace(self.authority, lockout=why)
        self.valve, effects = machine.take_out_of_service(self.valve, why, now_s)
        detail, tie = f"out of service by {by}: {why.cause}", why.correlation_id
        supervisory = SignalClass.SUPERVISORY
        return [*effects, Raise("lockout", self._subject, supervisory, detail, correlation_id=tie)]

    def _back_to_auto(self, why: Why, now_s: float) -> list[Effect]:
        effects: list[Effect] = [*self._answer_pending("failed", "superseded")]
        self.authority = replace(self.authority, wish=None)
        effects.append(Remember(f"wish/{self.spec.id}", None))
        forget = Remember(f"lockout/{self.spec.id}", None)
        if self.authority.lockout is None:
            # on site also one that the disk has not told yet
            return [*effects, forget] if why.actor.kind is ActorKind.LOCAL else effects
        self.authority = replace(self.authority, lockout=None)
        self.valve, service = machine.return_to_service(self.valve, why, now_s)
        motion = self._obey(now_s, may_open=masters.may_reopen(self.authority))
        return [*motion, *service, *effects, Clear("lockout", self._subject), forget]

    # --- the valve itself ---------------------------------------------------------------------------

    def step(self, event: EndSwitchChanged | CoilFailed, now_s: float) -> list[Effect]:
        """An end switch or a failed line reports."""
        self.valve, effects = machine.step(self.valve, event, now_s)
        return effects + self._settle_pending(now_s)

    def tick(self, now_s: float) -> list[Effect]:
        """Do what is due."""
        self.valve, effects = machine.tick(self.valve, now_s)
        override = self.authority.override
        if override is not None and overrides.expired(override, now_s):
            why = Why(SYSTEM, f"the {override.mode} override has run out", "")
            effects += self.release(why, now_s, by_person=False)
        elif override is not None and overrides.due_to_announce(override, now_s):
            again = replace(override, reannounce_s=now_s + self.policy.reannounce_s)
            effects += self.set_override(again, self.authority.override_why, now_s)
        return effects + self._settle_pending(now_s)

    def exercise(self, why: Why, now_s: float) -> list[Effect]:
        """Move the valve there and back; the caller has made sure that all is quiet."""
        self.valve, effects = machine.exercise(self.valve, why, now_s)
        return effects

    def deadline_s(self) -> float | None:
        """Return when `tick` is wanted next."""
        due = [machine.deadline_s(self.valve)]
        if self.authority.override is not None:
            due.append(overrides.deadline_s(self.authority.override))
        if self._pending is not None:
            due.append(self._pending.lapses_s(self.valve.state, self.authority.wish))
        return min((at_s for at_s in due if at_s is not None), default=None)

    def view(self, now_s: float) -> dict[str, Json]:
        """Return the valve as persons see it."""
        override = overrides.view(self.authority.override, now_s)
        rank = masters.rank(self.authority)
        return {**machine.view(self.valve, now_s), "authority": rank.value, "override": override}

    # --- inside -------------------------------------------------------------------------------------

    def _obey(self, now_s: float, *, may_open: bool) -> list[Effect]:
        """Drive the valve to the position in force; never towards open unless a person just did something."""
        in_force = masters.desired(self.authority)
        if in_force is None or (in_force[0] is Position.OPEN and not may_open):
            return []
        position, why = in_force
        self.valve, effects = machine.drive(self.valve, position, why, now_s)
        return effects + self._settle_pending(now_s)

    def set_override(self, override: Override | None, why: Why | None, now_s: float) -> list[Effect]:
        """Let this override be in force from now on; nothing moves."""
        before = self.authority.override
        self.authority = replace(self.authority, override=override, override_why=why if override else None)
        if override is before:
            return []
        why = why or Why(SYSTEM, "restart", "")
        return overrides.announce(self.spec.id, override, why, now_s)

    def _settle_pending(self, now_s: float) -> list[Effect]:
        if self._pending is None:
            return []
        outcome = self._pending.outcome(self.valve.state, self.authority.wish, now_s)
        if outcome is None:
            return []
        self._spend_opening()
        answer = self._answer_pending(*outcome)
        if EXPIRED not in outcome:
            return answer
        self.authority = replace(self.authority, wish=None)
        return [*answer, Remember(f"wish/{self.spec.id}", None)]

    def _drop_opening(self) -> list[Effect]:
        """An alarm ends a request to open: nobody shall find it carried out after the reset."""
        if self.authority.wish is None or self.authority.wish.position is not Position.OPEN:
            return []
        self._spend_opening()
        return self._answer_pending("failed", "alarm_latched")

    def _spend_opening(self) -> None:
        """A wish to open is good for one opening; a wish to close stands until AUTO or another wish."""
        if self.authority.wish is not None and self.authority.wish.position is Position.OPEN:
            self.authority = replace(self.authority, wish=None)

    def _answer_pending(self, state: str, reason: str = "") -> list[Effect]:
        pending, self._pending = self._pending, None
        return [] if pending is None else [pending.answer(state, reason)]
