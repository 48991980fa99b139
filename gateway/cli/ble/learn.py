"""`reed-gateway ble learn`: find a sensor, check its key, write it down, restart, walk-test it."""

import argparse
import dataclasses
import subprocess
import time
from typing import Any

from gateway.cli import secret
from gateway.cli.access import connect, get_view
from gateway.cli.ble.adopt import adopt
from gateway.cli.ble.ears import Known, Seen
from gateway.cli.ble.find import find
from gateway.cli.ble.questions import ask, choose, yes
from gateway.cli.config_file import check_writable
from gateway.cli.walk_test import reports
from gateway.config.model import Config
from gateway.config.read import read
from gateway.config.site import ID, ID_RULE
from gateway.drivers.adverts import parse_key
from gateway.drivers.sensors import load
from gateway.errors import ConfigError, ControlError, DecodeError, DriverError

SERVICE = "reed-gateway"
_RESTARTED_WITHIN_S = 60.0
_PASSED = "passed"


def run(args: argparse.Namespace) -> int:
    """Adopt a sensor; 1 if its walk test was not passed.

    Raises:
        GatewayError: A step cannot be done; the configuration is as before.
    """
    config = read(args.config)
    check_writable(args.config)
    _check_given(args, config)
    known = Known(config)
    seen = find(args, known)
    address = seen.advert.address
    if seen.sensor_id:
        raise ConfigError((f"sensor.{seen.sensor_id}", f"{address} is configured already"))
    key = _key(args, known, seen)
    sensor_id = _sensor_id(args, config, seen)
    zone_id = _zone_id(args, config)
    name = _name(args, sensor_id)
    if key and _wants_secret(args):
        key = _kept(config, sensor_id, key)
    keys = {"kind": seen.kind, "name": name, "address": address, "key": key}
    backup = adopt(args.config, sensor_id, {key: value for key, value in keys.items() if value}, zone_id)
    print(f"{args.config}: [sensor.{sensor_id}] added, in zone {zone_id}; the old file is {backup}")
    if not _restart(args):
        print(f"restart the gateway to use it: systemctl restart {SERVICE}")
    if args.walk_test is False or not (args.walk_test or yes(f"walk-test {sensor_id} now")):
        print(f"then test it: reed-gateway walk-test {zone_id}")
        return 0
    return _walk_test(args, sensor_id, zone_id)


def _key(args: argparse.Namespace, known: Known, seen: Seen) -> str:
    """Return the key, proven on the frame that was just heard; "" if it sends in the open."""
    can_have_key = any(field.name == "key" for field in dataclasses.fields(load(seen.kind).config))
    if not seen.encrypted:
        if args.key and not can_have_key:
            raise ConfigError(("--key", f"a {seen.kind} sensor has none"))
        if args.key:
            raise ConfigError(
                ("--key", "the sensor sends in the open: with a key nothing it says would count")
            )
        return ""

    def wrong(text: str) -> str:
        try:
            key = parse_key(text)
            reading = known.read(seen.advert, seen.kind, key)
        except ConfigError as error:
            return error.problems[0][1]
        except DecodeError as error:
            return str(error)
        return "" if reading.authentic else "this is not its key: the frame just heard does not open with it"

    if args.key is not None:
        if problem := wrong(args.key):
            raise DecodeError(f"--key: {problem}")
        return str(args.key)
    print(f"{seen.advert.address} sends encrypted")
    return ask("--key", "its key, 32 hexadecimal digits", wrong=wrong)


def _wants_secret(args: argparse.Namespace) -> bool:
    question = "keep its key as a secret, sealed by the TPM, and not in the configuration"
    return bool(args.secret) or (args.secret is None and yes(question))


def _kept(config: Config, sensor_id: str, key: str) -> str:
    """Keep the key as a secret, and return what speaks of it in the configuration. Raises IdentityError."""
    by = secret.keep(config, sensor_id, key)
    if by != "tpm":
        print(f"secret {sensor_id} is NOT sealed: this gateway has no TPM")
    return f"secret:{sensor_id}"


