"""Who the gateway is: its certificate is renewed under load, it is denied, it is let in again."""

import time

from gateway.cli.demo import outcome
from gateway.cli.demo.enrolment import at_gateway
from gateway.cli.demo.outcome import KITCHEN_SHUTS
from gateway.cli.demo.stage import GATEWAY_ID, Stage
from gateway.cli.demo.storm import Storm, queued
from gateway.cli.demo.tell import Teller
from gateway.errors import DemoError
from gateway.sim.hands import Leak
from gateway.sim.happening import ContactChanged

DENIED_S = 5.0
"""From the operator's command to the end of the live session."""

_STEADY_PAUSE_S = 0.02
"""Some hundred messages a second."""

_BEFORE_S = 0.5
_DELIVERY_S = 20.0


async def renews(stage: Stage, tell: Teller) -> None:
    """A new key and certificate take over in the middle of the traffic. Raises DemoError."""
    tell.act("A new key and certificate, while messages are under way")
    storm, began_s = Storm(stage, _STEADY_PAUSE_S, freezes=False), time.monotonic()
    former = (await stage.gateway.view())["link"]["pair"]
    copies = stage.cloud.copies.total()

    async def renew() -> None:
        await at_gateway(stage, "renew")

    with tell.step("reed-gateway renew → a session with the new pair,") as step:
        await storm.through(_BEFORE_S, renew)
        view = await stage.until_view(
            lambda view: view["link"]["state"] == "up" and view["link"]["pair"] != former, "the new pair"
        )
        step.found = f"slot {former} → {view['link']['pair']}"
    with tell.step("none lost, none doubled:") as step:
        view = await stage.until_view(lambda view: queued(view) == 0, "an empty outbox", _DELIVERY_S)
        epoch, through = view["store"]["epoch"], view["store"]["seq"]
        missing = [seq for seq in range(1, through + 1) if (GATEWAY_ID, epoch, seq) not in stage.cloud.held]
        copies = stage.cloud.copies.total() - copies
        if missing or copies:
            raise DemoError(f"{len(missing)} of {through} are missing, {copies} came twice")
        step.found = f"{len(stage.cloud.since(began_s))} messages meanwhile, 0 copies"


async def is_denied(stage: Stage, tell: Teller) -> None:
    """A gateway that is denied is out within seconds, and protects its building. Raises DemoError."""
    tell.act("The cloud denies the gateway, and a pipe bursts")
    began_s = time.monotonic()
    with tell.step("reed-cloud gateway deny → its live session is ended") as step:
        await stage.control.ask("gateway", "deny", GATEWAY_ID, "--reason", "a demo of it")
        await stage.until_view(lambda view: view["link"]["state"] == "down", "the session to end")
        step.took_s = time.monotonic() - began_s
        if step.took_s > DENIED_S:
            raise DemoError(f"it took {step.took_s:.1f} s")
    with tell.step("it is not let in again, and its light says so (double flash)"):
        await stage.until_view(
            lambda view: view["link"]["denied"] and view["indicator"]["led"] == "cloud_denied", "its light"
        )
    began_s = time.monotonic()
    await stage.building.poke(Leak(pipe="kitchen"))
    wet = await stage.building.first(ContactChanged, began_s, line="leak-kitchen", closed=True)
    confirm_s = stage.config.site.zones["kitchen"].confirm_s
    await outcome.tell_command(stage, tell, KITCHEN_SHUTS, wet.at_s, confirm_s)
    await outcome.tell_arrival(stage, tell, KITCHEN_SHUTS, wet.at_s)
    with tell.step("the cloud has heard nothing of it;", timed=False) as step:
        if stage.cloud.since(began_s):
            raise DemoError(f"it heard {stage.cloud.since(began_s)[-1].message}")
        step.found = f"{queued(await stage.gateway.view())} messages are kept"


def at_hand(stage: Stage) -> bytes:
    """Return the certificate that the gateway has in use."""
    return (stage.config.gateway.identity_dir / "current" / "cert.pem").read_bytes()


async def is_granted(stage: Stage, tell: Teller) -> None:
    """Let in again, it comes back by itself with all that happened meanwhile. Raises DemoError."""
    tell.act("The cloud grants it again")
    began_s, before = time.monotonic(), at_hand(stage)
    with tell.step("reed-cloud gateway grant → session up, nobody was there"):
        await stage.control.ask("gateway", "grant", GATEWAY_ID, "--reason", "the demo goes on")
        await stage.until_cloud(lambda cloud: cloud.status(began_s) == (True, "connected"), "a session")
        if at_hand(stage) != before:
            raise DemoError("it has another certificate")
    with tell.step("the alarm of meanwhile arrives; all is delivered"):
        await outcome.alarmed(stage, "leak/zone/kitchen", began_s)
        await stage.until_view(lambda view: queued(view) == 0, "an empty outbox", _DELIVERY_S)
