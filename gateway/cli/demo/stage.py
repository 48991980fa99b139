"""Sets the scene: control plane, network, cloud end, building, gateway; and takes all of it down again.

                                  +--- enrols, renews ---> nginx, EST    } reed-cloud run
building <--- lines, radio ---> gateway ---> relay ---> mosquitto        } (processes)
(process)                      (process)   (can be cut)     ^
                                                            +--- cloud end (in here)
"""

import asyncio
import grp
import json
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from gateway.cli.demo import process
from gateway.cli.demo.cloud import Cloud
from gateway.cli.demo.control_plane import BROKER_HOST, ControlPlane, check_installed
from gateway.cli.demo.place import Place
from gateway.cli.demo.relay import Relay, running_relay
from gateway.cli.demo.service import Service
from gateway.cli.demo.tell import Teller
from gateway.cli.demo.witness import Witness
from gateway.config.model import Config
from gateway.config.read import read
from gateway.errors import ControlError, DemoError, DriverError, GatewayError

GATEWAY_ID = "demo"
PLAN_FILE = Path(__file__).with_name("building.toml")
TEMPLATE_FILE = Path(__file__).with_name("gateway.toml")

_PATIENCE_S = 15.0
_LOOK_EVERY_S = 0.04
"""The control socket grants a user 50 calls a second."""


@dataclass(slots=True)
class Stage:
    """What the story and the keys work with; everything runs.

    Args:
        opening: Id and token of the command that opened the valve, to be sent again.
        promised: (epoch, seq): the gateway said that all up to there was on disk.
    """

    place: Place
    config: Config
    control: ControlPlane
    relay: Relay
    cloud: Cloud
    building: Witness
    gateway: Service
    opening: tuple[str, bytes] = ("", b"")
    promised: list[tuple[int, int]] = field(default_factory=list)

    async def until_view(
        self,
        holds: Callable[[dict[str, Any]], object],
        wish: str,
        within_s: float = _PATIENCE_S,
    ) -> dict[str, Any]:
        """Return the gateway's view as soon as it is as wished. Raises DemoError."""
        seen = "no answer from the gateway"
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            try:
                view = await self.gateway.view()
                if holds(view):
                    return view
                seen = summary(view)
            except ControlError as error:
                seen = str(error)
            await asyncio.sleep(_LOOK_EVERY_S)
        raise DemoError(f"waited {within_s:g} s for {wish}; seen: {seen}")

    async def until_cloud(
        self, holds: Callable[[Cloud], object], wish: str, within_s: float = _PATIENCE_S
    ) -> None:
        """Wait until the cloud has been told what is wished. Raises DemoError."""
        try:
            await self.cloud.until(holds, within_s)
        except TimeoutError:
            last = self.cloud.arrivals[-1].message if self.cloud.arrivals else "nothing"
            raise DemoError(f"waited {within_s:g} s for {wish}; the cloud last heard: {last}") from None


def summary(view: dict[str, Any]) -> str:
    """Return what matters of a view in one line."""
    valves = ", ".join(f"{name} {valve['state']}" for name, valve in view["valves"].items())
    alarms = ", ".join(alarm["id"] for alarm in view["alarms"]) or "none"
    waiting = sum(view["store"]["queued"].values())
    return f"valves: {valves}; alarms: {alarms}; link {view['link']['state']}; outbox {waiting}"


@asynccontextmanager
async def running_stage(place: Place, tell: Teller) -> AsyncIterator[Stage]:
    """Have the whole scene; when the block ends, however it does, none of its processes is left.

    Raises:
        GatewayError: Something did not start (or is left, which is a bug); what had started was ended.
    """
    check_installed()
    pids: list[int] = []
    try:
        async with AsyncExitStack() as closing:
            control = await _govern(place, tell, closing, pids)
            relay = await closing.enter_async_context(running_relay(BROKER_HOST, control.broker_port))
            config = _configure(place, relay)
            with tell.step("the simulated building stands"):
                building = await _build(place, closing, pids)
            stage = Stage(
                place=place,
                config=config,
                control=control,
                relay=relay,
                cloud=Cloud(control.ingest(GATEWAY_ID), BROKER_HOST, control.admin_port),
                building=building,
                gateway=Service(place, pids),
            )
            async with _running(control.watch, building.run, stage.cloud.run, stage.gateway.run):
                with tell.step("the gateway is READY, counted from the start of its process") as step:
                    step.took_s = await stage.gateway.until_ready()
                yield stage
    finally:
        left = await process.still_alive(pids)
        if left:
            raise DemoError(f"still running: {', '.join(map(str, left))}")
    tell.tick(f"nothing is left running: {len(pids)} processes have ended")


async def _govern(place: Place, tell: Teller, closing: AsyncExitStack, pids: list[int]) -> ControlPlane:
    """Have authority, broker and enrolment."""
    control = ControlPlane(place)
    kept = control.is_set_up
    with tell.step("the authority of an earlier demo" if kept else "reed-cloud init: root, intermediate"):
        await control.set_up()
    with tell.step("reed-cloud run: mosquitto, nginx and application answer"):
        await closing.enter_async_context(control.running(pids))
    with tell.step("the broker turns away a client without a certificate"):
        await _refuses_strangers(control)
    return control


async def _refuses_strangers(control: ControlPlane) -> None:
    """Try it without a certificate. Raises DemoError if the broker takes us."""
    context = ssl.create_default_context(cafile=str(control.roots_file))
    try:
        async with asyncio.timeout(_PATIENCE_S):
            reader, writer = await asyncio.open_connection(BROKER_HOST, control.broker_port, ssl=context)
            try:
                # with TLS 1.3 the client's handshake is over before the server has looked for a certificate
                answer = await reader.read(1)
            finally:
                writer.transport.abort()
    except OSError:
        return
    except TimeoutError:
        answer = b"?"
    if answer:
        raise DemoError("mosquitto takes clients without a certificate")


async def _build(place: Place, closing: AsyncExitStack, pids: list[int]) -> Witness:
    arguments = ["building", "--plan", str(PLAN_FILE), "--socket", str(place.building_socket)]
    log_file = place.log_file("building")
    building = await closing.enter_async_context(process.child(arguments, log_file))
    pids.append(building.pid)
    deadline_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline_s and building.returncode is None:
        try:
            return await Witness.connect(place.building_socket)
        except DriverError:
            await asyncio.sleep(_LOOK_EVERY_S)
    raise DemoError(f"the building does not stand; its last words: {process.last_line(log_file)}")


def _configure(place: Place, relay: Relay) -> Config:
    """Fill in the gateway's configuration and read it as the gateway will. Raises ConfigError."""
    words = {
        "gateway_id": GATEWAY_ID,
        "state_dir": place.state,
        "runtime_dir": place.runtime,
        "group": _own_group(),
        "building_socket": place.building_socket,
        "port": relay.port,
    }
    escaped = {key: json.dumps(str(word), ensure_ascii=False)[1:-1] for key, word in words.items()}
    template = Template(TEMPLATE_FILE.read_text(encoding="utf-8"))
    place.config_file.write_text(template.substitute(escaped), encoding="utf-8")
    return read(place.config_file)


def _own_group() -> str:
    try:
        return grp.getgrgid(os.getgid()).gr_name
    except KeyError:
        return "reed"


@asynccontextmanager
async def _running(*parts: Callable[[], Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """Run the parts beside the block; the failure of one ends the block, the end of the block ends all."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part()) for part in parts]
            yield
            for task in tasks:
                task.cancel()
    except* GatewayError as errors:
        raise errors.exceptions[0] from None
