"""bluetoothd as seen on the bus: adapters, senders, discovery and advertisement monitors.

It keeps and tells of senders as BlueZ 5.66 to 5.87 does (src/adapter.c `btd_adapter_device_found`,
src/device.c, src/adv_monitor.c): data of a sender is merged over time unless somebody scans with
DuplicateData, a change of RSSI is told from 8 dB on, without discovery or monitor nothing is told at all, and
what a client has started ends with its connection.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

ADAPTER, DEVICE = "org.bluez.Adapter1", "org.bluez.Device1"
MANAGER, MONITOR = "org.bluez.AdvertisementMonitorManager1", "org.bluez.AdvertisementMonitor1"
OBJECTS, PROPERTIES = "org.freedesktop.DBus.ObjectManager", "org.freedesktop.DBus.Properties"
DBUS = "org.freedesktop.DBus"
BASE = "-0000-1000-8000-00805f9b34fb"
RSSI_STEP_DB = 8


@dataclass
class Device:
    """What bluetoothd keeps of a sender."""

    address: str
    adapter_path: str
    name: str = ""
    rssi_dbm: int = 0
    service: dict[int, bytes] = field(default_factory=dict)
    company: dict[int, bytes] = field(default_factory=dict)
    paired: bool = False

    def properties(self) -> dict[str, Variant]:
        """Return Device1, as far as a scanner reads it."""
        shown = {
            "Adapter": Variant("o", self.adapter_path),
            "Address": Variant("s", self.address),
            "AddressType": Variant("s", "public"),
            "Alias": Variant("s", self.name or self.address.replace(":", "-")),
            "Paired": Variant("b", self.paired),
            "Connected": Variant("b", False),
            "UUIDs": Variant("as", []),
            "RSSI": Variant("n", self.rssi_dbm),
        }
        shown |= {"Name": Variant("s", self.name)} if self.name else {}
        return shown | self.data("ServiceData", "ManufacturerData")

    def data(self, *names: str) -> dict[str, Variant]:
        """Return what it has said, of these properties."""
        service = {f"0000{uuid:04x}{BASE}": Variant("ay", data) for uuid, data in self.service.items()}
        company = {number: Variant("ay", data) for number, data in self.company.items()}
        shown = {"ServiceData": Variant("a{sv}", service), "ManufacturerData": Variant("a{qv}", company)}
        return {name: value for name, value in shown.items() if name in names and value.value}


@dataclass
class Adapter:
    """One controller; `deaf` hears nothing, `blocked` cannot be switched on."""

    name: str
    address: str
    powered: bool = True
    deaf: bool = False
    blocked: bool = False
    refuses_monitors: bool = False
    """The kernel takes no pattern: a monitor is registered, and released at once."""
    devices: dict[str, Device] = field(default_factory=dict)
    filters: dict[str, dict[str, Any]] = field(default_factory=dict)
    discoverers: set[str] = field(default_factory=set)
    monitors: dict[str, list[tuple[int, int, bytes]]] = field(default_factory=dict)
    on_step: Callable[[str], None] = lambda _step: None
    """Told of "discovery" and "off", so that a test can make it hear again."""

    @property
    def path(self) -> str:
        return f"/org/bluez/{self.name}"

    @property
    def duplicates(self) -> bool:
        """Somebody wants to hear of repeats."""
        return any(self.filters.get(client, {}).get("DuplicateData") for client in self.discoverers)

    def properties(self) -> dict[str, Variant]:
        """Return Adapter1."""
        return {
            "Address": Variant("s", self.address),
            "Powered": Variant("b", self.powered),
            "Discovering": Variant("b", bool(self.discoverers)),
            "Roles": Variant("as", ["central", "peripheral"]),
            "UUIDs": Variant("as", []),
        }


class BlueZ:
    """bluetoothd; `experimental` offers advertisement monitors.

    `start` gives it the name on the system bus, `kill` takes it away as a crash does.
    """

    def __init__(self, *adapters: Adapter, experimental: bool = False) -> None:
        self.adapters = {adapter.path: adapter for adapter in adapters}
        self.experimental = experimental
        self.hangs = False
        """It takes calls, and answers none."""
        self.calls: list[str] = []
        self._bus: MessageBus | None = None

    async def start(self) -> None:
        self._bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
        self._bus.add_message_handler(self._on_message)
        await self._bus.request_name("org.bluez")
        rule = f"type='signal',sender='{DBUS}',member='NameOwnerChanged'"
        await self._bus.call(_call(DBUS, "/org/freedesktop/DBus", DBUS, "AddMatch", "s", rule))

    def kill(self) -> None:
        """Crash: the name goes, and all that it knew of clients and senders."""
        assert self._bus is not None
        self._bus.disconnect()
        for adapter in self.adapters.values():
            for kept in (adapter.devices, adapter.filters, adapter.discoverers, adapter.monitors):
                kept.clear()

    # --- the world around it --------------------------------------------------------------------------

    def plug(self, adapter: Adapter) -> None:
        self.adapters[adapter.path] = adapter
        self._added(adapter.path, self._interfaces(adapter))

    def unplug(self, name: str) -> Adapter:
        adapter = self.adapters.pop(f"/org/bluez/{name}")
        adapter.discoverers.clear()
        adapter.monitors.clear()
        adapter.devices.clear()
        self._signal("/", OBJECTS, "InterfacesRemoved", "oas", adapter.path, [ADAPTER, PROPERTIES])
        return adapter

    def switch(self, name: str, *, on: bool) -> None:
        """Switch an adapter, as rfkill or another program does."""
        self._switch(self.adapters[f"/org/bluez/{name}"], on=on)

    def stop_discovery(self, name: str) -> None:
        """The kernel ends the scan, and nobody starts it again."""
        adapter = self.adapters[f"/org/bluez/{name}"]
        adapter.discoverers.clear()
        self._changed(adapter.path, ADAPTER, {"Discovering": Variant("b", False)})

    def release(self, name: str) -> None:
        """Let go of every monitor, as when the kernel has removed them."""
        adapter = self.adapters[f"/org/bluez/{name}"]
        for client in adapter.monitors:
            self._send(_call(client, "/org/reed/bluetooth/monitor", MONITOR, "Release"))
            adapter.monitors[client] = []

    def advertise(
        self,
        address: str,
        service: Mapping[int, bytes] | None = None,
        company: Mapping[int, bytes] | None = None,
        *,
        name: str = "",
        rssi_dbm: int = -60,
        flags: int = 0x06,
    ) -> None:
        """A sender is on the air once, for every adapter."""
        for adapter in self.adapters.values():
            if adapter.powered and not adapter.deaf and self._listening(adapter, flags):
                data = dict(service or {}), dict(company or {})
                self._found(adapter, Device(address, adapter.path, name, rssi_dbm, *data))

    def _listening(self, adapter: Adapter, flags: int) -> bool:
        # since 5.69 patterns of other types match nothing (bluez issues 652, 901)
        patterns = itertools.chain(*adapter.monitors.values())
        return bool(adapter.discoverers) or (0, 0x01, bytes((flags,))) in patterns

    def _found(self, adapter: Adapter, heard: Device) -> None:
        path = f"{adapter.path}/dev_{heard.address.replace(':', '_')}"
        known = adapter.devices.get(path)
        if known is None:
            adapter.devices[path] = heard
            self._added(path, {DEVICE: heard.properties(), PROPERTIES: {}})
            return
        changed: dict[str, Variant] = {}
        if abs(known.rssi_dbm - heard.rssi_dbm) >= RSSI_STEP_DB:
            known.rssi_dbm = heard.rssi_dbm
            changed["RSSI"] = Variant("n", known.rssi_dbm)
        if heard.name and heard.name != known.name:
            known.name = heard.name
            changed["Name"] = Variant("s", known.name)
        for now, kept, name in (
            (heard.service, known.service, "ServiceData"),
            (heard.company, known.company, "ManufacturerData"),
        ):
            if now and adapter.duplicates:
                kept.clear()
            if any(kept.get(key) != data for key, data in now.items()):
                kept.update(now)
                changed |= known.data(name)
        if changed:
            self._changed(path, DEVICE, changed)

    # --- what clients ask -----------------------------------------------------------------------------

    def _on_message(self, message: Message) -> Message | bool | None:
        if message.message_type is MessageType.SIGNAL and message.member == "NameOwnerChanged":
            name, _, owner = message.body
            if not owner:
                self._forget(name)
            return None
        if message.message_type is not MessageType.METHOD_CALL or message.interface == DBUS + ".Peer":
            return None
        self.calls.append(message.member or "")
        if self.hangs:
            return True
        if message.member == "GetManagedObjects":
            return Message.new_method_return(message, "a{oa{sa{sv}}}", [self._objects()])
        if message.member == "Get" and (device := self._device(message.path or "")) is not None:
            return Message.new_method_return(message, "v", [device.properties()[message.body[1]]])
        adapter = self.adapters.get(message.path or "")
        if adapter is None:
            return Message.new_error(message, f"{DBUS}.Error.UnknownObject", "no such object")
        if message.interface == MANAGER and self.experimental:
            return self._on_monitor(adapter, message)
        return self._on_adapter(adapter, message)

    def _device(self, path: str) -> Device | None:
        return next((one.devices[path] for one in self.adapters.values() if path in one.devices), None)

    def _on_adapter(self, adapter: Adapter, call: Message) -> Message:  # noqa: C901  # one case a call
        client = call.sender
        match call.member, call.body:
            case "SetDiscoveryFilter", [wish]:
                adapter.filters[client] = {name: value.value for name, value in wish.items()}
            case "StartDiscovery", _ if client in adapter.discoverers:
                return Message.new_error(call, "org.bluez.Error.InProgress", "Operation already in progress")
            case "StartDiscovery", _ if not adapter.powered:
                return Message.new_error(call, "org.bluez.Error.NotReady", "Resource Not Ready")
            case "StartDiscovery", _:
                adapter.on_step("discovery")
                adapter.discoverers.add(client)
                self._changed(adapter.path, ADAPTER, {"Discovering": Variant("b", True)})
            case "StopDiscovery", _ if client not in adapter.discoverers:
                return Message.new_error(call, "org.bluez.Error.Failed", "No discovery started")
            case "StopDiscovery", _:
                self._end_discovery(adapter, client)
            case "RemoveDevice", [path] if path in adapter.devices:
                del adapter.devices[path]
                self._signal("/", OBJECTS, "InterfacesRemoved", "oas", path, [DEVICE, PROPERTIES])
            case "RemoveDevice", _:
                return Message.new_error(call, "org.bluez.Error.DoesNotExist", "Does Not Exist")
            case "Set", [_, "Powered", value] if value.value and adapter.blocked:
                return Message.new_error(call, "org.bluez.Error.Blocked", "Blocked through rfkill")
            case "Set", [_, "Powered", value]:
                self._switch(adapter, on=value.value)
            case _:
                return Message.new_error(call, f"{DBUS}.Error.UnknownMethod", f"no {call.member}")
        return Message.new_method_return(call)

    def _on_monitor(self, adapter: Adapter, call: Message) -> Message | bool:
        if call.member == "UnregisterMonitor":
            if adapter.monitors.pop(call.sender, None) is None:
                return Message.new_error(call, "org.bluez.Error.DoesNotExist", "Does Not Exist")
            return Message.new_method_return(call)
        if call.sender in adapter.monitors:
            return Message.new_error(call, "org.bluez.Error.AlreadyExists", "Already Exists")
        app = call.body[0]

        def answered(objects: Message | None, error: Exception | None) -> None:
            assert objects is not None, error
            if objects.message_type is MessageType.ERROR:
                self._send(Message.new_error(call, "org.bluez.Error.Failed", str(objects.body)))
                return
            for path, interfaces in objects.body[0].items():
                shown = interfaces[MONITOR]
                assert shown["Type"].value == "or_patterns"
                patterns = [tuple(pattern) for pattern in shown["Patterns"].value]
                assert 0 < len(patterns) <= 7, "5.82 would overwrite its memory"
                adapter.monitors[call.sender] = [] if adapter.refuses_monitors else patterns
                step = "Release" if adapter.refuses_monitors else "Activate"
                self._send(_call(call.sender, path, MONITOR, step))
            self._send(Message.new_method_return(call))

        assert self._bus is not None
        self._bus._call(_call(call.sender, app, OBJECTS, "GetManagedObjects"), answered)
        return True

    def _forget(self, client: str) -> None:
        for adapter in self.adapters.values():
            adapter.monitors.pop(client, None)
            adapter.filters.pop(client, None)
            if client in adapter.discoverers:
                self._end_discovery(adapter, client)

    def _end_discovery(self, adapter: Adapter, client: str) -> None:
        adapter.discoverers.discard(client)
        if not adapter.discoverers:
            self._changed(adapter.path, ADAPTER, {"Discovering": Variant("b", False)})

    def _switch(self, adapter: Adapter, *, on: bool) -> None:
        adapter.powered = on
        changed = {"Powered": Variant("b", on)}
        if not on:
            adapter.on_step("off")
            adapter.discoverers.clear()
            changed["Discovering"] = Variant("b", False)
        self._changed(adapter.path, ADAPTER, changed)

    def _interfaces(self, adapter: Adapter) -> dict[str, dict[str, Variant]]:
        shown = {ADAPTER: adapter.properties(), PROPERTIES: {}}
        if self.experimental:
            shown[MANAGER] = {"SupportedMonitorTypes": Variant("as", ["or_patterns"])}
        return shown

    def _objects(self) -> dict[str, dict[str, dict[str, Variant]]]:
        shown = {}
        for adapter in self.adapters.values():
            shown[adapter.path] = self._interfaces(adapter)
            shown |= {path: {DEVICE: device.properties()} for path, device in adapter.devices.items()}
        return shown

    def _added(self, path: str, interfaces: dict[str, dict[str, Variant]]) -> None:
        self._signal("/", OBJECTS, "InterfacesAdded", "oa{sa{sv}}", path, interfaces)

    def _changed(self, path: str, interface: str, changed: dict[str, Variant]) -> None:
        self._signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", interface, changed, [])

    def _signal(self, path: str, interface: str, member: str, signature: str, *body: Any) -> None:  # noqa: ANN401
        self._send(Message.new_signal(path, interface, member, signature, list(body)))

    def _send(self, message: Message) -> None:
        assert self._bus is not None
        self._bus.send(message)


def _call(to: str, path: str, interface: str, member: str, signature: str = "", *body: Any) -> Message:  # noqa: ANN401
    return Message(
        destination=to, path=path, interface=interface, member=member, signature=signature, body=list(body)
    )
