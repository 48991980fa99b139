"""The gateway becomes one of the cloud's: token, key, certificate, first session."""

import asyncio
import time

from gateway.cli.demo import process
from gateway.cli.demo.stage import GATEWAY_ID, Stage
from gateway.cli.demo.tell import Teller
from gateway.control.client import Client
from gateway.errors import DemoError

ENROL_S = 10.0
"""From the command to the first message that the cloud holds."""

_SOFTWARE_KEY = "adapter/identity"
_SHELVED_S = 28_800.0


async def enrols(stage: Stage, tell: Teller) -> None:
    """Enrol as a person would at the gateway. Raises DemoError."""
    tell.act("The gateway enrols")
    with tell.step("not enrolled: it protects, and its link says what to do", timed=False):
        await stage.until_view(lambda view: "enrol" in view["link"]["detail"], "the link to ask for it")
    with tell.step("reed-cloud token create: a token for one enrolment"):
        token = await stage.control.token_for(GATEWAY_ID)
    with tell.step("reed-gateway enrol → first message at the cloud") as step:
        began_s = time.monotonic()
        await at_gateway(stage, "enrol", "--url", stage.control.url, "--token", token)
        await stage.until_cloud(
            lambda cloud: cloud.status(began_s) == (True, "connected"), "the gateway to be online"
        )
        step.took_s = stage.cloud.since(began_s)[0].at_s - began_s
        if step.took_s > ENROL_S:
            raise DemoError(f"it took {step.took_s:.1f} s")
    await stage.until_view(lambda view: view["link"]["state"] == "up", "the link to come up")
    with tell.step("its key lies in a file: that is trouble; shelved, with the reason", timed=False):
        await stage.until_view(
            lambda view: any(alarm["id"] == _SOFTWARE_KEY for alarm in view["alarms"]),
            "trouble about the key",
        )
        await asyncio.to_thread(_shelve, stage)


async def at_gateway(stage: Stage, *arguments: str) -> str:
    """Run a command of `reed-gateway` and return what it printed. Raises DemoError."""
    config = ("--config", str(stage.place.config_file))
    return await process.ask("gateway", *arguments, *config, REED_SOCKET=str(stage.place.control_socket))


def _shelve(stage: Stage) -> None:
    """Silence what would otherwise be the story's only standing trouble: a demo needs no TPM."""
    with Client(stage.place.control_socket) as client:
        client.call(
            "ShelveAlarm",
            alarm=_SOFTWARE_KEY,
            duration_s=_SHELVED_S,
            cause="a demo protects nobody's building",
        )
