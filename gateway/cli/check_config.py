"""`reed-gateway check-config`: says everything that is wrong with a configuration, before it is used."""

import argparse
import json
from pathlib import Path

from gateway.config.check import warnings
from gateway.config.flow import described
from gateway.config.model import Config
from gateway.config.read import read
from gateway.errors import ConfigError

DEFAULT_PATH = Path("/etc/reed/gateway.toml")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "check-config",
        help="check a configuration file",
        description="Name everything that is wrong with a configuration file. Exit status 78 if anything is.",
    )
    parser.add_argument("config", nargs="?", type=Path, default=DEFAULT_PATH, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Check the file; problems leave as a ConfigError unless JSON is wanted."""
    if args.json:
        return _run_json(args.config)
    config = read(args.config)
    for line in warnings(config):
        print(f"note: {line}")
    for rule_id, line in rules(config).items():
        print(f"flow_rule.{rule_id}: {line}")
    print(f"{args.config}: valid ({summary(config)})")
    return 0


def _run_json(path: Path) -> int:
    try:
        config = read(path)
    except ConfigError as error:
        problems = [{"key": key, "problem": problem} for key, problem in error.problems]
        print(json.dumps({"valid": False, "problems": problems, "notes": []}))
        return error.exit_status
    print(json.dumps({"valid": True, "problems": [], "notes": warnings(config), "flow_rules": rules(config)}))
    return 0


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
