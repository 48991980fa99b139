"""Memory of what people use instead, and ours, under systemd of a booted Debian 13, one after the other.

python -m benchmarks.peers      as root; the first time with a network (about 10 minutes; later 8)

Each runs alone beside the broker, so PSS, which splits shared pages, charges it for all that it brings.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.peer_programs import INSIDE, TREE, installed
from benchmarks.peer_units import AROUND, GATEWAY_ID, PKI, PROGRAMS, USER, Program
from benchmarks.report import Row, show
from gateway.cli.demo import devca
from tests.system.harness.boot import Booted
from tests.system.harness.package import build_once
from tests.system.harness.site import Site

STARTS = 3
SETTLE_S = 20.0
IDLE_S = 40.0
_CONNECT_S = 60.0
_TICKS_PER_S = 100
_PEERS = ("mqtt-io", "Theengs Gateway", "Node-RED")


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one program: all processes of its unit."""

    rss_mib: float
    pss_mib: float
    cpu_ms_per_min: float
    wakeups_per_s: float
    connected_s: float


def measure() -> list[Row]:
    """Return what each needs, and how boot to READY is made up."""
    with tempfile.TemporaryDirectory(prefix="reed-bench-") as name, _machine(Path(name)) as machine:
        share = _boot_share(machine)
        found = {program.name: _figures(machine, program) for program in PROGRAMS}
    rows = [_row(program, found[program.name]) for program in PROGRAMS]
    ours = found[PROGRAMS[0].name]
    rows += [Row(f"PSS, {name} / reed-gateway", found[name].pss_mib / ours.pss_mib, "x") for name in _PEERS]
    return [*rows, share]


@contextmanager
def _machine(folder: Path) -> Iterator[Booted]:
    """Boot a machine in which everything is installed and only the broker and the surroundings run."""
    peers, package = installed(), build_once(folder / "packages").gateway
    ca = devca.ensure(folder / "ca", GATEWAY_ID, ("localhost",))
    with Booted(folder / "machine", TREE) as machine:
        machine.run("systemctl", "mask", "--now", "mosquitto", "man-db.timer", "apt-daily.timer", check=False)
        machine.install(package)
        shutil.copytree(peers, machine.path(INSIDE), symlinks=True)
        for path, text in {**AROUND, **PROGRAMS[0].files}.items():
            _write(machine, path, text)
        for name, source in {
            "ca.pem": ca.ca_file,
            "broker.pem": ca.cert_file("broker"),
            "broker.key": ca.key_file("broker"),
            "client.pem": ca.cert_file(GATEWAY_ID),
            "client.key": ca.key_file(GATEWAY_ID),
            "command.pem": ca.command_key_file,
        }.items():
            owner, mode = "mosquitto" if name == "broker.key" else USER, 0o600 if "key" in name else 0o644
            machine.write(f"{PKI}/{name}", source.read_text(), owner=owner, mode=mode)
        Site(machine).build()
        machine.run("systemctl", "daemon-reload")
        yield machine


def _write(machine: Booted, path: str, text: str) -> None:
    owner = "root:reed" if path.startswith("/etc/reed/") else f"{USER}:reed"
    machine.write(path, text, owner="root:root" if path.startswith("/etc/systemd/") else owner)


def _boot_share(machine: Booted) -> Row:
    """Boot once more with the gateway enabled, and say what its start is of the whole."""
    machine.run("systemctl", "enable", "reed-gateway")
    machine.power_off()
    machine.boot()

    def moment_s(name: str, *unit: str) -> float:
        return int(machine.ask("systemctl", "show", "--value", f"--property={name}", *unit)) / 1e6

    _until(lambda: machine.shows("reed-gateway", "ActiveState") == "active", "the gateway after a boot")
    booted_s = moment_s("UserspaceTimestampMonotonic")
    ready_s = moment_s("ActiveEnterTimestampMonotonic", "reed-gateway") - booted_s
    begun_s = moment_s("ExecMainStartTimestampMonotonic", "reed-gateway") - booted_s
    machine.run("systemctl", "stop", "reed-gateway")
    detail = f"{ready_s - begun_s:.2f} of {ready_s:.2f} s from the start of userspace"
    return Row("boot to READY, share of the daemon", 100 * (ready_s - begun_s) / ready_s, "%", detail=detail)


