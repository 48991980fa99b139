"""The documented nginx in front of hawkBit: who gets in, and as whom."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.errors import UpdateError
from gateway.update.ports import WebRequest
from tests.fakes.authority import Authority
from tests.fakes.hawkbit.actions import Status
from tests.fakes.hawkbit.device import Computer, Device
from tests.fakes.hawkbit.repository import NEW, Repository
from tests.fakes.hawkbit.server import HawkbitServer, running
from tests.fakes.hawkbit.web import PlainWeb
from tests.fakes.mosquitto import free_ports

DOCUMENT = Path(__file__).parents[3] / "docs" / "hawkbit.md"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")

pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx")


@pytest.fixture
def behind(repository: Repository) -> Iterator[HawkbitServer]:
    with running(repository, None) as serving:
        yield serving


@pytest.fixture
def url(behind: HawkbitServer, authority: Authority, tmp_path: Path) -> Iterator[str]:
    (port,) = free_ports(1)
    (tmp_path / "crl.pem").write_bytes(authority.hold("gw-denied"))
    home = authority.home
    changes = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/nginx/hawkbit.pem": home.cert_file("broker"),
        "/etc/nginx/hawkbit.key": home.key_file("broker"),
        "/var/lib/reed-cloud/ca/chain.pem": home.chain_file,
        "/var/lib/reed-cloud/ca/crl.pem": tmp_path / "crl.pem",
        "http://127.0.0.1:8080": f"http://127.0.0.1:{behind.server_port}",
    }
    documented = DOCUMENT.read_text().split("```nginx\n")[1].split("```")[0]
    for written, here in changes.items():
        assert documented.count(written) == 1
        documented = documented.replace(written, str(here))
    with _nginx(documented, tmp_path):
        yield f"https://localhost:{port}"


@contextmanager
def _nginx(servers: str, folder: Path) -> Iterator[None]:
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid; events {{}}\n"
        f"http {{ access_log off; {places}\n{servers}}}\n"
    )
    command = [str(NGINX), "-e", str(folder / "errors"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        until_s = time.monotonic() + 10
        while not (folder / "nginx.pid").exists():
            assert process.poll() is None, (folder / "errors").read_text()
            assert time.monotonic() < until_s
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait()


def _web(url: str, authority: Authority, name: str) -> PlainWeb:
    return PlainWeb(url, *authority.files(name), authority.home.roots_file)


async def test_a_gateway_is_updated_through_it(
    repository: Repository, url: str, authority: Authority, tmp_path: Path
):
    action = repository.assign("gw-1", NEW)
    await Device(_web(url, authority, "gw-1"), "gw-1", tmp_path, Computer()).run()
    assert action.status is Status.FINISHED


async def test_a_denied_gateway_is_kept_out(url: str, authority: Authority, tmp_path: Path):
    denied = Device(_web(url, authority, "gw-denied"), "gw-denied", tmp_path, Computer())
    with pytest.raises(UpdateError):
        await denied.source.order()


@pytest.mark.parametrize(
    "forged",
    [
        {"X-Controller-Id": "gw-1"},
        {"X-Controller-Id": "gw-1", "X-Authority": "reed"},
        {"X-Controller-Id": "gw-1", "X-Authority-0": "reed", "X-Authority-1": "reed"},
    ],
)
def test_a_gateway_cannot_call_itself_another(url: str, authority: Authority, forged: dict[str, str]):
    web = _web(url, authority, "gw-2")
    own, others = (
        web.ask(WebRequest(f"/DEFAULT/controller/v1/{name}", headers=forged), timeout_s=5, max_bytes=9999)
        for name in ("gw-2", "gw-1")
    )
    assert (own.status, others.status) == (200, 401)


def test_only_devices_talk_here(url: str, authority: Authority):
    answer = _web(url, authority, "gw-1").ask(WebRequest("/rest/v1/targets"), timeout_s=5, max_bytes=9999)
    assert answer.status == 404
