"""`reed-gateway decode`: what one advertisement says, as one JSON object.

For commissioning (is the key right? is this sensor understood?) and for reports of sensors that are not.
"""

import argparse
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from gateway.domain.model import Reading
from gateway.domain.ports import Advert
from gateway.drivers.adverts import check, parse_address, parse_key
from gateway.drivers.sensors import kinds, load
from gateway.errors import ConfigError, DecodeError

_BASE_UUID = re.compile("(?:0x)?(?:0000)?([0-9a-f]{4})(?:-0000-1000-8000-00805f9b34fb)?")
_OPTION = {"address": "mac", "key": "key"}
_BIGGEST_ID = 0xFFFF


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's options."""
    parser = subparsers.add_parser(
        "decode",
        help="decode one BLE advertisement",
        description="Decode one BLE advertisement and print what it says as one JSON object. "
        "Exit status 65 if it cannot be understood.",
    )
    parser.add_argument("--mac", required=True, help="the sender's address, as 54:48:E6:8F:80:A5")
    parser.add_argument(
        "--service-data",
        action="append",
        default=[],
        metavar="UUID:HEX",
        help="16-bit UUID and data, as fcd2:4000090161; may be repeated",
    )
    parser.add_argument(
        "--manufacturer-data",
        action="append",
        default=[],
        metavar="ID:HEX",
        help="company id, decimal or hexadecimal, and data without the id, as 2409:c4…; may be repeated",
    )
    parser.add_argument("--name", default="", help="the local name in the advertisement")
    parser.add_argument("--key", default="", help="the sensor's key, 32 hexadecimal digits")


def run(args: argparse.Namespace) -> int:
    """Print the reading.

    Raises:
        DecodeError: An option or the advertisement cannot be understood.
    """
    advert, key = _advert(args)
    print(json.dumps({"address": advert.address} | asdict(_decode(advert, key))))
    return 0


def _advert(args: argparse.Namespace) -> tuple[Advert, bytes | None]:
    try:
        check(args.mac, args.key)
    except ConfigError as error:
        raise DecodeError("; ".join(f"--{_OPTION[key]}: {text}" for key, text in error.problems)) from error
    advert = Advert(
        parse_address(args.mac),
        service_data=dict(_service_data(args.service_data)),
        manufacturer_data=dict(_manufacturer_data(args.manufacturer_data)),
        name=args.name,
    )
    return advert, parse_key(args.key)


def _service_data(options: Iterable[str]) -> Iterator[tuple[int, bytes]]:
    for option in options:
        uuid, data = _split(option, "--service-data")
        found = _BASE_UUID.fullmatch(uuid.lower())
        if found is None:
            raise DecodeError(
                f"--service-data: {uuid[:40]!a} is no 16-bit UUID; give four hexadecimal digits"
            )
        yield int(found[1], 16), data


def _manufacturer_data(options: Iterable[str]) -> Iterator[tuple[int, bytes]]:
    for option in options:
        company, data = _split(option, "--manufacturer-data")
        ids = [number for number in _readings_of(company) if number <= _BIGGEST_ID]
        if not ids:
            raise DecodeError(f"--manufacturer-data: {company[:40]!a} is no 16-bit company id")
        yield from ((number, data) for number in ids)


def _readings_of(company: str) -> Iterator[int]:
    """Yield the id as hexadecimal and as decimal: lists use both, and the known ids are told apart."""
    digits = company.lower().removeprefix("0x")
    if re.fullmatch("[0-9a-f]{1,8}", digits):
        yield int(digits, 16)
    if re.fullmatch("[0-9]{1,8}", company):
        yield int(company)


def _split(option: str, name: str) -> tuple[str, bytes]:
    before, colon, digits = option.partition(":")
    try:
        data = bytes.fromhex(digits)
    except ValueError:
        colon = ""
    if not colon:
        raise DecodeError(f"{name}: {option[:40]!a} is not id:hex, as fcd2:400161") from None
    return before, data


def _decode(advert: Advert, key: bytes | None) -> Reading:
    for kind in kinds():
        sensor = load(kind)
        if sensor.claims and sensor.decode and sensor.claims(advert):
            return sensor.decode(advert, key)
    carried = [f"service data {uuid:04X}" for uuid in advert.service_data]
    carried += [f"manufacturer data {company:04X}" for company in advert.manufacturer_data]
    raise DecodeError(f"no known sensor format in {', '.join(carried) or 'an advertisement without data'}")
