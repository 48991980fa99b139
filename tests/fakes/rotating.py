"""Renews in processes that go wrong at a chosen step: `python -m tests.fakes.rotating`.

Reads one JSON object per line ({script, given, folder, fault, at, out}); forks for each, since what has been
imported need not be imported again for hundreds of deaths; answers with one line when the child has ended.
"""

import gc
import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.errors import GatewayError
from gateway.identity import enrol, issued, rotation, software, tls  # noqa: F401  # before the fork
from gateway.identity.config import Config
from gateway.identity.order import Order
from gateway.identity.slots import Slots
from gateway.identity.token import parse
from tests.fakes import faults, power

CONFIG = Config(key="software", allow_software_key=True)

_ROOT = Path(__file__).parents[2]


def renew(folder: Path) -> None:
    rotation.renew(Slots(folder), CONFIG, time.time())


def promote(folder: Path) -> None:
    slots = Slots(folder)
    trial = slots.trial()
    if trial is not None:
        slots.promote(trial)


def reject(folder: Path) -> None:
    slots = Slots(folder)
    trial = slots.trial()
    if trial is not None:
        slots.reject(trial, "the broker says: not authorised")


def rotate(folder: Path) -> None:
    renew(folder)
    promote(folder)


def begin(folder: Path, url: str, token: str) -> None:
    """Enrol for the first time."""
    order = Order(url=url, token=parse(token), now_unix_s=time.time())
    enrol.enrol(order, Slots(folder), CONFIG, lambda *_: None)


SCRIPTS: dict[str, Callable[..., None]] = {
    script.__name__: script for script in (renew, promote, reject, rotate, begin)
}


@dataclass(frozen=True)
class End:
    """How a child ended.

    Args:
        status: 0, an exit status, or a negative signal.
        steps: What it changed, until it could not say any more.
        error: The GatewayError that left it, if any.
    """

    status: int
    steps: list[str]
    error: str


class Stage:
    """Runs scripts in children that may be killed."""

    def __init__(self, process: subprocess.Popen[str], out: Path) -> None:
        self._process, self._out = process, out

    def run(self, script: str, folder: Path, fault: str = "none", at: int = -1, **given: str) -> End:
        """Run a script to its end, or to where the fault ends it."""
        order = {"script": script, "folder": str(folder), "fault": fault, "at": at}
        order |= {"out": str(self._out), "given": given}
        assert self._process.stdin
        assert self._process.stdout
        self._out.unlink(missing_ok=True)
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        told = pickle.loads(self._out.read_bytes()) if self._out.exists() else {}  # noqa: S301  # our own
        return End(status, told.get("steps", []), told.get("error", ""))

    def warm_up(self, script: str, folder: Path, **given: str) -> None:
        """Run a script in the process that forks: what it loads for the first time every child has then."""
        end = self.run(script, folder, "warm", **given)
        assert (end.status, end.error) == (0, "")

    def pictures(self, script: str, folder: Path, **given: str) -> list[power.Picture]:
        """Run a script and return the disk before each of its steps, and at its end."""
        end = self.run(script, folder, "trace", **given)
        assert (end.status, end.error) == (0, "")
        pictures: list[power.Picture] = pickle.loads(self._out.read_bytes())["pictures"]  # noqa: S301
        return pictures


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Start the process that forks."""
    command = [sys.executable, "-m", "tests.fakes.rotating"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=_ROOT) as process:
        try:
            yield Stage(process, folder / "told")
        finally:
            assert process.stdin
            process.stdin.close()
            process.wait(20)


def _child(order: dict[str, Any]) -> int:
    folder, out = Path(order["folder"]), Path(order["out"])
    told: dict[str, object] = {"error": ""}
    told["steps"] = _prepared(order["fault"], folder, order["at"], told)
    try:
        SCRIPTS[order["script"]](folder, **order["given"])
    except GatewayError as error:
        told["error"] = str(error)
    if "disk" in told:
        told["pictures"] = [*told["pictures"], told.pop("disk").picture()]  # type: ignore[misc, attr-defined]
    out.write_bytes(pickle.dumps(told))
    return 0


def _prepared(fault: str, folder: Path, at: int, told: dict[str, object]) -> list[str]:
    if fault == "none":
        return []
    if fault != "trace":
        return faults.watch(folder, getattr(faults, fault)(at))
    disk, pictures = power.Disk(folder), []
    real = os.fsync

    def synchronise(file: int) -> None:
        real(file)
        disk.synced(file)

    os.fsync = synchronise  # type: ignore[assignment]
    told["disk"], told["pictures"] = disk, pictures
    return faults.watch(folder, lambda *_: pictures.append(disk.picture()))


def _warm_up(order: dict[str, Any]) -> None:
    SCRIPTS[order["script"]](Path(order["folder"]), **order["given"])
    while threading.active_count() > 1:  # who forks must be alone
        time.sleep(0.001)
    gc.collect()
    gc.freeze()  # else every child copies what it only counts
    sys.stdout.write("0\n")
    sys.stdout.flush()


def _serve() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        if order["fault"] == "warm":
            _warm_up(order)
            continue
        child = os.fork()
        if child == 0:
            status = 70
            try:
                status = _child(order)
            finally:
                os._exit(status)
        _, how = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(how)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
