"""What BlueZ tells of one sender, and which part of it was really received just now.

BlueZ keeps what a sender has ever said and tells of changes:

- a new object (InterfacesAdded) that has an RSSI was made for an advertisement: all of it is new;
- a change that names ServiceData or ManufacturerData holds *all* of that property. While some program scans
  with DuplicateData, the old content is thrown away first, so all of it was just received; without, entries
  of earlier advertisements are among it, and only those that differ are new;
- a change of RSSI alone says nothing about water: what the sender said with it is not told.

(src/adapter.c `btd_adapter_device_found`, src/device.c `device_set_service_data`, BlueZ 5.66 to 5.87.)
"""

from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from gateway.domain.ports import Advert

_BASE_UUID = "-0000-1000-8000-00805f9b34fb"
_SHORT_DIGITS = 8

_Key = TypeVar("_Key", bound=Hashable)


@lru_cache(maxsize=256)
def short_uuid(text: str) -> int | None:
    """Return the 16-bit number of a UUID that has one."""
    if not text.startswith("0000") or text[_SHORT_DIGITS:] != _BASE_UUID:
        return None
    return int(text[4:_SHORT_DIGITS], 16)


def object_path(adapter_path: str, address: str) -> str:
    """Return where BlueZ keeps a sender: "/org/bluez/hci0/dev_54_48_E6_8F_80_A5"."""
    return f"{adapter_path}/dev_{address.replace(':', '_')}"


# Any, here and below: D-Bus variants hold what the sender of the message says they hold.
class Device:
    """One sender at one adapter.

    Args:
        address: Upper case, colons.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.heard_s = float("-inf")
        """When it last said something, in the loop's time."""
        self._name = ""
        self._rssi_dbm: int | None = None
        self._service: dict[int, bytes] = {}
        self._company: dict[int, bytes] = {}

    def remember(self, properties: Mapping[str, Any]) -> None:
        """Take over what BlueZ knew before we listened; none of it counts as received."""
        self._take(properties, every=True)

    def received(self, properties: Mapping[str, Any], *, every: bool) -> Advert | None:
        """Return the advertisement behind a signal, or None if it tells of no data.

        Args:
            properties: Of the new object, or those that changed.
            every: All entries of a property are new; else those that differ are, or all if none does.
        """
        service, company = self._take(properties, every=every)
        if not service and not company:
            return None
        return Advert(self.address, service, company, self._name, self._rssi_dbm)

    def _take(
        self, properties: Mapping[str, Any], *, every: bool
    ) -> tuple[Mapping[int, bytes], Mapping[int, bytes]]:
        if (rssi := properties.get("RSSI")) is not None:
            self._rssi_dbm = rssi.value
        if (name := properties.get("Name")) is not None:
            self._name = name.value
        service: Mapping[int, bytes] = {}
        company: Mapping[int, bytes] = {}
        if (told := properties.get("ServiceData")) is not None:
            service, self._service = _new(_entries(told.value, short_uuid), self._service, every=every)
        if (told := properties.get("ManufacturerData")) is not None:
            company, self._company = _new(_entries(told.value, int), self._company, every=every)
        return service, company


def _entries(told: Mapping[Any, Any], key_of: Callable[[Any], int | None]) -> dict[int, bytes]:
    return {key: bytes(data.value) for text, data in told.items() if (key := key_of(text)) is not None}


def _new(
    now: dict[_Key, bytes], before: dict[_Key, bytes], *, every: bool
) -> tuple[dict[_Key, bytes], dict[_Key, bytes]]:
    if every:
        return now, now
    return {key: data for key, data in now.items() if before.get(key) != data} or now, now
