"""RAUC's service on the system bus: calls that end in time, and what it says of an installation.

Interface: de.pengutronix.rauc.Installer as in RAUC 1.13 (src/de.pengutronix.rauc.Installer.xml).
"""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, TypeAlias

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, DBusError, InvalidAddressError

from gateway.domain.update.model import Code
from gateway.errors import UpdateError

NAME = "de.pengutronix.rauc"
INTERFACE = "de.pengutronix.rauc.Installer"
PROPERTIES = "org.freedesktop.DBus.Properties"
_DBUS, _DBUS_PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"
_CALL_S = 60.0
"""It checks the signature of a bundle within a call, on a slow card."""
_RULES = (
    f"type='signal',sender='{NAME}',path='/',interface='{INTERFACE}',member='Completed'",
    f"type='signal',sender='{NAME}',path='/',interface='{PROPERTIES}',member='PropertiesChanged'",
    f"type='signal',sender='{_DBUS}',member='NameOwnerChanged',arg0='{NAME}'",
)

Signal: TypeAlias = tuple[str, list[Any]]
"""Member and body; the body is what the D-Bus signature says."""


class RaucCallError(UpdateError):
    """The service answered with an error; `str()` is its text."""


class RaucBus:
    """A connection, for the length of `with`; everything that is said after a call is in `signals`.

    Args:
        address: Of the bus; "" is the system's.
    """

    def __init__(self, address: str = "") -> None:
        self._address = address
        self._bus: MessageBus | None = None
        self.signals: asyncio.Queue[Signal] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        try:
            bus = MessageBus(bus_address=self._address or None, bus_type=BusType.SYSTEM)
            async with asyncio.timeout(_CALL_S):
                self._bus = await bus.connect()
        except (OSError, EOFError, AuthError, InvalidAddressError, DBusError) as error:
            raise _gone(f"no system bus: {error}") from None
        bus.add_message_handler(self._take)
        for rule in _RULES:
            await self._ask(_DBUS, _DBUS_PATH, (_DBUS, "AddMatch"), "s", rule)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bus is not None:
            self._bus.disconnect()
        self._bus = None

    async def call(self, member: str, signature: str = "", *body: Any) -> list[Any]:  # noqa: ANN401
        """Call a method of the installer, starting the service if need be.

        Raises:
            RaucCallError: It answered with an error.
            UpdateError: INSTALL_FAILED, passing, if it did not answer.
        """
        return await self._ask(NAME, "/", (INTERFACE, member), signature, *body)

    async def get(self, name: str) -> Any:  # noqa: ANN401
        """Return a property of the installer. Raises as `call` does."""
        [value] = await self._ask(NAME, "/", (PROPERTIES, "Get"), "ss", INTERFACE, name)
        return value.value

    def _take(self, message: Message) -> None:
        if message.message_type is MessageType.SIGNAL and message.member:
            self.signals.put_nowait((message.member, list(message.body)))

    async def _ask(
        self,
        to: str,
        path: str,
        interface_member: tuple[str, str],
        signature: str,
        *body: Any,  # noqa: ANN401
    ) -> list[Any]:
        interface, member = interface_member
        message = Message(
            destination=to,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(body),
        )
        if self._bus is None or not self._bus.connected:
            raise _gone("the system bus went away")
        try:
            async with asyncio.timeout(_CALL_S):
                reply = await self._bus.call(message)
        except TimeoutError:
            raise _gone(f"RAUC did not answer {member} within {_CALL_S:g} s") from None
        except (OSError, EOFError, DBusError) as error:
            raise _gone(f"the system bus went away: {error}") from None
        if reply is None or reply.message_type is MessageType.ERROR:
            text = str(reply.body[0]) if reply is not None and reply.body else "no reason was given"
            raise RaucCallError(Code.INSTALL_FAILED, text, passing=True)
        return list(reply.body)


def plain(value: Any) -> Any:  # noqa: ANN401
    """Return a value without the variants that RAUC wraps everything in, at any depth."""
    if isinstance(value, Variant):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def _gone(why: str) -> UpdateError:
    return UpdateError(Code.INSTALL_FAILED, f"{why}; try: systemctl status rauc", passing=True)
