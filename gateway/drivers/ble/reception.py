"""What one adapter hears: from a D-Bus signal to the listener, and what became of adapter and bluetoothd.

The match rules name our own senders, so the bus drops strangers' advertisements before they reach us. Signals
count only if bluetoothd itself sent them: the bus would carry anybody's.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from dbus_fast import Message, MessageType

from gateway.domain.ports import Advert
from gateway.drivers.ble.bus import BLUEZ
from gateway.drivers.ble.device import Device, object_path
from gateway.drivers.ble.scan import ADAPTER

DEVICE = "org.bluez.Device1"
MOST_RULES = 200
"""With more senders than this one rule lets all through: the bus allows 512 rules, two for each sender."""

_DBUS = "org.freedesktop.DBus"
_SAID = ("ServiceData", "ManufacturerData", "RSSI")
_OWNER_RULE = f"type='signal',sender='{_DBUS}',interface='{_DBUS}',member='NameOwnerChanged',arg0='{BLUEZ}'"
_CHANGED = f"type='signal',sender='{BLUEZ}',interface='{_DBUS}.Properties',member='PropertiesChanged'"
_ADDED = f"type='signal',sender='{BLUEZ}',interface='{_DBUS}.ObjectManager',member='InterfacesAdded'"
_REMOVED = f"type='signal',sender='{BLUEZ}',interface='{_DBUS}.ObjectManager',member='InterfacesRemoved'"


class Reception:
    """Handles every message of one bus connection.

    Args:
        hear: Takes each advertisement of a wanted sender.
        changed: Called when something other than an advertisement happened.
        now: The loop's clock.
    """

    def __init__(
        self, hear: Callable[[Advert], None], changed: Callable[[], None], now: Callable[[], float]
    ) -> None:
        self._hear, self._changed, self._now = hear, changed, now
        self.owner: str | None = None
        """Unique name of bluetoothd on the bus, None if it is gone."""
        self.path = ""
        """Object of the adapter, "" if it is gone."""
        self.powered = self.discovering = False
        self.wide = False
        """Let strangers through, too: is anything on the air at all?"""
        self.duplicates = False
        """bluetoothd tells of repeats, so all it tells is new."""
        self.heard_s = float("-inf")
        """When anybody was last heard."""
        self.on_call: Callable[[Message], Message | bool | None] = lambda _call: None
        self._devices: dict[str, Device] = {}

    # --- what to listen to ----------------------------------------------------------------------------

    def want(self, addresses: Collection[str]) -> None:
        """Listen to exactly these senders."""
        wanted = {object_path(self.path, address): address for address in addresses}
        for path in self._devices.keys() - wanted.keys():
            del self._devices[path]
        for path in wanted.keys() - self._devices.keys():
            self._devices[path] = Device(wanted[path])

    def remember(self, objects: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
        """Take over what BlueZ knows of the wanted senders already; none of it counts as heard."""
        for path, device in self._devices.items():
            if (known := objects.get(path, {}).get(DEVICE)) is not None:
                device.remember(known)

    def rules(self) -> set[str]:
        """Return the match rules for all that is to be heard now."""
        rules = {_OWNER_RULE}
        if not self.path:
            return rules
        rules |= {f"{_CHANGED},path='{self.path}'", f"{_REMOVED},arg0path='{self.path}'"}
        if self.wide or len(self._devices) > MOST_RULES:
            return rules | {f"{_CHANGED},path_namespace='{self.path}'", f"{_ADDED},arg0path='{self.path}/'"}
        for path in self._devices:
            rules |= {f"{_CHANGED},path='{path}'", f"{_ADDED},arg0path='{path}'"}
        return rules

    def silent_since(self, before_s: float) -> list[str]:
        """Return the objects of wanted senders that were not heard since, and start their time anew."""
        late = [path for path, device in self._devices.items() if device.heard_s < before_s]
        for path in late:
            self._devices[path].heard_s = self._now()
        return late

    # --- what is heard --------------------------------------------------------------------------------

    def on_message(self, message: Message) -> Message | bool | None:
        """Take any message; return the answer to a call, or True if nobody else needs to see it."""
        if message.message_type is MessageType.METHOD_CALL:
            # not if somebody else calls: "Release" ends our listening
            return self.on_call(message) if message.sender == self.owner else None
        if message.message_type is not MessageType.SIGNAL:
            return None
        if message.sender != self.owner:
            self._on_stranger(message)
            return None
        match message.member:
            case "PropertiesChanged":
                self._on_change(message.path or "", *message.body[:2])
            case "InterfacesAdded":
                path, interfaces = message.body
                # without RSSI it was restored from a file, not received
                if (properties := interfaces.get(DEVICE)) is not None and "RSSI" in properties:
                    self._on_advert(path, properties, every=True)
            case "InterfacesRemoved" if message.body[0] == self.path and ADAPTER in message.body[1]:
                self.path = ""
                self._changed()
        return True

    def _on_stranger(self, message: Message) -> None:
        if message.sender == _DBUS and message.member == "NameOwnerChanged" and message.body[0] == BLUEZ:
            # also if somebody else has it at once: that one does not know what we had asked for
            self.owner = None
            self._changed()

    def _on_change(self, path: str, interface: str, changed: Mapping[str, Any]) -> None:
        if interface == DEVICE:
            self._on_advert(path, changed, every=self.duplicates)
        elif interface == ADAPTER and path == self.path:
            if (powered := changed.get("Powered")) is not None:
                self.powered = powered.value
            if (discovering := changed.get("Discovering")) is not None:
                self.discovering = discovering.value
            self._changed()

    def _on_advert(self, path: str, properties: Mapping[str, Any], *, every: bool) -> None:
        if not any(name in properties for name in _SAID):
            return
        self.heard_s = self._now()
        device = self._devices.get(path)
        if device is None:
            return
        advert = device.received(properties, every=every)
        if advert is not None:
            device.heard_s = self.heard_s
            self._hear(advert)
