"""What each key of the live demo does: to the building, to the network, to the gateway, from the cloud."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gateway.cli.demo import remote
from gateway.cli.demo.stage import GATEWAY_ID, Stage
from gateway.control.client import Client
from gateway.errors import ControlError, GatewayError
from gateway.sim.hands import Dry, Leak, Press

HINTS = "l leak  d dry  b push  n net  k kill  x deny  r reset  o open  c shut  q quit"
"""For a terminal of 80 columns."""

LONG_HINTS = (
    "l leak  d dry  b short B long v very long press  n network  k kill -9  x deny  r reset  o open  "
    "c close  a acknowledge  q quit"
)

_ORDER = ("kitchen", "main", "server-room")
"""Behind a main valve that is shut no other leak shows."""

_BUTTON = "lobby"
_SHORT_S = 0.3
_MARGIN_S = 0.2


class Hands:
    """Acts at the press of a key.

    Args:
        say: Shows a remark.

    Attributes:
        burst: Pipes that leak, whether or not water comes out of them now.
    """

    def __init__(self, stage: Stage, say: Callable[[str], None]) -> None:
        self.burst: set[str] = set()
        self._stage = stage
        self._say = say
        override = stage.config.site.override
        self._keys: Mapping[str, Callable[[], Awaitable[None]]] = {
            "l": self._leak,
            "d": self._dry,
            "b": lambda: self._press("short", _SHORT_S),
            "B": lambda: self._press("long", override.long_s + _MARGIN_S),
            "v": lambda: self._press("very long", override.very_long_s + _MARGIN_S),
            "n": self._network,
            "k": self._kill,
            "x": self._deny,
            "r": self._reset,
            "o": self._open,
        }

    def knows(self, key: str) -> bool:
        """Return whether a key does something here."""
        return key in self._keys

    async def do(self, key: str) -> None:
        """Do it; what goes wrong is said."""
        try:
            await self._keys[key]()
        except (GatewayError, TimeoutError) as error:
            self._say(str(error) or "no answer")

    async def _leak(self) -> None:
        pipe = next((pipe for pipe in _ORDER if pipe not in self.burst), None)
        if pipe is None:
            self._say("every pipe has burst by now; d mends them")
            return
        await self._stage.building.poke(Leak(pipe=pipe))
        self.burst.add(pipe)
        leaks = (await self._stage.building.look())["pipes"][pipe]["leak_l_per_min"] > 0
        self._say(f"the pipe {pipe} bursts" if leaks else f"the pipe {pipe} bursts; a valve keeps it dry")

    async def _dry(self) -> None:
        for pipe in _ORDER:
            await self._stage.building.poke(Dry(pipe=pipe))
        self.burst.clear()
        self._say("pipes mended, floors mopped; r resets the alarms once all was dry for 5 s")

    async def _press(self, name: str, for_s: float) -> None:
        await self._stage.building.poke(Press(button=_BUTTON, for_s=for_s))
        self._say(f"{name} press of the button in the lobby ({for_s:.1f} s)")

    async def _network(self) -> None:
        relay = self._stage.relay
        if relay.connected:
            relay.cut()
            self._say("the network is cut; n restores it")
        else:
            relay.restore()
            self._say("the network is restored; the gateway tries again within 2 s")

    async def _kill(self) -> None:
        await self._stage.gateway.kill()
        self._say("kill -9 of the gateway; it is started again after a second, as by systemd")

    async def _deny(self) -> None:
        """Deny the gateway, or take that back, as an operator of the cloud does."""
        is_denied = bool((await self._stage.gateway.view())["link"]["denied"])
        verb = "grant" if is_denied else "deny"
        await self._stage.control.ask("gateway", verb, GATEWAY_ID, "--reason", "a key of the demo")
        after = "it comes back within seconds" if is_denied else "x grants it again"
        self._say(f"reed-cloud gateway {verb} {GATEWAY_ID}; {after}")

    async def _reset(self) -> None:
        """Reset what is latched and acknowledge the rest, as somebody at this machine may."""
        view = await self._stage.gateway.view()
        if not view["alarms"]:
            self._say("no alarm stands")
            return
        said = [await self._settle(alarm) for alarm in view["alarms"]]
        refused = [words for words in said if words]
        self._say("; ".join(refused) or f"reset or acknowledged: {len(said)}")

    async def _settle(self, alarm: Mapping[str, Any]) -> str:
        """Return why an alarm stays as it is; "" if it does not."""
        try:
            with Client(self._stage.place.control_socket) as client:
                if alarm["latched"]:
                    client.call("ResetAlarm", alarm=alarm["id"], cause="mended, says the demo")
                elif alarm["state"] != "acknowledged":
                    client.call("AcknowledgeAlarm", alarm=alarm["id"], cause="seen, says the demo")
        except ControlError as error:
            return f"{alarm['id']}: {error}"
        return ""

    async def _open(self) -> None:
        """Ask from the cloud, with a signed command and step-up login, to open what is not open."""
        view = await self._stage.gateway.view()
        shut = [valve for valve, seen in view["valves"].items() if seen["state"] != "open"]
        for valve in shut:
            self._say(f"signed command from the cloud: open {valve} …")
            state, reason = await remote.ask(
                self._stage, "valve", {"valve": valve, "wish": "open"}, step_up=True
            )
            self._say(f"open {valve}: {state} {reason}".rstrip())
            if state != "succeeded":
                return
        if not shut:
            self._say("every valve is open")
