"""Checks of Bluetooth: is bluetoothd there, and each adapter that the configuration names, and is it on?"""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.cli.checks.finding import Finding, fail, ok, warn
from gateway.config.model import Config
from gateway.drivers.gpio.config import Config as GpioConfig
from gateway.drivers.sensors import any_radio
from gateway.errors import DriverError

_CHECK = "bluetooth"
_START = "sudo systemctl start bluetooth"


def inspect(config: Config) -> list[Finding]:
    """Ask bluetoothd for its adapters; nothing if no sensor needs one, or the board is simulated."""
    used = any_radio(sensor.kind for sensor in config.sensors.values())
    if not used or not isinstance(config.board, GpioConfig):
        return []
    try:
        adapters = asyncio.run(_adapters())
    except DriverError as error:
        text, _, advice = str(error).partition("; ")
        return [fail(_CHECK, text, advice or _START)]
    return [_adapter(name, adapters) for name in config.bluetooth.adapters]


async def _adapters() -> dict[str, Mapping[str, Any]]:
    """Return the properties of each adapter by its name. Raises DriverError. Any: D-Bus variants."""
    # imported here, since a wired site needs none of it
    from gateway.drivers.ble.bus import BLUEZ, Bus  # noqa: PLC0415
    from gateway.drivers.ble.presence import managed_objects  # noqa: PLC0415
    from gateway.drivers.ble.scan import ADAPTER  # noqa: PLC0415

    bus = Bus(lambda _message: None)
    await bus.open()
    try:
        if await bus.owner(BLUEZ) is None:
            raise DriverError(f"bluetoothd is not running; {_START}")
        objects = await managed_objects(bus)
    finally:
        bus.close()
    return {path.rpartition("/")[2]: shown[ADAPTER] for path, shown in objects.items() if ADAPTER in shown}


def _adapter(name: str, adapters: Mapping[str, Mapping[str, Any]]) -> Finding:
    for there, properties in adapters.items():
        address = properties["Address"].value
        if name not in (there, address):
            continue
        if properties["Powered"].value:
            return ok(_CHECK, f"{there} ({address}) is on")
        advice = "the gateway switches it on when it runs; if it stays off, see: rfkill list"
        return warn(_CHECK, f"{there} ({address}) is off", advice)
    known = ", ".join(_known(adapters)) or "none"
    advice = "correct bluetooth.adapters, or plug it in; see: bluetoothctl list"
    return fail(_CHECK, f"there is no adapter {name}; there is: {known}", advice)


def _known(adapters: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, properties in sorted(adapters.items()):
        yield f"{name} ({properties['Address'].value})"