def _check_given(args: argparse.Namespace, config: Config) -> None:
    """Raise ConfigError for an option that no sensor can have, before anybody waits for one."""
    zones = config.site.zones
    if not zones:
        raise ConfigError(("zone", "there is none; a sensor outside of all zones raises no alarm"))
    problems = []
    if args.zone is not None and args.zone not in zones:
        problems.append(("--zone", f"there is no zone {args.zone}; there is: {', '.join(zones)}"))
    if args.id is not None and (problem := _wrong_id(config, args.id)):
        problems.append(("--id", problem))
    if args.name is not None and (problem := _wrong_name(args.name)):
        problems.append(("--name", problem))
    if problems:
        raise ConfigError(*problems)


def _wrong_id(config: Config, text: str) -> str:
    if not ID.fullmatch(text):
        return ID_RULE
    return f"there is a sensor {text} already" if text in config.sensors else ""


def _wrong_name(text: str) -> str:
    return "" if text.isprintable() else "has letters that cannot be shown"


def _sensor_id(args: argparse.Namespace, config: Config, seen: Seen) -> str:
    if args.id is not None:
        return str(args.id)
    default = f"{seen.kind}-{seen.advert.address.replace(':', '')[-4:].lower()}"
    return ask("--id", "its id in the configuration", default, lambda text: _wrong_id(config, text))


def _zone_id(args: argparse.Namespace, config: Config) -> str:
    if args.zone is not None:
        return str(args.zone)
    return choose("--zone", "which zone", list(config.site.zones))


def _name(args: argparse.Namespace, sensor_id: str) -> str:
    if args.name is not None:
        return str(args.name)
    try:
        return ask("--name", "its name for people", sensor_id, _wrong_name)
    except ConfigError:  # not worth failing for where nobody can be asked
        return ""


def _restart(args: argparse.Namespace) -> bool:
    if args.restart is False or not (
        args.restart or yes("restart the gateway now (valves stay as they are)")
    ):
        return False
    try:
        done = subprocess.run(  # noqa: S603
            ["systemctl", "restart", SERVICE],  # noqa: S607
            check=False,
            capture_output=True,
            text=True,
        )
    except OSError as error:
        raise DriverError(f"systemctl: {error.strerror}; restart the gateway by hand") from None
    if done.returncode:
        raise DriverError(f"systemctl restart {SERVICE}: {' '.join(done.stderr.split()) or 'failed'}")
    print("the gateway was restarted")
    return True


def _walk_test(args: argparse.Namespace, sensor_id: str, zone_id: str) -> int:
    _wait_for(args, sensor_id)
    cause = f"{sensor_id} adopted"
    with connect(args) as asking, connect(args) as listening:
        batches = reports(zone_id, listening)
        asking.call("WalkTest", zone=zone_id, on=True, cause=cause)
        told = f"{zone_id} is under test, no valve moves: make {sensor_id} wet, then dry; Ctrl-C ends it"
        print(told, flush=True)
        until_s = time.monotonic() + args.walk_for
        last = ""
        try:
            while last not in (_PASSED, "finished") and listening.ready(until_s - time.monotonic()):
                for report in next(batches):
                    last = _say(report, sensor_id) or last
        except KeyboardInterrupt:
            print()
        finally:
            if last != "finished":
                asking.call("WalkTest", zone=zone_id, on=False, cause=cause)
    print(f"{sensor_id} {'passed' if last == _PASSED else 'did NOT pass: not heard wet and dry'}")
    return int(last != _PASSED)


def _say(report: dict[str, Any], sensor_id: str) -> str:
    if report["step"] == "finished":
        return "finished"
    if report["sensor_id"] != sensor_id:
        return ""
    print(f"{sensor_id}: {report['step']}", flush=True)
    return str(report["step"])


def _wait_for(args: argparse.Namespace, sensor_id: str) -> None:
    """Wait until a gateway runs that knows the sensor. Raises ControlError."""
    print(f"waiting for a gateway that knows {sensor_id}", flush=True)
    until_s = time.monotonic() + _RESTARTED_WITHIN_S
    while True:
        try:
            if sensor_id in get_view(args)["sensors"]:
                return
            problem = ControlError("NotRestarted", f"it does not know {sensor_id} yet; restart it")
        except ControlError as error:
            problem = error
        if time.monotonic() >= until_s:
            raise problem
        time.sleep(0.5)
