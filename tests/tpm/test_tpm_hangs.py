"""A TPM that hangs stops the thread that needs it, and nothing else: not the interpreter, not its end."""

import hashlib
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from gateway.cli.demo.broker import Broker
from gateway.cli.demo.devca import DevCa
from gateway.errors import IdentityError, TpmError
from gateway.identity import tls
from gateway.identity.pair import Pair
from gateway.identity.tpm import provider
from tests.system.harness.swtpm import Swtpm
from tests.tpm.conftest import GATEWAY, Context, connected, left_in

TICK_S = 0.005
STANDSTILL_S = 0.5
"""Far more than a busy machine takes from a thread, far less than the TPM stays frozen."""


def longest_pause_s(work: Callable[[], object], until_s: float, freed: Callable[[], None]) -> float:
    """Run the work in a thread; return the longest time in which this one could do nothing.

    Args:
        work: What is to be done while the TPM is frozen.
        until_s: How long to look.
        freed: Ends the freeze, from a process of its own, half way.
    """
    freed()
    thread = Thread(target=lambda: _quietly(work), daemon=True)
    worst_s, last_s = 0.0, time.monotonic()
    end_s = last_s + until_s
    thread.start()
    while last_s < end_s:
        time.sleep(TICK_S)
        now_s = time.monotonic()
        worst_s, last_s = max(worst_s, now_s - last_s), now_s
    thread.join(10)
    assert not thread.is_alive()
    return worst_s


def _quietly(work: Callable[[], object]) -> None:
    with suppress(OSError, IdentityError):
        work()


def thaws(tpm: Swtpm, after_s: float = 1.5) -> Callable[[], None]:
    """Return what lets the TPM go on later, even if this interpreter stands still."""

    def begin() -> None:
        tpm.freeze()
        Thread(target=subprocess.run, args=(["sh", "-c", f"sleep {after_s}; kill -CONT {tpm._pid}"],)).start()
        time.sleep(0.05)

    return begin


def test_a_tpm_that_dies_in_the_middle_of_a_handshake_is_used_again(
    context: Context, pair: Pair, broker: Broker, tpm: Swtpm
):
    attempt = context(pair)
    tpm.freeze()
    thread = Thread(target=lambda: _quietly(lambda: connected(attempt, broker).close()), daemon=True)
    thread.start()
    time.sleep(0.3)
    assert thread.is_alive()
    tpm.kill()
    thread.join(10)
    assert not thread.is_alive()
    tls.release(attempt)
    tpm.start()
    again = context(pair)
    connected(again, broker).close()
    tls.release(again)


def test_while_the_tpm_hangs_only_the_thread_that_needs_it_stands_still(
    context: Context, pair: Pair, broker: Broker, tpm: Swtpm
):
    assert longest_pause_s(lambda: tls.release(context(pair)), 3, thaws(tpm)) < STANDSTILL_S
    attempt = context(pair)
    assert longest_pause_s(lambda: connected(attempt, broker).close(), 3, thaws(tpm)) < STANDSTILL_S
    assert longest_pause_s(lambda: tls.release(attempt), 3, thaws(tpm)) < STANDSTILL_S
    assert longest_pause_s(lambda: provider.reload(tpm.tcti), 3, thaws(tpm)) < STANDSTILL_S
    assert left_in(tpm) == []


def test_a_context_dropped_while_the_tpm_hangs_does_not_stop_the_interpreter(
    context: Context, pair: Pair, broker: Broker, tpm: Swtpm
):
    kept = [context(pair)]
    connection = connected(kept[0], broker)

    def drop() -> None:
        kept.clear()
        connection.close()

    assert longest_pause_s(drop, 3, thaws(tpm)) < STANDSTILL_S


def test_while_the_tpm_hangs_all_other_cryptography_goes_on(
    context: Context, pair: Pair, broker: Broker, ca: DevCa, tpm: Swtpm
):
    stuck = context(pair)
    tpm.freeze()
    thread = Thread(target=lambda: _quietly(lambda: connected(stuck, broker).close()), daemon=True)
    thread.start()
    time.sleep(0.2)
    begin_s = time.monotonic()
    hashlib.new("sha3_256", b"x").digest()
    ssl.RAND_bytes(8)
    in_file = Pair("", ca.cert_file(GATEWAY), ca.key_file(GATEWAY))
    connected(tls.client_context(ca.ca_file, in_file, tcti=tpm.tcti), broker).close()
    key = ec.generate_private_key(ec.SECP256R1())
    key.public_key().verify(key.sign(b"x", ec.ECDSA(hashes.SHA256())), b"x", ec.ECDSA(hashes.SHA256()))
    AESCCM(bytes(16), tag_length=4).encrypt(bytes(13), b"x", None)
    assert time.monotonic() - begin_s < 5
    assert thread.is_alive()
    tpm.thaw()
    thread.join(10)
    tls.release(stuck)


ENDING = """
import sys, threading, time
from pathlib import Path
from gateway.identity import tls
from gateway.identity.pair import Pair
ca, cert, key, tcti, what = sys.argv[1:]
kept = tls.client_context(Path(ca), Pair("a", Path(cert), Path(key)), tcti=tcti)
print("armed", flush=True)
sys.stdin.readline()
if what == "a thread hangs":
    threading.Thread(target=tls.release, args=(kept,), daemon=True).start()
    time.sleep(0.2)
"""


@pytest.mark.parametrize("what", ["a key is loaded", "a thread hangs"])
def test_a_process_ends_at_once_though_the_tpm_hangs(pair: Pair, ca: DevCa, tpm: Swtpm, what: str):
    words = [sys.executable, "-c", ENDING, ca.ca_file, pair.cert_file, pair.key_file, tpm.tcti, what]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdin
        assert process.stdout.readline() == "armed\n"
        tpm.freeze()
        process.stdin.write("\n")
        process.stdin.close()
        try:
            assert process.wait(5) == 0
        finally:
            tpm.kill()  # else it would wait for ever


def test_a_second_attempt_does_not_wait_for_one_that_hangs(context: Context, pair: Pair, tpm: Swtpm):
    provider.ensure(tpm.tcti)
    tpm.freeze()
    thread = Thread(target=lambda: _quietly(lambda: provider.reload(tpm.tcti)), daemon=True)
    thread.start()
    time.sleep(0.2)
    begin_s = time.monotonic()
    with pytest.raises(TpmError, match="an earlier attempt is still waiting"):
        provider.ensure(tpm.tcti)
    assert time.monotonic() - begin_s < 5
    tpm.thaw()
    thread.join(10)
    tls.release(context(pair))
