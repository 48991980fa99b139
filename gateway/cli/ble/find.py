"""Finding the one sensor that is to be adopted: by its address, or the one that says that it is wet."""

import argparse
import asyncio
import sys

from gateway.cli.ble.ears import Known, Seen, listen
from gateway.cli.ble.questions import at_terminal, choose
from gateway.domain.ports import Advert
from gateway.drivers.adverts import parse_address
from gateway.errors import DecodeError, DriverError


def find(args: argparse.Namespace, known: Known) -> Seen:
    """Return the sensor, with a live frame of it.

    Raises:
        ConfigError: The address is none, or nobody can be asked to choose.
        DecodeError: What it says cannot be understood.
        DriverError: It was not heard, or Bluetooth cannot be used.
    """
    if args.address is not None:
        return _find_address(args, known, parse_address(args.address))
    heard = _Heard(known)
    print(f"make the sensor wet now; listening for {args.seconds:g} s", flush=True)
    if at_terminal():
        print("(Enter: stop listening and choose from a list; an encrypted sensor cannot say that it is wet)")
    asyncio.run(_listen(args, heard))
    if heard.wet is not None:
        print(f"wet: {_label(heard.wet)}")
        return heard.wet
    candidates = [seen for seen in heard.last.values() if not seen.sensor_id]
    if not candidates:
        raise DriverError(f"no new sensor was heard within {args.seconds:g} s; is it near and switched on?")
    addresses = [seen.advert.address for seen in candidates]
    address = choose("ADDRESS", "which one", addresses, [_label(seen) for seen in candidates])
    return heard.last[address]


def _find_address(args: argparse.Namespace, known: Known, address: str) -> Seen:
    heard = _Heard(known, only=address)
    print(f"waiting for {address}, up to {args.seconds:g} s", flush=True)
    asyncio.run(_listen(args, heard))
    if address in heard.last:
        return heard.last[address]
    if heard.problem:
        raise DecodeError(f"{address}: {heard.problem}")
    problem = "was heard, but sends nothing that is known" if heard.strange else "was not heard"
    if heard.idle:
        problem = "was heard, but said nothing of itself (make it wet, or press its button)"
    raise DriverError(
        f"{address} {problem} within {args.seconds:g} s; `reed-gateway ble scan --all` shows all"
    )


class _Heard:
    """Collects what was heard; `ended` once there is nothing more to wait for."""

    def __init__(self, known: Known, only: str | None = None) -> None:
        self._known, self._only = known, only
        self.last: dict[str, Seen] = {}
        self.wet: Seen | None = None
        self.strange = self.idle = False
        self.problem = ""
        self.ended = asyncio.Event()

    def on_advert(self, advert: Advert) -> None:
        if self._only is not None and advert.address != self._only:
            return
        seen = self._known.look(advert)
        if not seen.kind:
            self.strange = True
            return
        if seen.idle:  # adopted on this word, an encrypted sensor would be taken for an open one
            self.idle = True
            return
        if seen.reading is None and not seen.encrypted:
            self.problem = seen.problem
            return
        if advert.address not in self.last and self._only is None and not seen.sensor_id:
            print(f"  heard {_label(seen)}", flush=True)
        self.last[advert.address] = seen
        if seen.wet and not seen.sensor_id:
            self.wet = seen
        if self._only is not None or self.wet is not None:
            self.ended.set()


async def _listen(args: argparse.Namespace, heard: _Heard) -> None:
    loop = asyncio.get_running_loop()
    may_stop = at_terminal() and args.address is None

    def on_key() -> None:
        sys.stdin.readline()
        heard.ended.set()

    if may_stop:
        loop.add_reader(sys.stdin.fileno(), on_key)
    try:
        await listen(args.adapter, args.seconds, heard.on_advert, heard.ended)
    finally:
        if may_stop:
            loop.remove_reader(sys.stdin.fileno())


def _label(seen: Seen) -> str:
    said = seen.problem or {True: "wet", False: "dry", None: "says nothing of water"}[seen.wet]
    strength = f"{seen.advert.rssi_dbm} dBm" if seen.advert.rssi_dbm is not None else ""
    return "  ".join(
        part for part in (seen.advert.address, strength, seen.kind, seen.advert.name, said) if part
    )