def _figures(machine: Booted, program: Program) -> Figures:
    for path, text in program.files.items():
        _write(machine, path, text)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", "peer-bluetooth")
    starts_s = [_connected_s(machine, program.unit) for _ in range(STARTS)]
    time.sleep(SETTLE_S)
    pids = _pids(machine, program.unit)
    cpu_s, switches = _used(pids)
    time.sleep(IDLE_S)
    cpu_later_s, switches_later = _used(pids)
    assert pids == _pids(machine, program.unit), f"{program.name} did not stay as it was"
    rss_mib, pss_mib = (_memory_mib(pids, name) for name in ("Rss", "Pss"))
    machine.run("systemctl", "stop", program.unit)
    return Figures(
        rss_mib,
        pss_mib,
        (cpu_later_s - cpu_s) * 1e3 * 60 / IDLE_S,
        (switches_later - switches) / IDLE_S,
        median(starts_s),
    )


def _connected_s(machine: Booted, unit: str) -> float:
    """Start it anew; return how long it took until the broker accepted it."""
    machine.run("systemctl", "stop", unit)
    machine.run("systemctl", "restart", "peer-broker")
    machine.run("systemctl", "start", unit)
    begun_s = int(machine.shows(unit, "ExecMainStartTimestampMonotonic")) / 1e6
    seen: list[float] = []

    def connected() -> bool:
        lines = machine.ask("journalctl", "--boot", "--quiet", "--output=json", "--unit=peer-broker")
        for line in map(json.loads, lines.splitlines()):
            at_s = int(line["__MONOTONIC_TIMESTAMP"]) / 1e6
            if at_s > begun_s and "New client connected" in str(line["MESSAGE"]):
                seen.append(at_s)
        return bool(seen)

    _until(connected, f"{unit} at the broker")
    return min(seen) - begun_s


def _pids(machine: Booted, unit: str) -> list[int]:
    """Return its processes as this host numbers them."""
    group = machine.path(f"/sys/fs/cgroup/system.slice/{unit}.service/cgroup.procs")
    return sorted(map(int, group.read_text().split()))


def _memory_mib(pids: list[int], name: str) -> float:
    total_kib = 0
    for pid in pids:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total_kib += next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
    return total_kib / 1024


def _used(pids: list[int]) -> tuple[float, int]:
    """Return CPU seconds and voluntary switches of all threads."""
    ticks = switches = 0
    for task in (task for pid in pids for task in Path(f"/proc/{pid}/task").iterdir()):
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
        lines = (task / "status").read_text().splitlines()
        switches += next(int(line.split()[1]) for line in lines if line.startswith("voluntary"))
    return ticks / _TICKS_PER_S, switches


def _until(holds: Callable[[], bool], wish: str) -> None:
    deadline_s = time.monotonic() + _CONNECT_S
    while not holds():
        assert time.monotonic() < deadline_s, f"waited {_CONNECT_S:g} s for {wish}"
        time.sleep(0.2)


def _row(program: Program, figures: Figures) -> Row:
    detail = (
        f"PSS {figures.pss_mib:.1f} MiB, {figures.cpu_ms_per_min:.0f} ms CPU/min, "
        f"{figures.wakeups_per_s:.1f} wake-ups/s, connected after {figures.connected_s:.2f} s; {program.does}"
    )
    return Row(f"RSS, {program.name}", figures.rss_mib, "MiB", detail=detail)


if __name__ == "__main__":
    show(measure())
