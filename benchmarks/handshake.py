"""A TLS session with a key in the TPM against one with a key in a file, in a Debian 13 machine.

python -m benchmarks.handshake

The TPM is one of software (swtpm): what is measured is the way to it. A chip adds its time for a signature.
"""

import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.report import Row, at_most, show
from gateway.cli.demo import devca
from gateway.cli.demo.broker import Broker
from gateway.identity import tls
from gateway.identity.config import Config
from gateway.identity.keys import open_keys
from gateway.identity.pair import Pair
from tests.fakes.certified import certified
from tests.system.harness.machine import SOURCE, Machine
from tests.system.harness.swtpm import Maker
from tests.system.harness.tree import why_not

GATEWAY_ID = "bench-gateway"
ROUNDS = 200
TASKS = 7
_HELLO = b"\x10\x1a\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x0dbench-gateway"
_CONNACK = b"\x20"

Figures = dict[str, float]


def measure() -> Iterator[Row]:
    """Yield the rows; one that says why, where there can be no Debian 13 machine."""
    if reason := why_not():
        yield Row(f"handshake: not measured, {reason}", 0, "")
        return
    with tempfile.TemporaryDirectory(prefix="reed-bench-") as folder, Machine(Path(folder)) as machine:
        words = ("sh", "-c", f"cd {SOURCE} && exec python3 -m benchmarks.handshake inside")
        seen: Figures = json.loads(machine.run(*words, timeout_s=300).stdout)
    handshake = f"{seen['tpm']:.2f} / {seen['file']:.2f} ms"
    yield at_most(
        "TLS 1.3 handshake to CONNACK, TPM / file",
        seen["tpm"] / seen["file"],
        2,
        detail=f"{handshake}, p95 {seen['tpm p95']:.2f} / {seen['file p95']:.2f} ms",
    )
    yield Row(
        "whole attempt with its own context, TPM / file",
        seen["attempt tpm"] / seen["attempt file"],
        "x",
        detail=f"{seen['attempt tpm']:.2f} / {seen['attempt file']:.2f} ms",
    )
    extra_mib = seen["memory tpm"] - seen["memory file"]
    yield Row("private memory of the provider, in the daemon", extra_mib, "MiB")
    yield Row(
        "a signature in a child process of its own", seen["task"], "ms", detail="tpm2-pytss, mostly its start"
    )


def _inside() -> Figures:
    with tempfile.TemporaryDirectory() as name, Maker(Path(name) / "maker").make("a") as tpm:
        folder = Path(name)
        ca = devca.ensure(folder / "ca", GATEWAY_ID)
        keys = open_keys(Config(tcti=tpm.tcti))
        keys.create(folder / "key.pem")
        pairs = {
            "tpm": certified(folder / "key.pem", keys, ca, GATEWAY_ID),
            "file": Pair("", ca.cert_file(GATEWAY_ID), ca.key_file(GATEWAY_ID)),
        }
        with Broker(ca, folder / "broker", extra="tls_version tlsv1.3") as broker:
            seen = _interleaved(ca.ca_file, pairs, tpm.tcti, broker.port)
            for kind, pair in pairs.items():
                seen[f"memory {kind}"] = _memory_mib(ca.ca_file, pair, tpm.tcti, broker.port)
        tasks_ms = [_timed_ms(lambda: keys.sign(folder / "key.pem", b"x")) for _ in range(TASKS)]
    return seen | {"task": statistics.median(tasks_ms)}


def _interleaved(ca_file: Path, pairs: dict[str, Pair], tcti: str, port: int) -> Figures:
    taken: dict[str, list[tuple[float, float]]] = {kind: [] for kind in pairs}
    for _ in range(ROUNDS):
        for kind, pair in pairs.items():
            taken[kind].append(_attempt_ms(ca_file, pair, tcti, port))
    figures: Figures = {}
    for kind, times in taken.items():
        handshakes = sorted(handshake for handshake, _ in times)
        figures[kind] = statistics.median(handshakes)
        figures[f"{kind} p95"] = handshakes[len(handshakes) * 95 // 100]
        figures[f"attempt {kind}"] = statistics.median(whole for _, whole in times)
    return figures


def _attempt_ms(ca_file: Path, pair: Pair, tcti: str, port: int) -> tuple[float, float]:
    """Return how long the handshake took, with the broker's word that it is content; and all of it."""
    begin_s = time.perf_counter()
    context = tls.client_context(ca_file, pair, tcti=tcti)
    raw = socket.create_connection(("127.0.0.1", port))
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected_s = time.perf_counter()
    with context.wrap_socket(raw, server_hostname="localhost") as session:
        session.sendall(_HELLO)
        assert session.recv(1) == _CONNACK
        answered_s = time.perf_counter()
        tls.release(context)
        released_s = time.perf_counter()
    return 1e3 * (answered_s - connected_s), 1e3 * (released_s - begin_s)


def _timed_ms(work: Callable[[], object]) -> float:
    begin_s = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - begin_s)


def _memory_mib(ca_file: Path, pair: Pair, tcti: str, port: int) -> float:
    """Return what a process takes that has done one handshake and holds its session."""
    words = ["memory", str(ca_file), str(pair.cert_file), str(pair.key_file), tcti, str(port)]
    said = subprocess.run(
        [sys.executable, "-m", "benchmarks.handshake", *words], capture_output=True, text=True, check=True
    )
    return float(said.stdout)


def _memory(ca_file: str, cert_file: str, key_file: str, tcti: str, port: str) -> float:
    pair = Pair("", Path(cert_file), Path(key_file))
    context = tls.client_context(Path(ca_file), pair, tcti=tcti)
    with context.wrap_socket(
        socket.create_connection(("127.0.0.1", int(port))), server_hostname="localhost"
    ) as session:
        session.sendall(_HELLO)
        assert session.recv(1) == _CONNACK
        tls.release(context)
        lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def main() -> int:
    """Print the rows; or, inside the machine, the figures."""
    match sys.argv[1:]:
        case ["inside"]:
            print(json.dumps(_inside()))
        case ["memory", *words]:
            print(_memory(*words))
        case _:
            show(measure())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
