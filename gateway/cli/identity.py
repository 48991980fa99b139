"""`reed-gateway identity`: our keys and certificates, until when, and whether the cloud takes them."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gateway.cli.access import add_options, get_view, show_json
from gateway.cli.check_config import DEFAULT_PATH
from gateway.cli.renew import moment, next_step, refused_since
from gateway.cli.table import duration, table
from gateway.cli.wall_time import doubt, wall_clock
from gateway.config.model import Config
from gateway.errors import ControlError
from gateway.identity.pair import Pair
from gateway.identity.slots import NAMES, Slots
from gateway.identity.window import window

_IN_TPM = b"-----BEGIN TSS2 PRIVATE KEY-----"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "identity",
        help="our key and certificate",
        description="Show both slots for a key and its certificate, the next renewal and the last one. Exit "
        "status 1 if there is no pair that can be used.",
    )
    add_options(parser)
    parser.add_argument("--config", type=Path, default=DEFAULT_PATH, metavar="FILE")


def run(args: argparse.Namespace) -> int:
    """Print it; 1 without a valid pair."""
    from gateway.config.read import read  # noqa: PLC0415  # so that `--help` stays quick

    facts = gather(args, read(args.config))
    if args.json:
        show_json(facts)
    else:
        print("\n".join(lines(facts)))
    return int(not facts["usable"])


def gather(args: argparse.Namespace, config: Config) -> dict[str, Any]:
    """Return everything there is to show. Raises IdentityError if the folder cannot be read."""
    slots = Slots(config.gateway.identity_dir)
    current, cloud, attempt = slots.current(), slots.cloud, slots.attempt
    clock = wall_clock([current.cert_file] if current else [])
    why = doubt(clock, args, config.store.path)
    now_unix_s = None if why else clock.now_unix_s()
    link = _link(args)
    refused_unix_s = refused_since(link or {}, now_unix_s)
    shown = {name: _slot(slots, slots.pair(name), now_unix_s) for name in NAMES}
    return {
        "gateway": cloud.gateway if cloud else config.gateway.id,
        "est_url": cloud.est_url if cloud else None,
        "broker": {"host": cloud.host, "port": cloud.port} if cloud else None,
        "usable": current is not None and shown[current.slot]["validity"] != "expired",
        "slots": shown,
        "clock": {"trusted": not why, "detail": why},
        "next": asdict(next_step(slots, current, config.identity.renew_at, now_unix_s, refused_unix_s))
        if current
        else None,
        "last": asdict(attempt) if attempt else None,
        "link": link,
    }


def _slot(slots: Slots, pair: Pair, now_unix_s: float | None) -> dict[str, Any]:
    cert, key = slots.read(pair.cert_file), slots.read(pair.key_file)
    valid = window(cert)
    return {
        "state": _state(slots, pair, complete=bool(cert and key)),
        "key": ("tpm" if _IN_TPM in key else "software") if key else None,
        "begin_unix_s": valid.begin_unix_s if valid else None,
        "end_unix_s": valid.end_unix_s if valid else None,
        "validity": "unknown" if valid is None else _validity(valid.end_unix_s, now_unix_s),
    }


def _state(slots: Slots, pair: Pair, *, complete: bool) -> str:
    if pair == slots.current():
        return "current"
    if pair == slots.trial():
        return "trial"
    return "spare" if complete else "empty"


def _validity(end_unix_s: float, now_unix_s: float | None) -> str:
    """Nothing is called expired by a clock that may be wrong."""
    if now_unix_s is None:
        return "unknown"
    return "expired" if now_unix_s >= end_unix_s else "valid"


def _link(args: argparse.Namespace) -> dict[str, Any] | None:
    """Return what the running gateway says of its link; None if it does not run."""
    try:
        link: dict[str, Any] = get_view(args)["link"]
    except ControlError:
        return None
    return link


def lines(facts: dict[str, Any]) -> list[str]:
    """Return the facts for people."""
    head = f"{facts['gateway']}: not enrolled"
    if facts["broker"]:
        broker = f"{facts['broker']['host']}:{facts['broker']['port']}"
        head = f"{facts['gateway']}: enrolled at {facts['est_url']}, broker {broker}"
    rows = [[name, *_cells(slot)] for name, slot in facts["slots"].items()]
    shown = [head, "", table(["SLOT", "STATE", "KEY", "FROM", "UNTIL", "VALIDITY"], rows), ""]
    if not facts["clock"]["trusted"]:
        shown.append(f"clock: {facts['clock']['detail']}; nothing is renewed or called expired")
    if facts["next"] and facts["next"]["at_unix_s"] is not None:
        shown.append(f"next renewal: {_next(facts['next'])}")
    if last := facts["last"]:
        detail = f": {last['detail']}" if last["detail"] else ""
        shown.append(f"last renewal: {moment(last['at_unix_s'])}, {last['outcome']}{detail}")
    return [*shown, f"link: {_link_line(facts['link'])}"]


def _cells(slot: dict[str, Any]) -> list[str]:
    key = {"tpm": "in the TPM", "software": "in a file", None: "-"}[slot["key"]]
    times = [slot[name] for name in ("begin_unix_s", "end_unix_s")]
    return [slot["state"], key, *("-" if at is None else moment(at) for at in times), slot["validity"]]


def _next(planned: dict[str, Any]) -> str:
    if planned["action"] == "wait":
        return f"not before {moment(planned['at_unix_s'])}"
    return "due now" if planned["action"] == "renew" else "due now, by proof of possession"


def _link_line(link: dict[str, Any] | None) -> str:
    if link is None:
        return "the gateway does not run"
    if link.get("denied"):
        return f"DENIED by the cloud ({link['denied']}) for {duration(link.get('since_s'))}"
    detail = f": {link['detail']}" if link.get("detail") else ""
    return f"{link.get('state', '?')} for {duration(link.get('since_s'))}{detail}"
