"""First part: water, the valve that closes, and everybody who cannot open it."""

import asyncio
import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.cli.demo import outcome, remote
from gateway.cli.demo.stage import Stage
from gateway.cli.demo.tell import Teller
from gateway.errors import DemoError
from gateway.sim.hands import Dry, Forge, Leak, Replay
from gateway.sim.happening import ContactChanged, SensorWetted

LEAK = "leak/zone/plant-room"
OPEN = {"valve": "main", "wish": "open"}
_PUMP = "plant-room-pump"


async def bursts(stage: Stage, tell: Teller) -> None:
    """A leak closes the valve, and the cloud hears of it. Raises DemoError."""
    tell.act("A pipe bursts in the plant room")
    began_s = time.monotonic()
    await stage.building.poke(Leak(pipe="main"))
    wet = await stage.building.first(ContactChanged, began_s, line="leak-plant-room", closed=True)
    await outcome.tell_command(stage, tell, outcome.MAIN_SHUTS, wet.at_s)
    with tell.step("wet → alarm at a subscriber on the broker") as step:
        step.took_s = (await outcome.alarmed(stage, LEAK, wet.at_s)).at_s - wet.at_s
    with tell.step("wet → receipt: the cloud holds the alarm, the outbox lets it go") as step:
        await stage.until_view(lambda view: view["store"]["queued"]["alarm"] == 0, "the receipt")
        step.took_s = time.monotonic() - wet.at_s
    await outcome.tell_arrival(stage, tell, outcome.MAIN_SHUTS, wet.at_s)
    with tell.step("no water flows;", timed=False) as step:
        pipe = (await stage.building.look())["pipes"]["main"]
        if pipe["leak_l_per_min"]:
            raise DemoError(f"{pipe['leak_l_per_min']} l/min still flow")
        step.found = f"{pipe['leaked_l']:.1f} litres were lost"
    with tell.step("the water meter stands still, too;", timed=False) as step:
        view = await stage.until_view(lambda view: view["meters"]["main"]["state"] == "none", "no flow")
        step.found = f"it counted {view['meters']['main']['litres']:.1f} litres"


async def stays_shut(stage: Stage, tell: Teller) -> None:
    """Nobody opens it from afar while the alarm is latched. Raises DemoError."""
    tell.act("Nobody opens it from afar")
    began_s = time.monotonic()
    await stage.building.poke(Dry(pipe="main"))
    tell.note("     (the pipe is mended, the floor mopped)")
    with tell.step("open, signed, with step-up login: refused, the alarm is latched"):
        await remote.expect(stage, ("rejected", "alarm_latched"), "valve", OPEN, step_up=True)
    with tell.step("open, signed, without step-up login: refused"):
        await remote.expect(stage, ("rejected", "not_authorised"), "valve", OPEN)
    with tell.step("open, signed with another key: not even answered"):
        await _forge_command(stage)
    with tell.step("forged radio frame in a keyed sensor's name: refused, reported"):
        await stage.building.poke(Forge(sensor=_PUMP))
        await _until_reported(stage, f"tamper/sensor/{_PUMP}")
    with tell.step("recorded radio frame of that sensor, repeated: refused, reported"):
        await stage.building.poke(Replay(sensor=_PUMP))
        await _until_reported(stage, f"replay/sensor/{_PUMP}")
    with tell.step("meanwhile no line was driven towards open", timed=False):
        outcome.check_closed_to_opening(stage, began_s)


async def _forge_command(stage: Stage) -> None:
    stranger = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    claims = stage.cloud.claims("valve", OPEN, step_up=True)
    await stage.cloud.send("valve", stage.cloud.sign(claims, stranger))
    await stage.until_view(
        lambda view: view["link"]["commands_refused"].get("bad_signature"), "the gateway to count the forgery"
    )
    if stage.cloud.answers(claims["id"]):
        raise DemoError("it was answered")


async def _until_reported(stage: Stage, alarm_id: str) -> None:
    await stage.until_view(
        lambda view: any(alarm["id"] == alarm_id and alarm["active"] for alarm in view["alarms"]), alarm_id
    )


async def is_reset(stage: Stage, tell: Teller) -> None:
    """A person acknowledges, resets and opens; each by a signed command. Raises DemoError."""
    tell.act("A person ends the alarm and opens, by signed commands")
    alarm = {"alarm_id": LEAK}
    with tell.step("acknowledge: the sounder is silent, nothing else changes"):
        await remote.expect(stage, ("succeeded", ""), "alarm/ack", alarm)
        await stage.until_view(lambda view: view["indicator"]["sounder"] == "silent", "silence")
    hold_s = stage.config.site.zones["plant-room"].dry_hold_s
    with tell.step(f"reset too early: refused, all must be dry for {hold_s:g} s"):
        await remote.expect(stage, ("rejected", "reset_refused"), "alarm/reset", alarm)
    with tell.step("reset after that time"):
        dried_s = max(seen.at_s for seen in stage.building.since(SensorWetted, 0.0))
        await asyncio.sleep(max(0.0, dried_s + hold_s + 0.2 - time.monotonic()))
        await remote.expect(stage, ("succeeded", ""), "alarm/reset", alarm)
    with tell.step("open, signed, with step-up login: done, its end switch says so"):
        claims = stage.cloud.claims("valve", OPEN, step_up=True)
        stage.opening = (str(claims["id"]), stage.cloud.sign(claims))
        began_s = time.monotonic()
        await stage.cloud.send("valve", stage.opening[1])
        await outcome.arrived(stage, outcome.MAIN_OPENS, began_s)
        await stage.until_cloud(
            lambda cloud: cloud.answers(stage.opening[0])[-1:] == [("succeeded", "")], "the answer"
        )
