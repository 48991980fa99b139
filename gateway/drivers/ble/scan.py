"""Making BlueZ listen: a passive monitor or an active discovery, each ended with our bus connection.

Passive: an object of ours (org.bluez.AdvertisementMonitor1) says which advertisements count; bluetoothd
reads it once. Monitors are experimental in BlueZ to this day: bluetoothd must run with --experimental.
Active: a discovery that reports duplicates, so that a sender which repeats itself stays alive.
"""

from collections.abc import Mapping
from typing import Any

from dbus_fast import Message, MessageFlag, Variant

from gateway.drivers.ble.bus import BLUEZ, Bus, CallError
from gateway.errors import DriverError

ADAPTER = "org.bluez.Adapter1"
_MANAGER = "org.bluez.AdvertisementMonitorManager1"
_MONITOR = "org.bluez.AdvertisementMonitor1"
_OBJECTS, _PROPERTIES = "org.freedesktop.DBus.ObjectManager", "org.freedesktop.DBus.Properties"

_APP_PATH = "/org/reed/bluetooth"
_MONITOR_PATH = f"{_APP_PATH}/monitor"

_FLAGS = 0x01
_FLAG_VALUES = (0x06, 0x04, 0x05, 0x02, 0x18, 0x1A)
PATTERNS = tuple((0, _FLAGS, bytes((flags,))) for flags in _FLAG_VALUES)
"""What the monitor lets through, (offset, AD type, content): senders that state their flags, as most do.

Not more than 7: bluetoothd counts the bytes of its request to the kernel in 8 bits, 34 for each pattern
(src/adv_monitor.c, `cp_len`), and 5.82 overwrites its own memory beyond. And only flags: since 5.69 patterns
of another type match nothing (bluez issues 652, 901). A sensor that sends no flags needs an active scan.
"""


class Scan:
    """One adapter's listening.

    Args:
        bus: Open.
        path: The adapter's object.
        wanted: "auto", "passive" or "active".
        distrust: Why "auto" is to be active; "" if there is no reason.
    """

    def __init__(self, bus: Bus, path: str, wanted: str, distrust: str = "") -> None:
        self._bus, self._path, self._wanted, self._distrust = bus, path, wanted, distrust
        self.passive = False
        self.started = False
        """BlueZ has agreed to our listening, and we have not ended it."""
        self.released = False
        """bluetoothd has let go of the monitor: nothing is heard any more."""

    async def start(self, interfaces: Mapping[str, Any]) -> str:
        """Begin to listen and return how, and why so, in words.

        Args:
            interfaces: Those of the adapter, with their properties.

        Raises:
            DriverError: BlueZ refuses.
        """
        why = "as configured"
        if self.released:
            self._distrust = "bluetoothd let go of the advertisement monitor; its log says why"
        if self._distrust and self._wanted == "auto":
            why = self._distrust
        elif self._wanted != "active":
            try:
                await self._start_passive(interfaces)
            except DriverError as error:
                if self._wanted == "passive":
                    raise
                why = f"no passive scan: {error}"
            else:
                self.started = True
                return "passive scan"
        await self._start_active()
        self.started = True
        return f"active scan ({why})"

    async def stop(self) -> None:
        """End listening; whatever BlueZ thinks of it. Raises DriverError if it does not answer."""
        self.started = False
        try:
            if self.passive:
                # also after it was released: bluetoothd keeps what was registered
                await self._bus.call(BLUEZ, self._path, (_MANAGER, "UnregisterMonitor"), "o", _APP_PATH)
            else:
                await self._bus.call(BLUEZ, self._path, (ADAPTER, "StopDiscovery"))
        except CallError:
            return

    async def _start_passive(self, interfaces: Mapping[str, Any]) -> None:
        manager = interfaces.get(_MANAGER)
        if manager is None:
            raise DriverError(
                "bluetoothd offers no advertisement monitors; they need bluetoothd --experimental"
            )
        types = manager.get("SupportedMonitorTypes")
        if types is not None and "or_patterns" not in types.value:
            raise DriverError("its advertisement monitors know no or_patterns")
        self.passive, self.released = True, False
        try:
            await self._bus.call(BLUEZ, self._path, (_MANAGER, "RegisterMonitor"), "o", _APP_PATH)
        except DriverError as error:
            self.passive = False
            raise DriverError(f"bluetoothd refused the advertisement monitor: {error}") from None

    async def _start_active(self) -> None:
        self.passive = False
        wish = {"Transport": Variant("s", "le"), "DuplicateData": Variant("b", True)}
        await self._bus.call(BLUEZ, self._path, (ADAPTER, "SetDiscoveryFilter"), "a{sv}", wish)
        await self._bus.call(BLUEZ, self._path, (ADAPTER, "StartDiscovery"))

    def answer(self, call: Message) -> Message | bool | None:
        """Return the answer to a call of bluetoothd at our monitor, or None if it is not for it."""
        if call.path not in (_APP_PATH, _MONITOR_PATH):
            return None
        if call.member == "Release":
            self.released = True
        if call.flags & MessageFlag.NO_REPLY_EXPECTED:
            return True
        monitor = {
            "Type": Variant("s", "or_patterns"),
            "Patterns": Variant("a(yyay)", [[start, kind, content] for start, kind, content in PATTERNS]),
        }
        match (call.interface, call.member, call.path):
            case (name, "GetManagedObjects", path) if name == _OBJECTS and path == _APP_PATH:
                return _reply(call, "a{oa{sa{sv}}}", {_MONITOR_PATH: {_MONITOR: monitor}})
            case (name, "GetAll", path) if name == _PROPERTIES and path == _MONITOR_PATH:
                return _reply(call, "a{sv}", monitor)
            case (name, "Activate" | "Release" | "DeviceFound" | "DeviceLost", _) if name == _MONITOR:
                return _reply(call)
        return None


def _reply(call: Message, signature: str = "", *body: Any) -> Message:  # noqa: ANN401  # as the signature says
    reply: Message = Message.new_method_return(call, signature, list(body))
    return reply
