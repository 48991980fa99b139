"""`reed-gateway modbus`: what is on an RS-485 line, for commissioning. Nothing here writes a register."""

import argparse
import asyncio
import re
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path

from gateway.cli.access import show_json
from gateway.cli.check_config import DEFAULT_PATH
from gateway.cli.table import place, table, wetness
from gateway.domain.model import Reading
from gateway.domain.ports import Failure, Register
from gateway.drivers.modbus import profile_file, survey
from gateway.drivers.modbus.config import Config
from gateway.drivers.modbus.profile import decode, registers
from gateway.drivers.modbus.thread import LineThread
from gateway.errors import ConfigError, DriverError

_UNITS = range(1, 248)
_ADDRESSES = range(0x10000)
_FOUND_NOTHING = 1


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command, what it can do and its options."""
    parser = subparsers.add_parser(
        "modbus",
        help="look at devices on an RS-485 line",
        description="Look at Modbus devices on an RS-485 line. Reads only. The port must be free: stop the "
        "gateway meanwhile if it uses the port.",
    )
    inner = parser.add_subparsers(metavar="WHAT", required=True)
    scan = inner.add_parser("scan", help="which units answer, and what they may be")
    _add_port_options(scan)
    scan.add_argument("--units", type=_units, default=_UNITS, metavar="1-247", help="ask these only")
    scan.set_defaults(inner=_scan)
    read = inner.add_parser("read", help="what one unit says")
    _add_port_options(read)
    read.add_argument("unit", type=_unit, metavar="UNIT", help="its Modbus address")
    what = read.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--profile", type=_profile, help="decode with this profile: a name, or the path of a file"
    )
    what.add_argument("--input", type=_addresses, metavar="0-8", help="these input registers, from 0")
    what.add_argument("--holding", type=_addresses, metavar="0-8", help="these holding registers, from 0")
    read.add_argument("--zone", type=int, default=0, help="zone of a device that has several")
    read.set_defaults(inner=_read)


def _add_port_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("port", metavar="PORT", help="device file, or id of a [serial.<id>] table")
    parser.add_argument("--config", type=Path, default=DEFAULT_PATH, metavar="FILE", help=f"({DEFAULT_PATH})")
    parser.add_argument("--baud", type=int, help="bits per second")
    parser.add_argument("--parity", choices=("none", "even", "odd"))
    parser.add_argument("--stop-bits", type=int, choices=(1, 2))
    parser.add_argument("--timeout", type=float, dest="timeout_s", metavar="SECONDS", help="wait so long")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Do it.

    Raises:
        ConfigError: There is no such port or profile, or a value makes no sense.
        DriverError: The port cannot be had, or the unit does not answer.
    """
    status: int = asyncio.run(args.inner(args, _port(args)))
    return status


def _port(args: argparse.Namespace) -> Config:
    if "/" in args.port:
        config = Config(device=Path(args.port))
    else:
        from gateway.config.read import read  # noqa: PLC0415  half of the program, for an id only

        ports = read(args.config).serial
        if args.port not in ports:
            known = f"known: {', '.join(ports)}" if ports else "there is none"
            raise ConfigError((f"serial.{args.port}", f"is not in {args.config}; {known}, or give a path"))
        config = ports[args.port]
    given = {key: getattr(args, key) for key in ("baud", "parity", "stop_bits", "timeout_s")}
    return replace(config, **{key: value for key, value in given.items() if value is not None})


@asynccontextmanager
async def _line(config: Config) -> AsyncIterator[LineThread]:
    line = LineThread(config, lambda: None)
    try:
        await line.open()
        yield line
    except DriverError as error:
        if "held by" not in str(error):
            raise
        advice = "stop that meanwhile; if it is the gateway: systemctl stop reed-gateway"
        raise DriverError(f"{error}; {advice}") from None
    finally:
        await line.aclose()


# --- scan ---------------------------------------------------------------------------------------------


