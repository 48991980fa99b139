"""`reed-gateway secret`: keys that do not lie readable on the card."""

import argparse
import dataclasses
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from gateway.cli.access import show_json
from gateway.cli.check_config import DEFAULT_PATH
from gateway.cli.table import table
from gateway.config.model import Config
from gateway.errors import ConfigError, IdentityError
from gateway.identity.opened import Opened, open_all, take_credentials
from gateway.identity.secrets import MAX_BYTES, NAME, NAME_RULE, SealedBy, Secrets

_UNAVAILABLE = 69
"""EX_UNAVAILABLE: trying again later may help."""

_SEALED = {"tpm": "the TPM", "nothing": "NOTHING (no TPM)", None: "damaged"}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command, its actions and their options."""
    parser = subparsers.add_parser(
        "secret",
        help="keep the keys of sensors sealed",
        description='Keep secrets sealed by the TPM; key = "secret:NAME" in the configuration speaks of one.',
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    told = {
        "set": "seal a secret, asked for or read from standard input",
        "list": "which there are, who sealed them, who uses them",
        "remove": "forget one",
        "open": "lay all of them open in memory, for the gateway; systemd does this before it starts",
    }
    for name, text in told.items():
        action = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        if name in ("set", "remove"):
            action.add_argument("name", metavar="NAME", help="1 to 64 of a-z, 0-9, ., _ and -")
        if name == "list":
            action.add_argument("--json", action="store_true", help="print one JSON object")
        action.add_argument(
            "--config", type=Path, default=DEFAULT_PATH, metavar="FILE", help=f"({DEFAULT_PATH})"
        )


def run(args: argparse.Namespace) -> int:
    """Do what was asked.

    Raises:
        GatewayError: It cannot be done, and why.
    """
    from gateway.config.read import read  # noqa: PLC0415  so that `--help` stays quick

    config = read(args.config)
    actions = {"set": _set, "list": _list, "remove": _remove, "open": _open}
    return actions[args.action](args, config)


def keep(config: Config, name: str, secret: str) -> SealedBy:
    """Seal a secret, and lay it open for a gateway that runs; return who sealed it.

    Raises:
        IdentityError: It cannot be done, and why.
    """
    by = sealed(config).set(name, secret.encode())
    if config.gateway.runtime_dir.exists():
        opened(config).put(name, secret.encode())
    return by


def sealed(config: Config) -> Secrets:
    """Return the secrets at rest."""
    return Secrets(config.gateway.identity_dir / "secrets", config.identity)


def opened(config: Config) -> Opened:
    """Return the secrets in memory."""
    return Opened(config.gateway.runtime_dir / "secrets", config.gateway.state_dir)


def _set(args: argparse.Namespace, config: Config) -> int:
    if not NAME.fullmatch(args.name):
        raise IdentityError(f"{args.name[:80]!a}: {NAME_RULE}")
    secret = _asked(args.name)
    _fits(config, args.name, secret)
    by = keep(config, args.name, secret)
    print(f"{args.name}: sealed by {_SEALED[by]}")
    if not _users(config, args.name):
        print(f'to use it, write in {args.config}: key = "secret:{args.name}"')
    return 0


def _asked(name: str) -> str:
    """Return the secret, which never stands on a command line: others could read it there."""
    import getpass  # noqa: PLC0415

    try:
        from_a_person = sys.stdin.isatty()
        given = getpass.getpass(f"{name}: ") if from_a_person else sys.stdin.read(MAX_BYTES * 4)
        given.encode()
    except EOFError:  # Ctrl-D
        raise KeyboardInterrupt from None
    except UnicodeError:  # whose message would show it
        raise ConfigError((name, "the secret is no text")) from None
    return given.strip()


def _fits(config: Config, name: str, secret: str) -> None:
    """Raise ConfigError, which does not show the secret, if a sensor that uses it could not."""
    for sensor_id in _users(config, name):
        try:
            dataclasses.replace(config.sensors[sensor_id].config, key=secret)  # type: ignore[type-var]
        except ConfigError as error:
            raise ConfigError((f"sensor.{sensor_id}.key", error.problems[0][1])) from None


def _users(config: Config, name: str) -> list[str]:
    from gateway.app.sensor_secrets import used  # noqa: PLC0415

    return [sensor_id for sensor_id, wanted in used(config) if wanted == name]


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    sealed_by: SealedBy | None
    open: bool
    sensors: list[str]


def _list(args: argparse.Namespace, config: Config) -> int:
    lying_open = opened(config).names()
    found = [
        _Row(entry.name, entry.sealed_by, entry.name in lying_open, _users(config, entry.name))
        for entry in sealed(config).list()
    ]
    if args.json:
        show_json({"secrets": [dataclasses.asdict(row) for row in found]})
    elif found:
        rows = [
            [row.name, _SEALED[row.sealed_by], "yes" if row.open else "no", ", ".join(row.sensors) or "-"]
            for row in found
        ]
        print(table(["NAME", "SEALED BY", "OPEN", "USED BY"], rows))
    else:
        print("there is none; reed-gateway secret set NAME")
    return 0


def _remove(args: argparse.Namespace, config: Config) -> int:
    sealed(config).remove(args.name)
    opened(config).take(args.name)
    print(f"{args.name}: removed")
    for sensor_id in _users(config, args.name):
        print(f"note: sensor.{sensor_id} still speaks of it, and goes blind with the next start")
    return 0


def _open(_args: argparse.Namespace, config: Config) -> int:
    """Open what can be opened; complain of the others."""
    place = opened(config)
    problems = open_all(sealed(config), place)
    handed_over = os.environ.get("CREDENTIALS_DIRECTORY")
    names = set(place.names()).union(take_credentials(Path(handed_over), place) if handed_over else ())
    if names and not place.is_in_memory():
        print(f"note: {config.gateway.runtime_dir} is not in memory: a copied card has the secrets")
    for name, problem in problems.items():
        print(f"reed-gateway: secret {name} stays closed: {problem}", file=sys.stderr)
    print(f"{len(names)} open")
    return _UNAVAILABLE if problems else 0
