"""Listening for a while to everything around, by bleak, and decoding what is known."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gateway.app.sensor_secrets import folders, revealed
from gateway.cli.ble.trouble import NO_ANSWER, trouble
from gateway.config.model import Config
from gateway.domain.model import Reading
from gateway.domain.ports import Advert
from gateway.drivers.adverts import parse_address, parse_key
from gateway.drivers.ble.device import short_uuid
from gateway.drivers.sensors import Sensor, kinds, load
from gateway.errors import DecodeError, DriverError

if TYPE_CHECKING:
    from bleak import BleakScanner
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

_ANY_KEY = bytes(16)
_ANSWER_WAIT_S = 10.0
"""bleak itself waits for bluetoothd without end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The last that was heard of a sender.

    Args:
        kind: The kind of sensor that claims it; "" for a stranger.
        reading: What it says; None if that cannot be understood, or read without its key.
        encrypted: It needs a key: none is configured, or the wrong one.
        problem: Why there is no reading.
        sensor_id: Its id in the configuration, "" if it has none.
    """

    advert: Advert
    kind: str = ""
    reading: Reading | None = None
    encrypted: bool = False
    problem: str = ""
    sensor_id: str = ""

    @property
    def idle(self) -> bool:
        """Return True if it says nothing but that it is there: not even whether it encrypts what it says."""
        return self.reading is not None and replace(self.reading, counter=None) == Reading(
            self.reading.format
        )

    @property
    def wet(self) -> bool | None:
        """Return what it says of water."""
        return self.reading.wet if self.reading else None


class Known:
    """The kinds of sensor, and the sensors of a configuration if there is one."""

    def __init__(self, config: Config | None) -> None:
        loaded = {kind: load(kind) for kind in kinds()}
        self._kinds: dict[str, Sensor[Any]] = {kind: one for kind, one in loaded.items() if one.claims}
        self._ids: dict[str, str] = {}
        self._keys: dict[str, bytes | None] = {}
        self._closed: dict[str, str] = {}
        opened = folders(config) if config else ()
        for sensor_id, entry in (config.sensors if config else {}).items():
            if (written := getattr(entry.config, "address", None)) is None:
                continue
            address = parse_address(written)
            self._ids[address] = sensor_id
            try:
                self._keys[address] = parse_key(getattr(revealed(entry.config, opened), "key", ""))
            except DriverError as error:
                self._closed[address] = str(error)

    def look(self, advert: Advert) -> Seen:
        """Return what can be said of an advertisement."""
        sensor_id = self._ids.get(advert.address, "")
        for kind, sensor in self._kinds.items():
            if sensor.claims is not None and sensor.claims(advert):
                return self._decode(advert, kind, sensor_id)
        return Seen(advert=advert, sensor_id=sensor_id)

    def read(self, advert: Advert, kind: str, key: bytes | None) -> Reading:
        """Decode as that kind. Raises DecodeError."""
        decode = self._kinds[kind].decode
        if decode is None:
            raise DecodeError(f"{kind} is not a radio sensor")
        return decode(advert, key)

    def _decode(self, advert: Advert, kind: str, sensor_id: str) -> Seen:
        try:
            reading = self.read(advert, kind, self._keys.get(advert.address))
        except DecodeError as error:
            encrypted = self._is_encrypted(advert, kind)
            closed = self._closed.get(advert.address, "needs a key")
            problem = f"encrypted, {closed}" if encrypted else str(error)
            return Seen(advert=advert, kind=kind, encrypted=encrypted, problem=problem, sensor_id=sensor_id)
        if reading.authentic is False:
            problem = "encrypted with another key than configured, or forged"
            return Seen(advert=advert, kind=kind, encrypted=True, problem=problem, sensor_id=sensor_id)
        return Seen(advert=advert, kind=kind, reading=reading, sensor_id=sensor_id)

    def _is_encrypted(self, advert: Advert, kind: str) -> bool:
        """Return True if a key would help: then any key at all is tried, and found wrong."""
        try:
            return self.read(advert, kind, _ANY_KEY).authentic is not None
        except DecodeError:
            return False


async def listen(
    adapter: str | None, length_s: float, on_advert: Callable[[Advert], None], ended: asyncio.Event | None
) -> None:
    """Call `on_advert` for everything on the air until the time is up or `ended` is set.

    Raises:
        DriverError: Bluetooth cannot be used, and why.
    """
    logging.getLogger("bleak").setLevel(logging.CRITICAL)
    try:
        from bleak import BleakScanner  # noqa: PLC0415  takes tenths of a second
        from bleak.exc import BleakError  # noqa: PLC0415
        from dbus_fast.errors import AuthError, DBusError, InvalidAddressError  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise DriverError(f"{error.name} is not installed; apt install python3-bleak") from None

    def detected(device: "BLEDevice", data: "AdvertisementData") -> None:
        on_advert(_advert(device.address, data.service_data, data.manufacturer_data, data))

    bluez: Any = {"filters": {"DuplicateData": True}} | ({"adapter": adapter} if adapter else {})
    try:
        await _scan(BleakScanner(detected, bluez=bluez), length_s, ended or asyncio.Event())
    except TimeoutError:
        raise DriverError(f"Bluetooth cannot be used: {NO_ANSWER}") from None
    except (BleakError, DBusError, AuthError, InvalidAddressError, OSError, EOFError) as error:
        raise trouble(error) from None


async def _scan(scanner: "BleakScanner", length_s: float, ended: asyncio.Event) -> None:
    """Scan until `ended` or the time is up. Raises TimeoutError: bluetoothd does not answer."""
    async with asyncio.timeout(_ANSWER_WAIT_S):
        await scanner.start()
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(length_s):
                await ended.wait()
    finally:
        async with asyncio.timeout(_ANSWER_WAIT_S):
            await scanner.stop()


def _advert(
    address: str, service: Mapping[str, bytes], company: Mapping[int, bytes], data: "AdvertisementData"
) -> Advert:
    short = {number: told for uuid, told in service.items() if (number := short_uuid(uuid)) is not None}
    return Advert(address.upper(), short, dict(company), _printable(data.local_name or ""), data.rssi)


def _printable(name: str) -> str:
    """Return what a stranger calls himself, without what would act on the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)