async def _scan(args: argparse.Namespace, config: Config) -> int:
    profiles = {name: profile_file.load(name) for name in profile_file.names()}
    found: list[survey.Found] = []
    async with _line(config) as line:
        async for unit, heard in survey.scan(line, config, args.units, profiles):
            _progress(f"unit {unit} of {args.units[-1]}, {len(found)} found")
            found += [heard] if heard is not None else []
    _progress("")
    if args.json:
        show_json([asdict(heard) for heard in found])
    elif found:
        print(table(["UNIT", "MAY BE"], [[str(heard.unit), _guess(heard)] for heard in found]))
    else:
        print(f"nobody answers at {_settings(config)}; try another --baud or --parity, or swap A and B")
    return 0 if any(not heard.problem for heard in found) else _FOUND_NOTHING


def _guess(found: survey.Found) -> str:
    if found.problem:
        return f"? {found.problem}"
    return ", ".join(found.profiles) or "something else: it answers, and fits no profile"


def _settings(config: Config) -> str:
    bits = f"{config.stop_bits} stop bit{'s' * (config.stop_bits > 1)}"
    return f"{config.baud} baud, parity {config.parity}, {bits}"


def _progress(text: str) -> None:
    """Show it on the terminal's last line, in place of what stood there."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


# --- read ---------------------------------------------------------------------------------------------


async def _read(args: argparse.Namespace, config: Config) -> int:
    if args.profile is None:
        name, addresses = ("input", args.input) if args.input is not None else ("holding", args.holding)
        _print_registers(args, await _ask(args, config, [Register(name, at) for at in addresses]))
        return 0
    profile = profile_file.load(args.profile)
    if problem := profile_file.wrong_zone(profile, args.zone):
        raise ConfigError(("--zone", problem))
    values = await _ask(args, config, registers(profile, args.zone or None))
    reading = decode(profile, values, args.zone or None)
    if args.json:
        show_json({"profile": profile.name, **_shown(reading), "registers": _rows(values)})
        return 0
    print(f"{profile.name} ({profile.source})")
    print(f"water   {_water(reading)}")
    device = {None: "does not say what is wrong with it", "": "ok"}.get(reading.fault, reading.fault)
    print(f"device  {device}")
    _print_registers(args, values)
    return 0


async def _ask(args: argparse.Namespace, config: Config, wanted: Sequence[Register]) -> dict[Register, int]:
    async with _line(config) as line:
        answer = await survey.read(line, config, args.unit, wanted)
    if isinstance(answer, Failure):
        raise DriverError(f"unit {args.unit} at {config.device}: {answer.problem}")
    return answer


def _water(reading: Reading) -> str:
    return wetness(reading.wet) + place(reading.distance_m)


def _shown(reading: Reading) -> dict[str, object]:
    return {"wet": reading.wet, "distance_m": reading.distance_m, "fault": reading.fault}


def _rows(values: dict[Register, int]) -> list[dict[str, object]]:
    return [{"table": at.table, "address": at.address, "value": value} for at, value in values.items()]


def _print_registers(args: argparse.Namespace, values: dict[Register, int]) -> None:
    if args.json:
        show_json(_rows(values))
        return
    rows = [[at.table, str(at.address), str(value), f"0x{value:04x}"] for at, value in values.items()]
    print(table(["TABLE", "ADDRESS", "VALUE", "HEX"], rows))


# --- options ------------------------------------------------------------------------------------------


def _range(text: str, allowed: range) -> range:
    found = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no range; write 3 or 0-8")
    first, last = int(found[1]), int(found[2] or found[1])
    if first not in allowed or last not in allowed or last < first:
        raise argparse.ArgumentTypeError(f"{text!r}: allowed are {allowed[0]} to {allowed[-1]}, upwards")
    return range(first, last + 1)


def _profile(text: str) -> str:
    return str(Path(text).absolute()) if "/" in text else text


def _units(text: str) -> range:
    return _range(text, _UNITS)


def _addresses(text: str) -> range:
    return _range(text, _ADDRESSES)


def _unit(text: str) -> int:
    units: Iterable[int] = _units(text)
    first, *others = units
    if others:
        raise argparse.ArgumentTypeError(f"{text!r} is more than one unit")
    return first
