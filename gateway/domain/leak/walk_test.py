"""A walk test of a zone: a person wets each sensor and dries it; the valves stay as they are.

The zone is unprotected meanwhile, so a test is shown as supervisory and ends by itself. A sensor passes
when it has said wet and then dry. What is still wet at the end is a leak like any other.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.domain.commands import Publish, Record
from gateway.domain.effects import Clear, Effect, Raise
from gateway.domain.evolve import replace
from gateway.domain.leak.sensor import Sensor, is_wet
from gateway.domain.model import SYSTEM, Actor, Channel, Json, Request, SignalClass
from gateway.domain.site import ZoneSpec

LONGEST_S = 3600.0


@dataclass(frozen=True)
class WalkTest:
    """A test that runs: which sensors were wetted, and which of these are dry again."""

    ends_s: float
    correlation_id: str
    wetted: frozenset[str] = frozenset()
    passed: frozenset[str] = frozenset()


def start(spec: ZoneSpec, request: Request, now_s: float) -> tuple[WalkTest, list[Effect]]:
    """Begin; whoever calls has made sure that the zone is dry."""
    detail = f"the valves do not follow this zone for up to {LONGEST_S:g} s"
    subject = f"zone/{spec.id}"
    begun = Record("walk_test.started", subject, request.actor, request.cause, request.command_id, {})
    return WalkTest(now_s + LONGEST_S, request.command_id), [
        begun,
        Raise("walk-test", subject, SignalClass.SUPERVISORY, detail, correlation_id=request.command_id),
    ]


def step(
    test: WalkTest, spec: ZoneSpec, watched: Iterable[Sensor], now_s: float
) -> tuple[WalkTest | None, list[Effect]]:
    """Take what the sensors say; return None for a test that is over."""
    wet = frozenset(sensor.spec.id for sensor in watched if is_wet(sensor))
    wetted, passed = wet - test.wetted, test.wetted - wet - test.passed
    after = replace(test, wetted=test.wetted | wetted, passed=test.passed | passed)
    effects: list[Effect] = [_told(spec, sensor_id, "wet") for sensor_id in sorted(wetted)]
    effects += [_told(spec, sensor_id, "passed") for sensor_id in sorted(passed)]
    if now_s < test.ends_s:
        return after, effects
    return None, effects + finish(after, spec, SYSTEM, "time is up", now_s)


def finish(test: WalkTest, spec: ZoneSpec, actor: Actor, cause: str, now_s: float) -> list[Effect]:
    """End the test: record and tell which sensors passed."""
    passed: list[Json] = [*sorted(test.passed)]
    missed: list[Json] = [*sorted(set(spec.sensors) - test.passed)]
    took_s = now_s - (test.ends_s - LONGEST_S)
    result: dict[str, Json] = {"passed": passed, "not_passed": missed, "took_s": round(took_s, 3)}
    subject = f"zone/{spec.id}"
    return [
        Record("walk_test.finished", subject, actor, cause, test.correlation_id, result),
        Publish(Channel.EVENT, "walk_test", {"zone_id": spec.id, "step": "finished", **result}),
        Clear("walk-test", subject),
    ]


def summary(test: WalkTest, spec: ZoneSpec) -> str:
    """Return the result in a few words."""
    return f"{len(test.passed)} of {len(spec.sensors)} sensors passed"


def _told(spec: ZoneSpec, sensor_id: str, said: str) -> Publish:
    return Publish(Channel.EVENT, "walk_test", {"zone_id": spec.id, "sensor_id": sensor_id, "step": said})
