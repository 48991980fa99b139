"""`reed-gateway ble scan`: which leak sensors are around."""

import argparse
import asyncio
import sys
from collections.abc import Mapping

from gateway.cli.access import show_json
from gateway.cli.ble.ears import Known, Seen, listen
from gateway.cli.table import table, wetness
from gateway.config.model import Config
from gateway.config.read import read
from gateway.domain.ports import Advert
from gateway.errors import ConfigError


def run(args: argparse.Namespace) -> int:
    """Listen, then print. Raises DriverError."""
    known = Known(_config(args))
    heard: dict[str, Seen] = {}

    def on_advert(advert: Advert) -> None:
        seen = known.look(advert)
        before = heard.get(advert.address)
        # a frame that carries nothing of the sensor must not hide what it said before
        if before is None or not before.kind or (seen.kind and not seen.idle):
            heard[advert.address] = seen

    if not args.json:
        print(f"listening for {args.seconds:g} s; Ctrl-C ends it", file=sys.stderr, flush=True)
    try:
        asyncio.run(listen(args.adapter, args.seconds, on_advert, None))
    except KeyboardInterrupt:
        print(file=sys.stderr)
    known_senders = sorted((seen for seen in heard.values() if seen.kind), key=_nearest)
    strangers = sorted((seen for seen in heard.values() if not seen.kind), key=_nearest)
    shown = known_senders + (strangers if args.all else [])
    if args.json:
        show_json({"sensors": [as_json(seen) for seen in shown], "others": len(strangers)})
        return 0
    if shown:
        print(table(HEADER, [row(seen) for seen in shown]))
    others = f"{len(strangers)} other sender{'' if len(strangers) == 1 else 's'}"
    print(f"{len(known_senders)} known, {others}{'' if args.all else ' (--all shows them)'}")
    return 0


def _config(args: argparse.Namespace) -> Config | None:
    try:
        return read(args.config)
    except ConfigError as error:
        print(f"note: without the configuration: {error}", file=sys.stderr)
        return None


HEADER = ("ADDRESS", "SIGNAL", "KIND", "WATER", "BATTERY", "NAME", "")


def row(seen: Seen) -> tuple[str, ...]:
    """Return the columns of a sender."""
    battery = seen.reading.battery_percent if seen.reading else None
    strength = seen.advert.rssi_dbm
    notes = [seen.problem] if seen.problem else []
    notes += [f"configured as {seen.sensor_id}"] if seen.sensor_id else []
    return (
        seen.advert.address,
        "-" if strength is None else f"{strength} dBm",
        seen.kind or "-",
        wetness(seen.wet) if seen.kind else "-",
        "-" if battery is None else f"{battery} %",
        seen.advert.name or "-",
        "; ".join(notes),
    )


def as_json(seen: Seen) -> dict[str, object]:
    """Return the same for programs."""
    return {
        "address": seen.advert.address,
        "name": seen.advert.name,
        "rssi_dbm": seen.advert.rssi_dbm,
        "kind": seen.kind or None,
        "wet": seen.wet,
        "battery_percent": seen.reading.battery_percent if seen.reading else None,
        "encrypted": seen.encrypted,
        "problem": seen.problem,
        "sensor": seen.sensor_id or None,
        "service_data": _hex(seen.advert.service_data),
        "manufacturer_data": _hex(seen.advert.manufacturer_data),
    }


def _hex(data: Mapping[int, bytes]) -> dict[str, str]:
    """Return what was sent as `reed-gateway decode` takes it."""
    return {f"{number:04x}": content.hex() for number, content in data.items()}


def _nearest(seen: Seen) -> tuple[int, str]:
    return -(seen.advert.rssi_dbm or -999), seen.advert.address
