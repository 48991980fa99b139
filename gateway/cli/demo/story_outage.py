"""Second part: no network, then no gateway either; nothing is lost and nothing comes twice."""

import asyncio
import json
import time
from collections import defaultdict

from gateway.cli.demo import outcome, remote
from gateway.cli.demo.cloud import Arrival
from gateway.cli.demo.stage import Stage
from gateway.cli.demo.storm import Storm, queued
from gateway.cli.demo.tell import Teller
from gateway.errors import DemoError
from gateway.sim.hands import Leak
from gateway.sim.happening import ContactChanged

EVENTS = 1000
_IN_FULL_CRY_S = 0.2
"""The gateway is killed so long after the last look, while messages are being made."""

_DELIVERY_S = 30.0


async def is_cut_off(stage: Stage, tell: Teller) -> None:
    """Without network, a leak closes its valve all the same. Raises DemoError."""
    tell.act("The network is cut, then the main pipe bursts")
    # the motor that has just opened the main valve must have had its pause before it may turn round
    await asyncio.sleep(stage.config.site.valves["main"].dead_time_s)
    began_s = time.monotonic()
    stage.relay.cut()
    with tell.step("cut → last will at the cloud: the gateway is offline"):
        await stage.until_cloud(lambda cloud: cloud.status(began_s) == (False, "lost"), "the last will")
    began_s = time.monotonic()
    await stage.building.poke(Leak(pipe="main"))
    wet = await stage.building.first(ContactChanged, began_s, line="leak-plant-room", closed=True)
    await outcome.tell_command(stage, tell, outcome.MAIN_SHUTS, wet.at_s)
    await outcome.tell_arrival(stage, tell, outcome.MAIN_SHUTS, wet.at_s)
    with tell.step("the cloud has heard nothing of it", timed=False):
        if stage.cloud.since(began_s):
            raise DemoError(f"it heard {stage.cloud.since(began_s)[-1].message}")


async def is_killed(stage: Stage, tell: Teller) -> None:
    """Events pile up; in the middle of it the gateway is killed and comes back. Raises DemoError."""
    tell.act(f"{EVENTS} events without a network, and kill -9 in the middle")
    storm = Storm(stage)
    with tell.step("batteries go flat, a room freezes:") as step:
        view = await storm.until_queued(EVENTS // 2)
        step.found = f"{queued(view)} messages wait"
    stage.promised.append(await _mark(stage))
    before = await outcome.valve_lines(stage)
    with tell.step("kill -9 in full cry → READY again (1 s of it systemd's pause)") as step:
        await storm.through(_IN_FULL_CRY_S, stage.gateway.kill)
        step.took_s = await stage.gateway.until_back()
    with tell.step("no valve was moved by that", timed=False):
        outcome.check_untouched(before, await outcome.valve_lines(stage))
    with tell.step("it goes on:") as step:
        view = await storm.until_queued(EVENTS)
        step.found = f"{queued(view)} messages of both runs wait"
    stage.promised.append(await _mark(stage))


async def is_back(stage: Stage, tell: Teller) -> None:
    """The network returns; the cloud gets each message once, in order. Raises DemoError."""
    tell.act("The network is back")
    began_s = time.monotonic()
    stage.relay.restore()
    with tell.step("restored → session up, present state told"):
        await stage.until_cloud(lambda cloud: cloud.status(began_s) == (True, "connected"), "a session")
    with tell.step("cut once more in the middle of the delivery → session up again"):
        await stage.until_cloud(lambda cloud: len(cloud.since(began_s)) > EVENTS // 3, "a third of it")
        again_s = time.monotonic()
        stage.relay.cut()
        await stage.until_cloud(lambda cloud: cloud.status(again_s) == (False, "lost"), "the last will")
        stage.relay.restore()
        await stage.until_cloud(lambda cloud: cloud.status(again_s) == (True, "connected"), "a session")
    with tell.step("all delivered and receipted:") as step:
        await stage.until_view(lambda view: queued(view) == 0, "an empty outbox", _DELIVERY_S)
        heard = {_number(arrival) for arrival in stage.cloud.since(began_s)} - {None}
        step.found = f"{len(heard)} messages"
        if len(heard) < EVENTS:
            raise DemoError(f"only {len(heard)} came")
    with tell.step("none lost:", timed=False) as step:
        step.found = _check_complete(stage)
    with tell.step("none doubled in effect:", timed=False) as step:
        step.found = _check_single(stage)
    with tell.step("in order within each priority", timed=False):
        _check_order(stage)
    with tell.step("the signed open command of before, sent again: refused"):
        before = await outcome.valve_lines(stage)
        await remote.send_again(stage, "valve", stage.opening[1], stage.opening[0])
        outcome.check_untouched(before, await outcome.valve_lines(stage))


async def _mark(stage: Stage) -> tuple[int, int]:
    """Return (epoch, seq) up to which the gateway says that everything is on disk. Raises DemoError."""
    view = await stage.until_view(lambda view: view["store"]["in_ram"] == 0, "everything to be on disk")
    return view["store"]["epoch"], view["store"]["seq"]


def _check_complete(stage: Stage) -> str:
    """Compare what the gateway had on disk, by its own word, with what the cloud holds."""
    held = {(epoch, seq) for _, epoch, seq in stage.cloud.held}
    promised = {(epoch, seq) for epoch, through in stage.promised for seq in range(1, through + 1)}
    missing = sorted(promised - held)
    if missing:
        raise DemoError(f"{len(missing)} of {len(promised)} are missing, the first is {missing[0]}")
    kinds = {message["kind"] for message in stage.cloud.held.values()}
    if "gap" in kinds:
        raise DemoError("the gateway gave messages up")
    killed, through = stage.promised[0]
    rest = _saved_at_the_kill(stage, killed) - through
    if any((killed, seq) not in held for seq in range(through, through + rest + 1)):
        raise DemoError("what the gateway found on its disk after the kill did not come")
    return f"{len(promised)} promised, {rest} more on disk when it was killed"


def _saved_at_the_kill(stage: Stage, epoch: int) -> int:
    """Return what the gateway said of the killed run after its restart: up to where all was on disk."""
    told = [message["body"] for message in stage.cloud.held.values() if message["kind"] == "restarted"]
    through = next((int(body["through"]) for body in told if body["epoch"] == epoch), 0)
    if through < stage.promised[0][1]:
        raise DemoError(f"{stage.promised[0][1]} were promised, after the restart {through} were left")
    return through


def _check_single(stage: Stage) -> str:
    """Look for one occurrence under two ids."""
    occurrences = {
        (message["mono_s"], message["kind"], json.dumps(message["body"], sort_keys=True))
        for message in stage.cloud.held.values()
    }
    doubled = len(stage.cloud.held) - len(occurrences)
    if doubled:
        raise DemoError(f"{doubled} came under two ids")
    copies = stage.cloud.copies.total()
    return f"{copies} {'copy' if copies == 1 else 'copies'} known by (epoch, seq)"


def _check_order(stage: Stage) -> None:
    last: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    known = set()
    for heard in stage.cloud.arrivals:
        number = _number(heard)
        if number is None or number in known:
            continue
        known.add(number)
        if number < last[heard.topic]:
            raise DemoError(f"{heard.topic}: {number} came after {last[heard.topic]}")
        last[heard.topic] = number


def _number(heard: Arrival) -> tuple[int, int] | None:
    """Return (epoch, seq) of a message; None for one that is not counted."""
    seq = heard.message["seq"]
    return None if seq is None else (heard.message["epoch"], seq)
