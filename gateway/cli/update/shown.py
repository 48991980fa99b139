"""How far an update has come, as people read it."""

import argparse
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from gateway.app.update_guard import as_json
from gateway.cli.access import get_view
from gateway.config.model import Config
from gateway.domain.update.model import State
from gateway.errors import StoreError
from gateway.update.record import PROGRESS, Record

NOTHING = "no update was ever asked for"

_WORDS = {
    State.OFFERED: "is offered",
    State.ACCEPTED: "is accepted",
    State.DOWNLOADING: "is downloaded",
    State.INSTALLING: "is installed",
    State.REBOOTING: "restarts the machine",
    State.VERIFYING: "is on trial",
    State.ROLLING_BACK: "is taken back",
    State.SUCCEEDED: "is installed and good",
    State.FAILED: "failed",
    State.REJECTED: "was rejected",
    State.CANCELLED: "was cancelled",
    State.ROLLED_BACK: "was taken back",
}
_WAITS = {
    "download": "waits to be downloaded",
    "install": "waits to be installed",
    "reboot": "waits to restart the machine",
}


def present(args: argparse.Namespace, config: Config) -> Mapping[str, Any] | None:
    """Return the update as ReportUpdate has it: from the runner's record, or from who may read it.

    Raises:
        ControlError: We may not read the record, and the gateway does not answer.
    """
    record = Record(config.gateway.update_dir)
    try:
        saved = record.load()
    except StoreError:
        told: Mapping[str, Any] = get_view(args).get("update") or {}
        return told if told.get("update_id") else None
    if saved is None:
        return None
    shown = as_json(saved.update)
    if saved.update.state in (State.DOWNLOADING, State.INSTALLING):
        with suppress(OSError, ValueError):
            shown["percent"] = int((record.folder / PROGRESS).read_text())
    return shown


def is_over(update: Mapping[str, Any]) -> bool:
    """Return whether nothing more happens."""
    return State(update["state"]).final


def name(update: Mapping[str, Any]) -> str:
    """Return what it is, e.g. "app 1.4.0"."""
    return f"{update['kind']} {update['version']}"


def phase(update: Mapping[str, Any]) -> str:
    """Return how far it has come, e.g. "waits to be installed"."""
    state = State(update["state"])
    return _WAITS.get(str(update["waits_for"]), "waits") if state is State.WAITING else _WORDS[state]


def line(update: Mapping[str, Any]) -> str:
    """Return all of it in one line."""
    percent = int(update.get("percent") or 0)
    moving = State(update["state"]) in (State.DOWNLOADING, State.INSTALLING)
    so_far = f" ({percent} %)" if moving else ""
    why = ": ".join(str(update[key]) for key in ("code", "detail") if update.get(key))
    return f"{name(update)} {phase(update)}{so_far}" + (f": {why}" if why else "")
