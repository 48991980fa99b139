"""RAUC's service as seen on the bus: two slots, bundles by their path, signals in the order of RAUC 1.13."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from gateway.update.apply.rauc_bus import INTERFACE, NAME, PROPERTIES


@dataclass
class Disk:
    """What outlives the service: slots, what is staged, and the bundles that lie about."""

    versions: dict[str, str] = field(default_factory=lambda: {"A": "1.0.0"})
    status: dict[str, str] = field(default_factory=dict)
    booted: str = "A"
    primary: str = "A"
    bad: set[str] = field(default_factory=set)
    bundles: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def other(self) -> str:
        return "B" if self.booted == "A" else "A"


class RaucService:
    """One life of the service.

    Args:
        address: Of the bus.
        disk: What it works on.
        dies_at: It ends at this percentage of an installation, as by SIGKILL.
        hangs: It begins an installation and says nothing more.
    """

    def __init__(self, address: str, disk: Disk, *, dies_at: int = 1000, hangs: bool = False) -> None:
        self._address = address
        self._disk = disk
        self._dies_at = dies_at
        self._hangs = hangs
        self._bus: MessageBus | None = None
        self.gone = asyncio.Event()
        self._operation = "idle"
        self._error = ""

    async def start(self) -> None:
        """Take its name."""
        self._bus = await MessageBus(bus_address=self._address).connect()
        self._bus.add_message_handler(self._answer)
        await self._bus.request_name(NAME)

    def stop(self) -> None:
        """Leave the bus, however far it is."""
        if self._bus is not None:
            self._bus.disconnect()
            self._bus = None
            self.gone.set()

    def _answer(self, message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL or message.path != "/":
            return None
        try:
            return Message.new_method_return(message, *self._do(message.member or "", message.body))
        except LookupError as error:
            return Message.new_error(message, "org.gtk.GDBus.UnmappedGError.Quark", str(error.args[0]))

    def _do(self, member: str, body: list[Any]) -> tuple[str, list[Any]]:
        if member == "Get":
            value = {"LastError": self._error, "Operation": self._operation}[body[1]]
            return "v", [Variant("s", value)]
        if self._operation == "installing":
            raise LookupError("already processing a different method")
        match member:
            case "InspectBundle":
                self._progress(100)
                return "a{sv}", [self._info(body[0])]
            case "InstallBundle":
                self._operation = "installing"
                self._changed(Operation=Variant("s", "installing"))
                asyncio.get_running_loop().call_soon(self._install, self._disk.bundles[body[0]], 0)
                return "", []
            case "Mark":
                return "ss", ["rootfs", self._mark(*body)]
            case "GetPrimary":
                return "s", [self._name(self._disk.primary)]
            case "GetSlotStatus":
                return "a(sa{sv})", [[[self._name(slot), self._slot(slot)] for slot in "AB"]]
        raise LookupError(f"no such method: {member}")

    def _info(self, path: str) -> dict[str, Variant]:
        if path not in self._disk.bundles:
            raise LookupError("signature verification failed: certificate verify error")
        bundle = self._disk.bundles[path]
        update = {name: Variant("s", bundle[name]) for name in ("compatible", "version")}
        form = {"format": Variant("s", bundle.get("format", "verity"))}
        return {"update": Variant("a{sv}", update), "bundle": Variant("a{sv}", form)}

    def _install(self, bundle: dict[str, str], percent: int) -> None:
        disk = self._disk
        if percent >= self._dies_at:
            self.stop()
        if self._bus is None or self._hangs:
            return
        disk.status[disk.other] = "pending" if percent < 100 else "ok"
        self._progress(percent)
        if percent < 100:
            asyncio.get_running_loop().call_soon(self._install, bundle, percent + 20)
            return
        self._error = bundle.get("error", "")
        if not self._error:
            disk.versions[disk.other] = bundle["version"]
            disk.primary = disk.other
        if self._dies_at == 100 + 1:
            self.stop()
            return
        self._operation = "idle"
        self._changed(LastError=Variant("s", self._error))
        self._signal(INTERFACE, "Completed", "i", int(bool(self._error)))

    def _mark(self, state: str, slot: str) -> str:
        assert slot == "booted"
        if state == "active":
            self._disk.primary = self._disk.booted
        elif state == "bad":
            self._disk.bad.add(self._disk.booted)
        elif self._disk.booted in self._disk.bad:
            raise LookupError("Failed marking slot rootfs.0 as good: custom backend failed")
        return f"marked slot(s) {slot} as {state}"

    def _slot(self, slot: str) -> dict[str, Variant]:
        said = {
            "class": "rootfs",
            "bootname": slot,
            "state": "booted" if slot == self._disk.booted else "inactive",
            "boot-status": "bad" if slot in self._disk.bad else "good",
            "status": self._disk.status.get(slot, ""),
            "bundle.version": self._disk.versions.get(slot, ""),
        }
        return {name: Variant("s", value) for name, value in said.items() if value}

    @staticmethod
    def _name(slot: str) -> str:
        return f"rootfs.{'AB'.index(slot)}"

    def _progress(self, percent: int) -> None:
        self._changed(Progress=Variant("(isi)", [percent, "working", 1]))

    def _changed(self, **changed: Variant) -> None:
        self._signal(PROPERTIES, "PropertiesChanged", "sa{sv}as", INTERFACE, changed, [])

    def _signal(self, interface: str, member: str, signature: str, *body: Any) -> None:  # noqa: ANN401
        assert self._bus is not None
        self._bus.send(Message.new_signal("/", interface, member, signature, list(body)))
