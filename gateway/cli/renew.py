"""`reed-gateway renew`: a new key and certificate, which the running gateway tries before the old go."""

import argparse
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gateway.app.clock import WallClock
from gateway.cli.access import STORED, add_options, connect, get_view, show_json
from gateway.cli.check_config import DEFAULT_PATH
from gateway.cli.table import duration, seconds
from gateway.cli.wall_time import doubt, wall_clock
from gateway.config.model import Config
from gateway.control.client import INTERFACE, NOT_REACHED
from gateway.errors import ControlError
from gateway.identity.due import Action, Due, due
from gateway.identity.pair import Pair
from gateway.identity.slots import Slots
from gateway.identity.window import chance, window

NOT_ENROLLED = "not enrolled: there is nothing to renew"

_REJECTED = 1
_LOOK_EVERY_S = 0.2
_WAIT_S = 120.0
"""The session ends in peace, the next one begins, and the cloud confirms it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it.

    Args:
        state: "none" (nothing was done), "staged" (to be tried), "promoted" (in use), "rejected".
        line: For people.
        status: The exit status.
    """

    state: str
    line: str
    status: int = 0


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "renew",
        help="renew key and certificate",
        description="Make a new key, have it certified, and let the running gateway try it. The pair in use "
        "stays until the new one has worked. Exit status 75 if the new one waits to be tried, 1 if it was "
        "refused.",
    )
    add_options(parser)
    parser.add_argument("--config", type=Path, default=DEFAULT_PATH, metavar="FILE")
    parser.add_argument("--if-due", action="store_true", help="do nothing unless it is time (for a timer)")
    parser.add_argument(
        "--wait",
        type=seconds,
        default=_WAIT_S,
        metavar="TIME",
        help=f"wait this long for the gateway's verdict (default: {_WAIT_S:g}s)",
    )


def run(args: argparse.Namespace) -> int:
    """Renew, say what came of it in one line, and return the exit status."""
    from gateway.config.read import read  # noqa: PLC0415  # so that `--help` stays quick

    outcome = _renew(args, read(args.config))
    if args.json:
        show_json(asdict(outcome))
    else:
        print(outcome.line)
    return outcome.status


def _renew(args: argparse.Namespace, config: Config) -> Outcome:
    slots = Slots(config.gateway.identity_dir)
    current = slots.current()
    if current is None and args.if_due:
        return Outcome("none", NOT_ENROLLED)
    clock = wall_clock([current.cert_file] if current else [])
    if args.if_due and current and (wait := _not_yet(slots, current, config, clock, args)) is not None:
        return wait
    if why := doubt(clock, args, config.store.path):
        return Outcome("none", f"nothing is renewed now: {why}", 0 if args.if_due else STORED)

    from gateway.identity import rotation  # noqa: PLC0415  # cryptography: only if there is work

    pair = rotation.renew(slots, config.identity, clock.now_unix_s())
    return _await_verdict(slots, pair, args)


def _not_yet(
    slots: Slots, current: Pair, config: Config, clock: WallClock, args: argparse.Namespace
) -> Outcome | None:
    """Return why nothing is to be done now, or None. Quick: a timer asks every hour of the year."""
    now_unix_s = clock.trusted_unix_s()
    refused_unix_s = refused_since(_link(args), now_unix_s)
    planned = next_step(slots, current, config.identity.renew_at, now_unix_s, refused_unix_s)
    if planned.action is not Action.WAIT:
        return None
    if planned.at_unix_s is None:
        return Outcome("none", "nothing is renewed now: the clock is wrong; see: timedatectl")
    return Outcome("none", f"not due before {moment(planned.at_unix_s)}")


def _link(args: argparse.Namespace) -> Mapping[str, Any]:
    """Return what the running gateway says of its link; nothing if it does not run."""
    try:
        link: Mapping[str, Any] = get_view(args)["link"]
    except ControlError:
        return {}
    return link


def refused_since(link: Mapping[str, Any], now_unix_s: float | None) -> float | None:
    """Return since when the broker turns the gateway away for who it is, Unix seconds; None: it does not."""
    if now_unix_s is None or not link.get("denied"):
        return None
    return now_unix_s - float(link.get("since_s") or 0.0)


def next_step(
    slots: Slots,
    current: Pair,
    renew_at: float,
    now_unix_s: float | None,
    refused_unix_s: float | None = None,
) -> Due:
    """Return what is to be done about the pair in use, and when.

    Raises IdentityError if it cannot be read. A certificate that makes no sense is to be renewed at once.
    """
    pem = slots.read(current.cert_file)
    valid = window(pem)
    if valid is None:
        return Due(Action.WAIT if now_unix_s is None else Action.RENEW, now_unix_s)
    attempt = slots.attempt
    last_unix_s = attempt.at_unix_s if attempt is not None else None
    return due(
        valid,
        now_unix_s,
        renew_at=renew_at,
        chance=chance(pem),
        last_unix_s=last_unix_s,
        refused_unix_s=refused_unix_s,
    )


def _await_verdict(slots: Slots, pair: Pair, args: argparse.Namespace) -> Outcome:
    """Tell the gateway, and wait until it has tried the pair; nobody waits for one that does not run."""
    nobody = _tell(args)
    deadline_s = time.monotonic() + (0.0 if nobody else args.wait)
    while (outcome := _verdict(slots, pair)) is None and time.monotonic() < deadline_s:
        time.sleep(_LOOK_EVERY_S)
    if outcome is not None:
        return outcome
    why = nobody or f"not tried within {duration(args.wait)}; the gateway goes on trying"
    return Outcome("staged", f"slot {pair.slot} is ready and waits to be tried: {why}", STORED)


def _tell(args: argparse.Namespace) -> str:
    """Ask the gateway to try what is new; return why nobody will for now, or "": it also looks by itself."""
    try:
        with connect(args) as client:
            client.call("UseIdentity")
    except ControlError as error:
        if error.name == NOT_REACHED:
            return "the gateway does not run now; it tries it when it starts"
        if error.name == f"{INTERFACE}.NoCloud":
            return str(error)
    return ""


def _verdict(slots: Slots, pair: Pair) -> Outcome | None:
    """Return what the gateway decided, if it has: `trial` is the last thing that it takes away."""
    if slots.trial() is not None:
        return None
    current, attempt = slots.current(), slots.attempt
    if current is not None and current.slot == pair.slot:
        valid = window(slots.read(pair.cert_file))
        until = f", valid until {moment(valid.end_unix_s)}" if valid else ""
        return Outcome("promoted", f"slot {pair.slot} is in use{until}")
    why = attempt.detail if attempt is not None and attempt.slot == pair.slot else ""
    kept = f"slot {current.slot} stays in use" if current is not None else "nothing is in use"
    line = f"slot {pair.slot} was refused ({why or 'no reason given'}); {kept}"
    return Outcome("rejected", line, _REJECTED)


def moment(unix_s: float) -> str:
    """Return a moment as people write it."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(unix_s))
