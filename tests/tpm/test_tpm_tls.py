"""TLS with a key in the TPM, against a real mosquitto. What a TPM that hangs may not do: test_tpm_hangs."""

import socket
import ssl
import time
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.cli.demo.broker import Broker
from gateway.cli.demo.devca import DevCa
from gateway.errors import IdentityError, TpmError
from gateway.identity import tls
from gateway.identity.keys import Keys
from gateway.identity.pair import Pair
from gateway.identity.tpm import armed, provider
from tests.fakes.certified import certified
from tests.system.harness.swtpm import Swtpm
from tests.tpm.conftest import CONNECT, CONNECTED, GATEWAY, Context, connected, left_in


def test_twenty_sessions_with_a_new_context_each_leave_nothing_in_the_tpm(
    context: Context, pair: Pair, broker: Broker, tpm: Swtpm
):
    for _ in range(20):
        attempt = context(pair)
        with connected(attempt, broker) as session:
            assert session.version() == "TLSv1.3"
            tls.release(attempt)
            assert left_in(tpm) == []  # while the session lives
    assert armed._armed == []


def test_a_session_outlives_the_release_of_its_key_and_even_the_tpm(
    context: Context, pair: Pair, broker: Broker, tpm: Swtpm
):
    attempt = context(pair)
    with connected(attempt, broker) as session:
        tls.release(attempt)
        tpm.freeze()
        session.sendall(b"\xc0\x00")  # PINGREQ
        seen = b""
        while not seen.endswith(b"\xd0\x00"):
            seen += session.recv(100)


def test_a_forgotten_context_is_released_before_the_tpm_is_full(
    context: Context, pair: Pair, broker: Broker, tpm: Swtpm
):
    for _ in range(6):
        connected(context(pair), broker).close()
    assert len(armed._armed) == 2
    for forgotten in list(armed._armed):
        tls.release(forgotten)
    assert left_in(tpm) == []


def test_a_released_context_offers_no_certificate(context: Context, pair: Pair, broker: Broker):
    attempt = context(pair)
    tls.release(attempt)
    tls.release(attempt)  # once more does nothing
    with pytest.raises(OSError, match=r"certificate|CERTIFICATE|CONNACK|reset"):
        connected(attempt, broker)


def test_one_context_serves_several_connections_until_it_is_released(
    context: Context, pair: Pair, broker: Broker
):
    attempt = context(pair)
    for _ in range(3):
        connected(attempt, broker).close()
    tls.release(attempt)


def test_a_non_blocking_handshake_succeeds_too(context: Context, pair: Pair, broker: Broker):
    attempt = context(pair)
    raw = socket.create_connection(("127.0.0.1", broker.port))
    raw.setblocking(False)
    session = attempt.wrap_socket(raw, server_hostname="localhost", do_handshake_on_connect=False)
    for _ in range(1000):
        with suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            session.do_handshake()
            break
        time.sleep(0.005)
    session.setblocking(True)
    session.sendall(CONNECT)
    assert session.recv(1) == CONNECTED
    session.close()
    tls.release(attempt)


def test_a_tpm_that_was_gone_is_used_again_when_it_is_back(
    context: Context, pair: Pair, broker: Broker, tpm: Swtpm
):
    first = context(pair)
    tpm.kill()
    with pytest.raises(TpmError, match="failed in the middle of a handshake"):
        connected(first, broker)
    tls.release(first)
    with pytest.raises(TpmError, match="cannot be reached"):
        context(pair)
    tpm.start()
    again = context(pair)
    connected(again, broker).close()
    tls.release(again)


def test_a_tpm_that_fails_all_the_time_does_not_eat_the_gateway(
    context: Context, pair: Pair, tpm: Swtpm, monkeypatch: pytest.MonkeyPatch
):
    provider.ensure(tpm.tcti)
    monkeypatch.setattr(provider, "_FREE_RELOADS", provider._state.instances)
    provider.reload(tpm.tcti)
    provider.reload(tpm.tcti)  # the first of those that have to wait
    with pytest.raises(TpmError, match=r"again and again; the next attempt is in \d+ min"):
        provider.reload(tpm.tcti)
    monkeypatch.setattr(provider._state, "next_reload_s", 0.0)
    provider.reload(tpm.tcti)
    tls.release(context(pair))


def test_a_certificate_of_another_key_is_one_clear_line(
    context: Context, pair: Pair, keys: Keys, ca: DevCa, tmp_path: Path
):
    (tmp_path / "b").mkdir()
    keys.create(tmp_path / "b" / "key.pem")
    other = certified(tmp_path / "b" / "key.pem", keys, ca, GATEWAY)
    with pytest.raises(IdentityError, match=r"cert\.pem: is not the certificate of our key"):
        context(Pair("a", other.cert_file, pair.key_file))
    pair.cert_file.write_text("no certificate\n")
    with pytest.raises(IdentityError, match=r"cert\.pem: our certificate: no valid PEM"):
        context(pair)


def test_a_key_of_another_tpm_says_so_at_the_connection_too(pair: Pair, ca: DevCa, other_tpm: Swtpm):
    with pytest.raises(IdentityError, match="belongs to another TPM"):
        tls.client_context(ca.ca_file, pair, tcti=other_tpm.tcti)
