"""One connection to the system bus: calls that end in time, and match rules.

dbus-fast is used directly (bleak stands on it, too): the bus itself then filters by address, so that
advertisements of strangers never reach this process, and a signal tells which of its data is new.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from dbus_fast import BusType, Message, MessageFlag, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, DBusError, InvalidAddressError

from gateway.errors import DriverError

log = logging.getLogger(__name__)

CALL_WAIT_S = 4.0
"""Less than the 5 s after which a part counts as recovered: else a bluetoothd that hangs would each time."""

BLUEZ = "org.bluez"

_DBUS, _DBUS_PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"
_NO_OWNER = "org.freedesktop.DBus.Error.NameHasNoOwner"


class CallError(DriverError):
    """The other side answered with an error; `name` is its D-Bus name."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text or name)
        self.name = name


class Bus:
    """A connection; `on_message` sees every signal and call that arrives.

    Args:
        on_message: Returns the answer to a call, or None.
    """

    def __init__(self, on_message: Callable[[Message], Message | bool | None]) -> None:
        self._on_message = on_message
        self._bus: MessageBus | None = None
        self._rules: set[str] = set()

    @property
    def connected(self) -> bool:
        """The bus is there."""
        return self._bus is not None and self._bus.connected

    async def open(self) -> None:
        """Connect. Raises DriverError."""
        try:
            bus = MessageBus(bus_type=BusType.SYSTEM)
            async with asyncio.timeout(CALL_WAIT_S):
                self._bus = await bus.connect()
        except (OSError, EOFError, AuthError, InvalidAddressError, DBusError) as error:
            raise DriverError(f"no system bus ({error}); systemctl status dbus") from None
        bus.add_message_handler(self._on_message)

    def close(self) -> None:
        """Leave the bus: scans and monitors that were asked for here end with it."""
        if self._bus is not None:
            self._bus.disconnect()
        self._bus = None
        self._rules.clear()

    # Any: bodies are what the D-Bus signature says
    async def call(
        self,
        to: str,
        path: str,
        interface_member: tuple[str, str],
        signature: str = "",
        *body: Any,  # noqa: ANN401
    ) -> list[Any]:
        """Return the answer's body.

        Raises:
            CallError: The answer was an error.
            DriverError: There was none in time, or the bus is gone.
        """
        interface, member = interface_member
        message = Message(
            destination=to,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(body),
            flags=MessageFlag.NO_AUTOSTART,
        )
        if self._bus is None or not self._bus.connected:
            raise DriverError("the system bus went away; systemctl status dbus")
        try:
            async with asyncio.timeout(CALL_WAIT_S):
                reply = await self._bus.call(message)
        except TimeoutError:
            who, advice = ("bluetoothd", "restart bluetooth") if to == BLUEZ else (to, "status dbus")
            problem = f"{who} did not answer {member} within {CALL_WAIT_S:g} s"
            raise DriverError(f"{problem}; systemctl {advice}") from None
        except (OSError, EOFError, DBusError) as error:
            raise DriverError(f"the system bus went away ({error}); systemctl status dbus") from None
        if reply.message_type is MessageType.ERROR:
            text = str(reply.body[0]) if reply.body else ""
            raise CallError(reply.error_name or "unknown error", text)
        return list(reply.body)

    async def owner(self, name: str) -> str | None:
        """Return the unique name of whoever owns a name now."""
        try:
            [owner] = await self.call(_DBUS, _DBUS_PATH, (_DBUS, "GetNameOwner"), "s", name)
        except CallError as error:
            if error.name == _NO_OWNER:
                return None
            raise
        return str(owner)

    async def start_service(self, name: str) -> None:
        """Ask the bus to start a service by its name, if it knows how. Raises DriverError."""
        await self.call(_DBUS, _DBUS_PATH, (_DBUS, "StartServiceByName"), "su", name, 0)

    async def match(self, rules: set[str]) -> None:
        """Let exactly these signals through. Raises DriverError."""
        for rule in rules - self._rules:
            await self.call(_DBUS, _DBUS_PATH, (_DBUS, "AddMatch"), "s", rule)
            self._rules.add(rule)
        for rule in self._rules - rules:
            self._rules.discard(rule)
            await self.call(_DBUS, _DBUS_PATH, (_DBUS, "RemoveMatch"), "s", rule)
