"""The demo at a terminal: the gateway's live view, the world above it, keys below."""

import asyncio
import sys

from rich.console import Console
from rich.layout import Layout
from rich.live import Live

from gateway.cli.demo import enrolment, world
from gateway.cli.demo.keys import HINTS, LONG_HINTS, Hands
from gateway.cli.demo.place import Place
from gateway.cli.demo.stage import Stage, running_stage
from gateway.cli.demo.tell import Teller
from gateway.cli.message import sentence
from gateway.cli.top import Dialogue
from gateway.cli.view.feed import Feed
from gateway.cli.view.keyboard import Keyboard, keyboard
from gateway.cli.view.screen import Frame, render

_REDRAW_S = 0.2
_DARK = {"led": "?", "sounder": "?"}


async def show(place: Place, tell: Teller) -> None:
    """Set the scene and show it until a person quits. Raises GatewayError."""
    tell.act("The scene is set")
    async with running_stage(place, tell) as stage:
        await enrolment.enrols(stage, tell)
        feed = Feed(place.control_socket)
        try:
            await _Screen(stage, feed).run()
        finally:
            feed.close()
    tell.note(f"Configuration, the cloud's home, state and logs: {place.folder}")


class _Screen:
    """Draws and listens. One thread: what it asks of the gateway and the building is answered in no time."""

    def __init__(self, stage: Stage, feed: Feed) -> None:
        self._stage = stage
        self._feed = feed
        self._dialogue = Dialogue(stage.place.control_socket, HINTS)
        self._hands = Hands(stage, self._dialogue.say)
        self._typed = asyncio.Event()

    async def run(self) -> None:
        """Go on until `q`. Raises GatewayError when a part of the scene breaks."""
        console = Console()
        with keyboard() as keys, Live(console=console, screen=True, auto_refresh=False) as live:
            loop = asyncio.get_running_loop()
            loop.add_reader(sys.stdin, self._typed.set)
            try:
                async with asyncio.TaskGroup() as group:
                    doing: set[asyncio.Task[None]] = set()
                    while not self._quits(keys, group, doing):
                        self._feed.poll()
                        live.update(await self._draw(console.width, console.height), refresh=True)
                        await self._rest()
                    for task in doing:
                        task.cancel()
            finally:
                loop.remove_reader(sys.stdin)

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(_REDRAW_S):
                await self._typed.wait()
        except TimeoutError:
            pass
        self._typed.clear()

    def _quits(self, keys: Keyboard, group: asyncio.TaskGroup, doing: set[asyncio.Task[None]]) -> bool:
        """Take the keys that were pressed; return whether one of them ends it."""
        try:
            pressed = keys.wait(0)
        except KeyboardInterrupt:  # the terminal is gone
            return True
        for key in pressed:
            if self._dialogue.quits(key):
                return True
            if self._dialogue.is_idle and self._hands.knows(key):
                task = group.create_task(self._hands.do(key))
                doing.add(task)
                task.add_done_callback(doing.discard)
            else:
                self._dialogue.press(key, self._feed)
        return False

    async def _draw(self, columns: int, lines: int) -> Layout:
        self._dialogue.keys = LONG_HINTS if columns > len(LONG_HINTS) else HINTS
        frame = Frame(list(self._feed.messages), footer=self._dialogue.footer(), problem=self._feed.problem)
        screen = Layout()
        screen.split_column(
            Layout(world.render(await self._world()), size=world.LINES),
            Layout(render(self._feed.view, (columns, lines - world.LINES), frame)),
        )
        return screen

    async def _world(self) -> world.World:
        stage = self._stage
        indicator = (self._feed.view or {}).get("indicator", _DARK)
        return world.World(
            look=await stage.building.look(),
            burst=self._hands.burst,
            is_connected=stage.relay.connected,
            gateway=stage.gateway.state,
            held=len(stage.cloud.held),
            copies=stage.cloud.copies.total(),
            last=self._last_heard(),
            light=indicator["led"],
            sounder=indicator["sounder"],
        )

    def _last_heard(self) -> str:
        if not self._stage.cloud.arrivals:
            return ""
        message = self._stage.cloud.arrivals[-1].message
        body = message["body"]
        match message["kind"]:
            case "alarm":
                return f"{body['alarm_id']} {body['state']}"
            case "status":
                return "gateway online" if body["online"] else f"gateway offline ({body['reason']})"
            case "sensor" | "valve" | "restarted":
                return sentence(message)
            case kind:
                return f"{kind} {sentence(message)}"
