"""Bluetooth sensors without a radio: a controller for BlueZ through /dev/vhci, and adverts from any address.

The controller is bumble's. What is on the air reaches the host as it does on a Pi: only while it scans, as
legacy reports, and with duplicates filtered if the host asked for that.
"""

import asyncio
import contextlib
import os
import struct
import time
from dataclasses import dataclass
from typing import Any

from bumble import hci
from bumble.controller import Controller

_VENDOR_PACKET = 0xFF
_CREATE_PRIMARY = bytes([_VENDOR_PACKET, 0x00])
_EVENT_PACKET, _LE_META, _ADVERTISING_REPORT = 0x04, 0x3E, 0x02
_ADV_NONCONN_IND = 0x03


class _Radio(Controller):
    """bumble's controller, which forgets the duplicates it has seen when a scan begins."""

    def __init__(self, address: str) -> None:
        super().__init__("pi", public_address=address)
        self.reported: set[object] = set()
        self.scans = 0

    def on_hci_le_set_scan_enable_command(self, command: hci.HCI_LE_Set_Scan_Enable_Command) -> object:
        """See Bluetooth Core 5.4, volume 4, part E, 7.8.11."""
        self.reported.clear()
        self.scans += bool(command.le_scan_enable)
        return super().on_hci_le_set_scan_enable_command(command)


@dataclass(slots=True)
class _Sensor:
    address: str
    data: bytes
    interval_s: float
    is_random: bool
    rssi_dbm: int
    sent: int = 0
    heard: int = 0
    task: asyncio.Task[None] | None = None


class Air:
    """The controller, which can be pulled out, and the sensors in its range."""

    def __init__(self) -> None:
        self._sensors: dict[str, _Sensor] = {}
        self._radio: _Radio | None = None
        self._device = -1
        self._filter: str = "data"

    def plug(self, address: str = "B8:27:EB:00:00:01") -> None:
        """Give the Pi a controller; BlueZ calls it hci0, if that was free."""
        if self._radio is not None:
            return
        self._device = os.open("/dev/vhci", os.O_RDWR | os.O_NONBLOCK)
        self._radio = _Radio(address)
        self._radio.set_packet_sink(self)
        asyncio.get_running_loop().add_reader(self._device, self._from_host)
        os.write(self._device, _CREATE_PRIMARY)

    def unplug(self) -> None:
        """Pull the controller out."""
        if self._radio is None:
            return
        asyncio.get_running_loop().remove_reader(self._device)
        os.close(self._device)
        self._radio, self._device = None, -1

    def filter_duplicates_by(self, what: str) -> None:
        """Choose what counts as one: the same "address", the same "data" too, or "none" (no filter)."""
        self._filter = what

    def advertise(
        self,
        address: str,
        data: str,
        interval_s: float = 1.0,
        is_random: bool = False,
        rssi_dbm: int = -60,
    ) -> float:
        """Send this (AD structures in hex, at most 31 bytes) now and at this interval; also changes a sensor.

        Returns:
            CLOCK_MONOTONIC seconds of the first one.
        """
        self.silence(address)
        sensor = _Sensor(address, bytes.fromhex(data), interval_s, is_random, rssi_dbm)
        self._sensors[address] = sensor
        now_s = time.monotonic()
        sensor.task = asyncio.create_task(self._transmit(sensor))  # noqa: TID251  # `silence` ends it
        return now_s

    def send(self, address: str, data: str, is_random: bool = False, rssi_dbm: int = -60) -> bool:
        """Send one advertisement; whether the host could hear it."""
        return self._send(_Sensor(address, bytes.fromhex(data), 0.0, is_random, rssi_dbm))

    async def play(self, frames: list[tuple[str, str]], rate_per_s: float) -> dict[str, Any]:
        """Send each of these (address, data) once, at this rate, as well as this machine can.

        Returns:
            Numbers of those that the host could not hear (it was not scanning), and the seconds that it took.
        """
        begin_s, unheard = time.monotonic(), []
        for number, (address, data) in enumerate(frames):
            await asyncio.sleep(max(0.0, begin_s + number / rate_per_s - time.monotonic()))
            if not self.send(address, data):
                unheard.append(number)
        return {"unheard": unheard, "took_s": time.monotonic() - begin_s}

    def silence(self, address: str | None = None) -> None:
        """Let a sensor, or every one, fall silent."""
        for name in [address] if address else list(self._sensors):
            sensor = self._sensors.pop(name, None)
            if sensor and sensor.task:
                sensor.task.cancel()

    def look(self) -> dict[str, object]:
        """Return whether the host scans, how often it began to, and what of each sensor was heard."""
        radio = self._radio
        return {
            "plugged": radio is not None,
            "scanning": radio is not None and radio.le_scan_enable,
            "active": radio is not None and radio.le_scan_type == 1,
            "filtering": radio is not None and radio.filter_duplicates,
            "scans": radio.scans if radio else 0,
            "sensors": {s.address: {"sent": s.sent, "heard": s.heard} for s in self._sensors.values()},
        }

    async def until_scanning(self, timeout_s: float = 30.0) -> None:
        """Wait until the host scans. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while self._radio is None or not self._radio.le_scan_enable:  # noqa: ASYNC110  # bumble tells nobody
                await asyncio.sleep(0.02)

    def close(self) -> None:
        """Silence the sensors and pull the controller out."""
        self.silence()
        self.unplug()

    def on_packet(self, packet: bytes) -> None:
        """Take a packet from the controller to the host (bumble's interface of a sink)."""
        if self._device < 0:
            return
        with contextlib.suppress(BlockingIOError):
            os.write(self._device, packet)

    async def _transmit(self, sensor: _Sensor) -> None:
        next_s = time.monotonic()
        while True:
            sensor.sent += 1
            sensor.heard += self._send(sensor)
            next_s = max(next_s + sensor.interval_s, time.monotonic() - sensor.interval_s)
            await asyncio.sleep(max(0.0, next_s - time.monotonic()))

    def _send(self, sensor: _Sensor) -> bool:
        radio = self._radio
        if radio is None or not radio.le_scan_enable:
            return False
        key = (sensor.address, sensor.data if self._filter == "data" else b"")
        if self._filter != "none" and radio.filter_duplicates and key in radio.reported:
            return False
        radio.reported.add(key)
        self.on_packet(_report(sensor))
        return True

    def _from_host(self) -> None:
        while self._radio is not None:
            try:
                packet = os.read(self._device, 4096)
            except BlockingIOError:
                return
            if packet and packet[0] != _VENDOR_PACKET:
                self._radio.on_packet(packet)


def _report(sensor: _Sensor) -> bytes:
    """One LE Advertising Report event (Bluetooth Core 5.4, volume 4, part E, 7.7.65.2)."""
    address = bytes.fromhex(sensor.address.replace(":", ""))[::-1]
    body = (
        bytes([_ADVERTISING_REPORT, 1, _ADV_NONCONN_IND, sensor.is_random])
        + address
        + bytes([len(sensor.data)])
        + sensor.data
        + struct.pack("b", sensor.rssi_dbm)
    )
    return bytes([_EVENT_PACKET, _LE_META, len(body)]) + body
