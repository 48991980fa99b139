"""`reed-gateway doctor`: is everything as it should be? One line for each thing, and what to do about it."""

import argparse
from dataclasses import asdict
from pathlib import Path

from gateway.cli.access import add_options, show_json
from gateway.cli.check_config import DEFAULT_PATH
from gateway.cli.checks import bluetooth, building, buses, cloud, enrolled, gpio, host
from gateway.cli.checks.finding import Finding, Verdict
from gateway.control.config import Config as ControlConfig


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "doctor",
        help="check the machine, the gateway and the way to the cloud",
        description="Check configuration, disk, permission, daemon, sensors, clock, certificates and broker. "
        "Exit status 1 if anything failed.",
    )
    add_options(parser)
    parser.add_argument("--config", type=Path, default=DEFAULT_PATH, metavar="FILE", help=f"({DEFAULT_PATH})")


def run(args: argparse.Namespace) -> int:
    """Print the findings; 1 if one of them is a failure."""
    findings = examine(args.config, args.socket)
    if args.json:
        show_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            advice = f"  -> {finding.advice}" if finding.advice else ""
            print(f"{finding.verdict:4}  {finding.check}: {finding.text}{advice}")
    return int(any(finding.verdict is Verdict.FAIL for finding in findings))


def examine(config_path: Path, socket: Path) -> list[Finding]:
    """Return all findings; what cannot be looked at is a finding itself."""
    config, findings = host.configuration(config_path)
    control = config.control if config is not None else ControlConfig()
    findings += host.permission(control.group)
    view, answered = building.daemon(socket)
    findings += answered
    if view is not None:
        findings += building.inspect(view)
    if config is not None:
        findings += host.disk(config)
        findings += gpio.inspect(config)
        findings += buses.inspect(config)
        findings += bluetooth.inspect(config)
    if config is not None and config.link is not None:
        if config.link.has_own_pair:
            findings += cloud.certificates(config.link, cloud.today())
            findings += cloud.broker(config.link)
        else:
            findings += enrolled.inspect(config, cloud.today())
    return findings
