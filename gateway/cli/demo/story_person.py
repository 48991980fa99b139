"""Third part: a person at the button outranks leak protection; a stop leaves everything as it is."""

import time
from typing import Any

from gateway.cli.demo import outcome
from gateway.cli.demo.outcome import KITCHEN_OPENS, KITCHEN_SHUTS, MAIN_OPENS, MAIN_SHUTS
from gateway.cli.demo.stage import Stage
from gateway.cli.demo.tell import Teller
from gateway.errors import DemoError
from gateway.sim.hands import Dry, Press
from gateway.sim.happening import ContactChanged, OutputSet

_BUTTON_LINE = "lobby-button"
_SHORT_S = 0.3
_MARGIN_S = 0.2


async def presses(stage: Stage, tell: Teller) -> None:
    """A short press does not open against a latched alarm, a long one does. Raises DemoError."""
    tell.act("A person at the button, on site")
    for pipe in ("main", "kitchen"):
        await stage.building.poke(Dry(pipe=pipe))
    tell.note("     (both pipes are mended; both alarms are still latched)")
    with tell.step("short press: refused, the light says so, nothing is driven") as step:
        released_s = await press(stage, _SHORT_S)
        await stage.until_view(lambda view: view["indicator"]["led"] == "denied", "the light to deny")
        outcome.check_closed_to_opening(stage, released_s - _SHORT_S)
        step.took_s = time.monotonic() - released_s
    long_s = stage.config.site.override.long_s + _MARGIN_S
    with tell.step(f"long press ({long_s:g} s): let go → both valves commanded open") as step:
        released_s = await press(stage, long_s)
        step.took_s = max(
            [await outcome.commanded(stage, to, released_s) for to in (MAIN_OPENS, KITCHEN_OPENS)]
        )
    with tell.step("both open, held by the button") as step:
        await outcome.arrived(stage, KITCHEN_OPENS, released_s)
        await outcome.arrived(stage, MAIN_OPENS, released_s)
        await _until_held(stage)
        step.took_s = time.monotonic() - released_s


async def lets_go(stage: Stage, tell: Teller) -> None:
    """The hold survives a kill; the very long press ends it and protection closes. Raises DemoError."""
    tell.act("kill -9 while a person holds the valves open")
    before, began_s = await outcome.valve_lines(stage), time.monotonic()
    await stage.gateway.kill()
    with tell.step("kill -9 → last will at the cloud: offline") as step:
        await stage.until_cloud(lambda cloud: cloud.status(began_s) == (False, "lost"), "the last will")
        step.took_s = stage.cloud.since(began_s)[0].at_s - began_s
    with tell.step("kill -9 → READY again") as step:
        step.took_s = await stage.gateway.until_back()
    with tell.step("no valve was moved, the hold and both alarms stand", timed=False):
        view = await _until_held(stage)
        outcome.check_untouched(before, await outcome.valve_lines(stage))
        latched = {
            alarm["subject"] for alarm in view["alarms"] if alarm["kind"] == "leak" and alarm["latched"]
        }
        if latched != {"zone/plant-room", "zone/kitchen"}:
            raise DemoError(f"latched: {', '.join(latched) or 'none'}")
    very_long_s = stage.config.site.override.very_long_s + _MARGIN_S
    with tell.step(f"very long press ({very_long_s:g} s), back to automatic → both closing") as step:
        released_s = await press(stage, very_long_s)
        step.took_s = max(
            [await outcome.commanded(stage, to, released_s) for to in (MAIN_SHUTS, KITCHEN_SHUTS)]
        )
    with tell.step("both closed, their end switches say so") as step:
        step.took_s = max(
            [await outcome.arrived(stage, to, released_s) for to in (MAIN_SHUTS, KITCHEN_SHUTS)]
        )


async def says_goodbye(stage: Stage, tell: Teller) -> None:
    """SIGTERM ends the gateway cleanly and moves nothing. Raises DemoError."""
    tell.act("SIGTERM")
    await stage.until_cloud(lambda cloud: cloud.status() == (True, "connected"), "the gateway to be online")
    # the closing coil of a motor is released when its end switch is made; that is no part of the stop
    before, began_s = await _resting_lines(stage), time.monotonic()
    with tell.step("the gateway ends with status 0"):
        status = await stage.gateway.stop()
        if status:
            raise DemoError(f"it ended with status {status}")
    with tell.step("it has told the cloud itself that it is offline (no last will)", timed=False):
        await stage.until_cloud(lambda cloud: cloud.status(began_s) == (False, "stopped"), "its farewell")
    with tell.step("no valve was moved: both still closed", timed=False):
        outcome.check_untouched(before, await outcome.valve_lines(stage))
        damage = (await stage.building.look())["damage"]
        if damage:
            raise DemoError(f"hardware was damaged: {damage}")


async def press(stage: Stage, for_s: float) -> float:
    """Press the button in the lobby; return when it was let go, monotonic seconds. Raises DemoError."""
    began_s = time.monotonic()
    await stage.building.poke(Press(button="lobby", for_s=for_s))
    down = await stage.building.first(ContactChanged, began_s, line=_BUTTON_LINE, closed=True)
    up = await stage.building.first(ContactChanged, down.at_s, for_s + 5, line=_BUTTON_LINE, closed=False)
    return up.at_s


async def _until_held(stage: Stage) -> dict[str, Any]:
    return await stage.until_view(
        lambda view: all(
            valve["state"] == "open" and (valve["override"] or {}).get("mode") == "hold"
            for valve in view["valves"].values()
        ),
        "both valves to be held open",
    )


async def _resting_lines(stage: Stage) -> dict[str, object]:
    """Wait until no motor runs. Raises DemoError."""
    await stage.building.first(OutputSet, 0.0, line="main-close", level=False)
    await stage.until_view(
        lambda view: all(valve["state"] == "closed" for valve in view["valves"].values()),
        "both valves closed",
    )
    return dict(await outcome.valve_lines(stage))
