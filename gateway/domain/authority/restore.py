"""A valve's masters from before a restart: what persons had decided, and the alarms that stand."""

from collections.abc import Mapping

from gateway.domain.authority import override as overrides
from gateway.domain.authority.arbiter import Arbiter
from gateway.domain.authority.ranks import Standing, StoredWish
from gateway.domain.effects import Clear, Effect, Why
from gateway.domain.evolve import replace
from gateway.domain.model import SYSTEM, Json, Position


def restore(arbiter: Arbiter, memory: Mapping[str, Json], standing: Standing, now_s: float) -> list[Effect]:
    """Take over what was remembered; nothing is driven by it.

    Args:
        arbiter: The valve.
        memory: What was remembered, at the start or later; what persons did since must not be in it.
        standing: Alarms that want the valve closed.
        now_s: Monotonic seconds.
    """
    valve_id, effects = arbiter.spec.id, list[Effect]()
    authority = arbiter.authority
    arbiter.authority = replace(
        authority,
        leaks={**standing.leaks, **authority.leaks},
        flows={**standing.flows, **authority.flows},
    )
    locked_by = memory.get(f"lockout/{valve_id}")
    if locked_by is not None and arbiter.authority.lockout is None:
        why = Why(SYSTEM, "locked out before the restart", "")
        effects += arbiter.lock_out(why, str(locked_by), now_s)
    if memory.get(f"wish/{valve_id}") == Position.CLOSED.value:
        why = Why(SYSTEM, "closed by request before the restart", "")
        arbiter.authority = replace(arbiter.authority, wish=StoredWish(Position.CLOSED, why, None))
    known = memory.get(f"override/{valve_id}")
    if known is None:
        return effects + _over(arbiter)
    protects = arbiter.authority.protects
    override = overrides.restore(known, arbiter.policy, protects=protects, now_s=now_s)
    if override is None:
        return effects + overrides.announce(valve_id, None, Why(SYSTEM, "restart", ""), now_s)
    return effects + arbiter.set_override(override, None, now_s)


def _over(arbiter: Arbiter) -> list[Effect]:
    """End what alarms from before the restart say of a lockout or override that is not in force any more."""
    authority, subject = arbiter.authority, f"valve/{arbiter.spec.id}"
    effects: list[Effect] = [Clear("lockout", subject)] if authority.lockout is None else []
    return effects if authority.override is not None else [*effects, Clear("override", subject)]
