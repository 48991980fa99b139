"""What the story looks at: coils, end switches, messages; with the times at which they happened."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.cli.demo.cloud import Arrival
from gateway.cli.demo.stage import Stage
from gateway.cli.demo.tell import Teller
from gateway.errors import DemoError
from gateway.sim.happening import ContactChanged, OutputSet

PROMPT_S = 0.5
"""From a decision's cause to its coil; a busy machine needs milliseconds, 500 are a fault."""


@dataclass(frozen=True, slots=True)
class Motion:
    """One valve of the demo's building and what shows that it goes.

    Args:
        valve: Its id.
        line: The line that moves it.
        level: To which level that goes.
        switch: The end switch that is made when it has arrived; "" if it has none there.
        state: As the gateway calls the end.
    """

    valve: str
    line: str
    level: bool
    switch: str
    state: str


MAIN_SHUTS = Motion("main", "main-close", True, "main-is-closed", "closed")
MAIN_OPENS = Motion("main", "main-open", True, "main-is-open", "open")
KITCHEN_SHUTS = Motion("kitchen", "kitchen-open", False, "kitchen-is-closed", "closed")
KITCHEN_OPENS = Motion("kitchen", "kitchen-open", True, "", "open")

_VALVE_LINES = ("main-open", "main-close", "kitchen-open")


async def commanded(stage: Stage, motion: Motion, since_s: float, within_s: float = 10.0) -> float:
    """Return how long after `since_s` the coil was switched. Raises DemoError."""
    seen = await stage.building.first(OutputSet, since_s, within_s, line=motion.line, level=motion.level)
    return seen.at_s - since_s


async def arrived(stage: Stage, motion: Motion, since_s: float) -> float:
    """Return how long after `since_s` the end switch was made, and the gateway knew. Raises DemoError."""
    took_s = 0.0
    if motion.switch:
        seen = await stage.building.first(ContactChanged, since_s, line=motion.switch, closed=True)
        took_s = seen.at_s - since_s
    closure = "confirmed" if motion.state == "closed" else None
    await stage.until_view(
        lambda view: (
            (view["valves"][motion.valve]["state"], view["valves"][motion.valve]["closure"])
            == (motion.state, closure)
        ),
        f"valve {motion.valve} to be {motion.state} ({closure or 'no closure'})",
    )
    return took_s


async def tell_command(
    stage: Stage, tell: Teller, motion: Motion, wet_s: float, confirm_s: float = 0.0
) -> None:
    """Tell how soon a leak switches the coil of a valve. Raises DemoError."""
    behind = f" ({confirm_s:g} s of it to confirm)" if confirm_s else ""
    with tell.step(f"wet → {_name(stage, motion)} commanded{behind}") as step:
        step.took_s = await commanded(stage, motion, wet_s)
        if step.took_s > PROMPT_S + confirm_s:
            raise DemoError(f"it took {step.took_s:.3f} s")


async def tell_arrival(stage: Stage, tell: Teller, motion: Motion, wet_s: float) -> None:
    """Tell when a leak has closed a valve. Raises DemoError."""
    with tell.step(f"wet → {_name(stage, motion)} closed, confirmed by its end switch") as step:
        step.took_s = await arrived(stage, motion, wet_s)


def _name(stage: Stage, motion: Motion) -> str:
    return stage.config.site.valves[motion.valve].name.lower()


async def alarmed(stage: Stage, alarm_id: str, since_s: float) -> Arrival:
    """Return the first message to the cloud that such an alarm is active. Raises DemoError."""

    def found() -> Arrival | None:
        return next((heard for heard in stage.cloud.since(since_s) if _is_about(heard, alarm_id)), None)

    await stage.until_cloud(lambda _cloud: found(), f"alarm {alarm_id}")
    heard = found()
    assert heard is not None  # noqa: S101  # until_cloud has just seen it
    return heard


def _is_about(heard: Arrival, alarm_id: str) -> bool:
    body = heard.message["body"]
    return heard.message["kind"] == "alarm" and body["alarm_id"] == alarm_id and bool(body["active"])


async def valve_lines(stage: Stage) -> Mapping[str, object]:
    """Return the levels of all lines that move valves, as the building has them. Raises DriverError."""
    outputs = (await stage.building.look())["outputs"]
    return {line: outputs[line] for line in _VALVE_LINES}


def check_untouched(before: Mapping[str, object], after: Mapping[str, object]) -> None:
    """Raise DemoError if a valve's line has changed."""
    if before != after:
        raise DemoError(f"lines were {dict(before)} and are {dict(after)}")


def check_closed_to_opening(stage: Stage, since_s: float) -> None:
    """Raise DemoError if anything was driven towards open since then."""
    opening = {(motion.line, motion.level) for motion in (MAIN_OPENS, KITCHEN_OPENS)}
    driven = [
        seen.line for seen in stage.building.since(OutputSet, since_s) if (seen.line, seen.level) in opening
    ]
    if driven:
        raise DemoError(f"{', '.join(driven)} was driven")
