"""`reed-gateway check-config`: says everything that is wrong with a configuration, before it is used."""

import argparse
import json
from pathlib import Path

from gateway.config.check import warnings
from gateway.config.flow import described
from gateway.config.limits import lowered
from gateway.config.model import Config
from gateway.config.read import read
from gateway.errors import ConfigError

DEFAULT_PATH = Path("/etc/reed/gateway.toml")

LOWERS_PROTECTION = 77
"""EX_NOPERM: it is valid, and only a person at the building may put it into force."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "check-config",
        help="check a configuration file",
        description="Name everything that is wrong with a configuration file. Exit status 78 if anything is.",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="OLD",
        help="name, too, every way in which it protects less than OLD, in whose place it is to come; "
        "exit status 77 if there is one",
    )
    parser.add_argument("config", nargs="?", type=Path, default=DEFAULT_PATH, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Check the file; problems leave as a ConfigError unless JSON is wanted."""
    if args.json:
        return _run_json(args.config, args.against)
    config, less = _checked(args.config, args.against)
    if less:
        print("\n".join(less))
        return LOWERS_PROTECTION
    for line in warnings(config):
        print(f"note: {line}")
    for rule_id, line in rules(config).items():
        print(f"flow_rule.{rule_id}: {line}")
    print(f"{args.config}: valid ({summary(config)})")
    return 0


def _run_json(path: Path, against: Path | None) -> int:
    try:
        config, less = _checked(path, against)
    except ConfigError as error:
        problems = [{"key": key, "problem": problem} for key, problem in error.problems]
        print(json.dumps({"valid": False, "problems": problems, "notes": []}))
        return error.exit_status
    found = {"valid": True, "problems": [], "notes": warnings(config), "flow_rules": rules(config)}
    print(json.dumps(found | ({} if against is None else {"lowered": less})))
    return LOWERS_PROTECTION if less else 0


def _checked(path: Path, against: Path | None) -> tuple[Config, list[str]]:
    """Return the configuration, and how it protects less than the one in whose place it is to come."""
    if against is None:
        return read(path), []
    try:
        old = read(against)
    except ConfigError as error:
        problem = f"is in force and not valid itself; correct it at the building: {error}"
        raise ConfigError((str(against), problem)) from None
    new = read(path, folder=against.parent)
    return new, lowered(old, new)


def rules(config: Config) -> dict[str, str]:
    """Return the flow rules in words, with what came from their templates."""
    site = config.site
    return {rule_id: described(rule, site.meters) for rule_id, rule in site.flow_rules.items()}


def summary(config: Config) -> str:
    """Return in a few words what the configuration is about."""
    counts = {
        "sensor": len(config.sensors),
        "zone": len(config.site.zones),
        "valve": len(config.valves),
        "button": len(config.buttons),
    } | ({"meter": len(config.meters)} if config.meters else {})
    things = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items())
    return f"gateway {config.gateway.id}: {things}; {_broker(config)}"


def _broker(config: Config) -> str:
    if config.link is None:
        return "no broker"
    if config.link.host is None:
        return "broker as enrolled"
    return f"broker {config.link.host}:{config.link.port}"
