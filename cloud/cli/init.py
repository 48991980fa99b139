"""`reed-cloud init`: a new cloud in an empty folder, with its authority."""

import argparse
import ipaddress
import os
import socket
import sys
from pathlib import Path

from cloud.cli.access import actor, add_options, home_of, show_json
from cloud.errors import SetupError
from cloud.home import Home

_PASSPHRASE_BYTES = 1000


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "init",
        help="set up a new cloud",
        description="Make a folder with settings, root and intermediate, certificates, command key, database "
        "and the configurations of broker and nginx. Never overwrites; run again after an "
        "interruption, it makes what is missing. A cloud.toml that is there already is kept.",
    )
    parser.add_argument(
        "--host",
        action="append",
        metavar="NAME",
        help="name or address by which gateways reach this machine, once or more (default: its host name)",
    )
    parser.add_argument(
        "--bind", type=_address, metavar="ADDRESS", help="listen on this address only (default: on every one)"
    )
    parser.add_argument("--https-port", type=_port, default=8443, metavar="N", help="default: 8443")
    parser.add_argument("--broker-port", type=_port, default=8883, metavar="N", help="default: 8883")
    parser.add_argument(
        "--admin-port", type=_port, default=8884, metavar="N", help="broker, for our services (default: 8884)"
    )
    parser.add_argument(
        "--root-passphrase-file",
        type=Path,
        metavar="FILE",
        help="the passphrase for the root's key (default: one is made and shown once)",
    )
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Set it up and say what is to be done next."""
    home = home_of(args)
    _check_ports(args)
    passphrase = read_passphrase(args.root_passphrase_file) if args.root_passphrase_file else ""
    from cloud.run import founding  # noqa: PLC0415  # heavy

    wish = founding.Wish(
        hosts=tuple(args.host or [socket.gethostname()]),
        bind=args.bind or "",
        https_port=args.https_port,
        broker_port=args.broker_port,
        admin_port=args.admin_port,
        passphrase=passphrase,
    )
    told = _Passphrase(as_json=args.json)
    founding.check_place(home)
    config = founding.begin(home, wish)
    from cloud.run import database  # noqa: PLC0415  # can be imported only now
    from cloud.run.single import alone  # noqa: PLC0415

    with alone(home), database.in_use():
        founding.found(home, config, wish, actor(), told.tell)
    if args.json:
        show_json(
            {
                "home": str(home.folder),
                "url": config.public.url,
                "offline_root": str(home.offline) if home.offline.exists() else None,
                "root_passphrase": told.passphrase or None,
            }
        )
    else:
        _say_what_next(home, args)
    return 0


class _Passphrase:
    """Shows a passphrase at once, or keeps it for the JSON document."""

    def __init__(self, *, as_json: bool) -> None:
        self.passphrase = ""
        self._as_json = as_json

    def tell(self, passphrase: str) -> None:
        self.passphrase = passphrase
        if not self._as_json:
            print(
                f"Passphrase of the root's key, shown now and never again:\n\n    {passphrase}\n", flush=True
            )


def read_passphrase(path: Path) -> str:
    """Return the first line of a file; "-" is standard input. Raises SetupError."""
    try:
        text = sys.stdin.readline(_PASSPHRASE_BYTES) if str(path) == "-" else _first_line(path)
    except UnicodeDecodeError:
        raise SetupError(f"{path}: is no text") from None
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}") from None
    if not text.strip():
        raise SetupError(f"{path}: holds no passphrase")
    return text.strip()


def _first_line(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.readline(_PASSPHRASE_BYTES)


def _say_what_next(home: Home, args: argparse.Namespace) -> None:
    named = (
        ""
        if home.folder == Path("/var/lib/reed-cloud") or "REED_CLOUD_HOME" in os.environ
        else (f" --home {args.home}")
    )
    print(f"{home.folder} is set up; cloud.toml in it has the settings.")
    if home.offline.exists():
        print(f"Carry {home.offline} away: it holds the root's key. READ-ME.txt in it says how.")
    print(f"Next:  reed-cloud run{named}")
    print(f"       reed-cloud gateway expect GATEWAY{named}")
    print(f"       reed-cloud token create GATEWAY{named}")


def _check_ports(args: argparse.Namespace) -> None:
    ports = (args.https_port, args.broker_port, args.admin_port)
    if len(set(ports)) < len(ports):
        raise SetupError("--https-port, --broker-port and --admin-port must differ")


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no IP address") from None


def _port(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0  # noqa: PLR2004  # digits
    if not 1 <= number <= 65535:  # noqa: PLR2004  # TCP
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is no port; give a number from 1 to 65535")
    return number
