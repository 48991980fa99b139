"""Kills a filling and draining gateway at random points, and judges what came of its promises."""

import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

_MODULE = "tests.fakes.filler"
_ROOT = Path(__file__).parents[2]


class Said(NamedTuple):
    """One line of the gateway."""

    word: str
    epoch: int
    seq: int
    channel: int


@dataclass(slots=True)
class Verdict:
    """What `rounds` kills did.

    Args:
        promised: Messages that were called durable.
        received: Messages that reached the other end, each once.
        lost: Promised, never received.
        doubled: Received again (the cloud drops these by id).
        disordered: Received for the first time behind a younger one of the same channel.
    """

    rounds: int
    promised: int = 0
    received: int = 0
    lost: list[tuple[int, int, int]] = field(default_factory=list)
    doubled: int = 0
    disordered: int = 0


def kill_again_and_again(path: Path, rounds: int, seed: int) -> Verdict:
    """Run, kill, run, kill; at the end drain the rest."""
    rng = random.Random(seed)  # noqa: S311  repeatable, not secret
    said: list[Said] = []
    for number in range(rounds):
        said += _run(path, seed * 1_000 + number, rng.uniform(0.12, 0.4))
    said += _run(path, -1, None)
    return _judge(said, rounds)


def _run(path: Path, seed: int, kill_after_s: float | None) -> list[Said]:
    command = [sys.executable, "-m", _MODULE, str(path), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=_ROOT, text=True) as child:
        assert child.stdout
        if kill_after_s is None:
            lines = _until_quiet(child)
        else:
            timer_end_s = time.monotonic() + kill_after_s
            lines = []
            while time.monotonic() < timer_end_s and (line := child.stdout.readline()):
                lines.append(line)
            child.send_signal(signal.SIGKILL)
            lines += child.stdout.readlines()
    # A line cut off by the kill was not said.
    whole = [line.split() for line in lines if line.endswith("\n")]
    return [Said(word, int(epoch), int(seq), int(channel)) for word, epoch, seq, channel in whole]


def _until_quiet(child: subprocess.Popen[str]) -> list[str]:
    assert child.stdout
    timer = subprocess.Popen(["sleep", "2"])
    with timer:
        timer.wait()
    child.send_signal(signal.SIGKILL)
    return child.stdout.readlines()


def _judge(said: list[Said], rounds: int) -> Verdict:
    verdict = Verdict(rounds)
    promised = {line[1:] for line in said if line.word == "safe"}
    received: set[tuple[int, int, int]] = set()
    newest: dict[int, tuple[int, int]] = {}
    for line in (line for line in said if line.word == "sent"):
        if line[1:] in received:
            verdict.doubled += 1
            continue
        received.add(line[1:])
        verdict.disordered += (line.epoch, line.seq) < newest.get(line.channel, (0, 0))
        newest[line.channel] = max(newest.get(line.channel, (0, 0)), (line.epoch, line.seq))
    verdict.promised, verdict.received = len(promised), len(received)
    verdict.lost = sorted(promised - received)
    return verdict
