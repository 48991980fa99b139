"""TPMs of software, and a broker that knows only certificates: these tests run in Debian 13 itself."""

import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.cli.demo import devca
from gateway.cli.demo.broker import Broker
from gateway.cli.demo.devca import DevCa
from gateway.identity import tls
from gateway.identity.config import Config
from gateway.identity.keys import Keys, open_keys
from gateway.identity.pair import Pair
from gateway.identity.tpm import armed, provider
from tests.fakes.certified import certified
from tests.system.harness.swtpm import Maker, Swtpm

GATEWAY = "house-7"
CONNECT = b"\x10\x14\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x07house-7"
CONNECTED = b"\x20"

Context = Callable[[Pair], ssl.SSLContext]
"""Makes a context that trusts the authority and holds the pair."""


@pytest.fixture(scope="session")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    return Maker(tmp_path_factory.mktemp("maker"))


@pytest.fixture(scope="session")
def chips(maker: Maker) -> tuple[Swtpm, Swtpm]:
    return maker.make("a"), maker.make("b")


@pytest.fixture
def tpm(chips: tuple[Swtpm, Swtpm]) -> Iterator[Swtpm]:
    """The gateway's own, just switched on."""
    with chips[0] as running:
        yield running


@pytest.fixture
def other_tpm(chips: tuple[Swtpm, Swtpm]) -> Iterator[Swtpm]:
    """Another gateway's."""
    with chips[1] as running:
        yield running


@pytest.fixture
def config(tpm: Swtpm) -> Config:
    return Config(tcti=tpm.tcti, tpm_timeout_s=10)


@pytest.fixture
def keys(config: Config) -> Keys:
    return open_keys(config)


@pytest.fixture
def key_file(tmp_path: Path, keys: Keys) -> Path:
    """A key of the gateway's TPM."""
    keys.create(tmp_path / "key.pem")
    return tmp_path / "key.pem"


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> DevCa:
    """The authority; it has certified a software key of the same name, too."""
    return devca.ensure(tmp_path_factory.mktemp("ca"), GATEWAY)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory, ca: DevCa) -> Iterator[Broker]:
    with Broker(ca, tmp_path_factory.mktemp("broker"), extra="tls_version tlsv1.3") as running:
        yield running


@pytest.fixture
def pair(key_file: Path, keys: Keys, ca: DevCa) -> Pair:
    """The key with a certificate of the authority."""
    return certified(key_file, keys, ca, GATEWAY)


@pytest.fixture(autouse=True)
def _no_limit_of_reloads(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests break the provider more often than eight times."""
    monkeypatch.setattr(provider, "_FREE_RELOADS", 10_000)


@pytest.fixture
def context(ca: DevCa, tpm: Swtpm) -> Iterator[Context]:
    yield lambda pair: tls.client_context(ca.ca_file, pair, tcti=tpm.tcti)
    for forgotten in list(armed._armed):
        tls.release(forgotten)


def connected(context: ssl.SSLContext, broker: Broker) -> ssl.SSLSocket:
    """Open a session with the broker. Raises OSError when it, or TLS, refuses."""
    made = context.wrap_socket(
        socket.create_connection(("127.0.0.1", broker.port), timeout=10), server_hostname="localhost"
    )
    try:
        made.sendall(CONNECT)
        if made.recv(1) != CONNECTED:
            raise ConnectionError("no CONNACK")
    except OSError:
        made.close()
        raise
    return made


def left_in(tpm: Swtpm) -> list[str]:
    """Return the objects and sessions that somebody has left in the TPM."""
    left: list[str] = []
    for kind in ("handles-transient", "handles-loaded-session", "handles-saved-session"):
        command = ["tpm2_getcap", "-T", tpm.tcti, kind]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        left += [word for word in said.split() if word.startswith("0x")]
    return left


def tool(tpm: Swtpm, name: str, *words: str | Path) -> None:
    """Run a program of tpm2-tools."""
    subprocess.run([name, "-T", tpm.tcti, *map(str, words)], check=True, capture_output=True)
