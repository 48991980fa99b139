"""Is bluetoothd there, and the adapter, and is it switched on? If not: what a person has to do."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from dbus_fast import Variant

from gateway.drivers.ble import recovery
from gateway.drivers.ble.bus import BLUEZ, Bus
from gateway.drivers.ble.reception import Reception
from gateway.drivers.ble.scan import ADAPTER
from gateway.errors import DriverError

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.25
START_AGAIN_S = 15.0

_OBJECTS, PROPERTIES = "org.freedesktop.DBus.ObjectManager", "org.freedesktop.DBus.Properties"

Objects = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""What BlueZ has: path, interface, properties. Any: D-Bus variants."""


async def managed_objects(bus: Bus) -> Objects:
    """Return everything that BlueZ has. Raises DriverError."""
    objects: Objects
    [objects] = await bus.call(BLUEZ, "/", (_OBJECTS, "GetManagedObjects"))
    return objects


async def power(bus: Bus, reception: Reception, name: str, *, on: bool) -> None:
    """Switch the adapter. Raises DriverError that says what blocks it."""
    word = "on" if on else "off"
    value = Variant("b", on)
    try:
        await bus.call(BLUEZ, reception.path, (PROPERTIES, "Set"), "ssv", ADAPTER, "Powered", value)
    except DriverError as error:
        blocked = await asyncio.to_thread(recovery.rfkill)
        problem = f"cannot be switched {word} ({error})"
        raise DriverError(f"{problem}; {blocked}" if blocked else problem) from None
    log.warning("%s: switched %s", name, word)
    reception.powered = on


class Presence:
    """Looks for one adapter, and helps where it can.

    Args:
        name: "hci0", or its address.
        now: The loop's clock.
    """

    def __init__(self, name: str, now: Callable[[], float]) -> None:
        self._name, self._now = name, now
        self._asked_to_start_s = float("-inf")

    async def find(self, bus: Bus, reception: Reception, wait_s: float) -> Objects:
        """Wait a little for everything to be there; fills in owner and path, returns what BlueZ has.

        Raises:
            DriverError: Says what is not there.
        """
        until_s = self._now() + wait_s
        while True:
            try:
                return await self._look(bus, reception)
            except DriverError:
                if self._now() >= until_s:
                    raise
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self, bus: Bus, reception: Reception) -> Objects:
        reception.owner = await bus.owner(BLUEZ)
        if reception.owner is None:
            await self._ask_to_start(bus)
            raise DriverError("bluetoothd is not running; systemctl start bluetooth")
        objects = await managed_objects(bus)
        adapters = {path: shown[ADAPTER] for path, shown in objects.items() if ADAPTER in shown}
        for path, properties in adapters.items():
            if self._name in (path.rpartition("/")[2], properties["Address"].value):
                reception.path = path
                if not properties["Powered"].value:
                    await power(bus, reception, self._name, on=True)
                reception.powered = True
                return objects
        there = ", ".join(path.rpartition("/")[2] for path in adapters) or "none"
        blocked = await asyncio.to_thread(recovery.rfkill)
        advice = blocked or "is it plugged in and its driver loaded? bluetoothctl list"
        raise DriverError(f"there is no such adapter (BlueZ has: {there}); {advice}")

    async def _ask_to_start(self, bus: Bus) -> None:
        if self._now() - self._asked_to_start_s < START_AGAIN_S:
            return
        self._asked_to_start_s = self._now()
        try:
            await bus.start_service(BLUEZ)
        except DriverError as error:
            log.warning("%s: bluetoothd is not running and cannot be started: %s", self._name, error)
        else:
            log.warning("%s: bluetoothd was not running; it was started through D-Bus", self._name)
