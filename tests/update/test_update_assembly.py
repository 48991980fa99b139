"""All of it: a signed repository behind mutual TLS, a control socket, an applier, files brought by hand."""

import asyncio
import copy
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.__main__ import main
from gateway.app import updating
from gateway.app.updating import Assembly
from gateway.config.read import read
from gateway.domain.model import Json
from gateway.domain.update.asked import as_json
from gateway.domain.update.model import Kind, Order, State, Update
from gateway.update.runner import Runner
from ota import exporting
from tests.fakes import est_cloud
from tests.fakes.enrolled import enrolled
from tests.fakes.file_server import Files, serving
from tests.fakes.gateway import FakeGateway, Served, served
from tests.fakes.ota.house import NOBODY, Vendor
from tests.fakes.updated import HEALTHY, Machine
from tests.fakes.updated_socket import ApplierServer
from tests.fakes.updating_process import QUICK

CONFIG = """\
[gateway]
id = "hq-01"
state_dir = "state"
runtime_dir = "run"
[board]
kind = "sim"
socket = "building.sock"
[identity]
key = "software"
allow_software_key = true
[update]
"""
DEB = "app/reed-gateway_1.5.0_all.deb"
DATA = bytes(range(256)) * 2000


class Site:
    """One gateway, its vendor, and the network between them."""

    def __init__(self, home: Path, vendor: Vendor, files: Files) -> None:
        self.vendor = vendor
        self.files = files
        self.home = home
        self.machine = Machine(versions={"os": "1.4.0", "app": "1.4.0", "config": "1"})
        self.gateway = FakeGateway()
        self.gateway.state = copy.deepcopy(HEALTHY)
        self.config_file = home / "gateway.toml"
        self.configure(f'url = "{files.url}"')

    def configure(self, text: str) -> None:
        self.config_file.write_text(CONFIG + text + "\n")

    def wants(self, **changes: object) -> None:
        order = replace(Order("u1", Kind.APP, DEB, "1.5.0", "cloud"), **changes)
        self.gateway.order = as_json(order)

    def run(self) -> Update | None:
        assembly = Assembly(read(self.config_file), self.home / "applier")
        asyncio.run(Runner(replace(assembly.parts(), timing=replace(QUICK, health_every_s=0.2))).run())
        saved = assembly.record.load()
        return None if saved is None else saved.update


@pytest.fixture
def site(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    home = folder / "gateway"
    for name in ("state/identity", "run"):
        (home / name).mkdir(parents=True)
    cloud = est_cloud.cloud(folder / "cloud")
    enrolled(home / "state/identity", cloud)
    vendor = Vendor(folder / "vendor")
    vendor.release(DEB, DATA, version="1.5.0")
    monkeypatch.setattr(updating, "root_file", lambda: vendor.root)
    with serving(vendor.www, cloud.authority) as files:
        made = Site(home, vendor, files)
        with _served(made), ApplierServer(home / "applier", made.machine):
            yield made


def _served(site: Site) -> Served:
    return served(site.home / "run/org.reed.Gateway", site.gateway)


def test_what_the_cloud_wants_is_fetched_with_our_certificate_and_installed(site: Site):
    site.wants()
    update = site.run()

    assert update is not None
    assert (update.state, update.detail) == (State.SUCCEEDED, "")
    assert site.machine.versions["app"] == "1.5.0"
    assert set(site.files.who) == {"hq-01"}
    spooled = [*(site.home / "state/update/spool/targets").iterdir()]
    assert [file.read_bytes() for file in spooled] == [DATA]
    told = [report["state"] for report in site.gateway.reports]
    assert (told[0], told[-1]) == ("accepted", "succeeded")


def test_a_target_that_nobody_signed_is_rejected_and_nothing_installed(site: Site):
    site.wants(target="app/other_9.deb", version="9")
    update = site.run()
    assert update is not None
    assert (update.state, update.code) == (State.REJECTED, "untrusted")
    assert site.machine.calls == []


def test_an_older_version_is_rejected_unless_it_was_signed_as_one(site: Site):
    site.machine.versions["app"] = "1.6.0"
    site.wants()
    update = site.run()
    assert update is not None
    assert (update.state, update.code) == (State.REJECTED, "older")


def test_a_file_that_was_brought_is_installed_without_any_server(
    site: Site, capsys: pytest.CaptureFixture[str]
):
    brought = site.home / "stick.reed-update"
    exporting.export(site.vendor.repo, DEB, brought, NOBODY)
    site.configure("")

    words = ["update", "install", str(brought), "--no-wait", "--config", str(site.config_file)]
    assert main(words) == 0
    assert "app 1.5.0" in capsys.readouterr().out
    update = site.run()

    assert update is not None
    assert (update.state, update.detail) == (State.SUCCEEDED, "")
    assert (update.order.source, site.files.asked) == ("local", [])
    assert site.machine.versions["app"] == "1.5.0"


def test_a_file_that_was_tampered_with_is_rejected(site: Site):
    brought = site.home / "stick.reed-update"
    exporting.export(site.vendor.repo, DEB, brought, NOBODY)
    data = bytearray(brought.read_bytes())
    at = data.index(DATA[:1000])
    data[at + 500] ^= 1
    brought.write_bytes(data)
    site.configure("")
    main(["update", "install", str(brought), "--no-wait", "--config", str(site.config_file)])
    update = site.run()
    assert update is not None
    assert (update.state, update.code) == (State.REJECTED, "untrusted")
    assert site.machine.calls == []


def test_check_asks_everybody_and_begins_nothing(site: Site, capsys: pytest.CaptureFixture[str]):
    site.wants()
    status = main(["update", "check", "--config", str(site.config_file)])
    shown = capsys.readouterr().out
    assert status == 0
    assert f"metadata     {site.files.url}: fresh" in shown
    assert "cloud        app 1.5.0" in shown
    assert site.machine.calls == []


def test_check_names_who_does_not_answer(site: Site, capsys: pytest.CaptureFixture[str]):
    site.configure('url = "https://localhost:9"')
    assert main(["update", "check", "--config", str(site.config_file)]) == 69
    assert "localhost:9" in capsys.readouterr().out


def test_a_clean_view_of_the_daemon_is_needed_for_the_verdict(site: Site):
    site.wants()
    install = site.machine.call

    async def breaks(
        verb: str, arguments: Mapping[str, Json], on_percent: Callable[[int], None] = lambda _: None
    ) -> Mapping[str, Json]:
        answer = await install(verb, arguments, on_percent)
        if verb == "install":
            site.gateway.state["sensors"]["sump"] = {"healthy": False, "faults": ["silent"]}
        return answer

    site.machine.call = breaks  # type: ignore[method-assign]
    update = site.run()
    assert update is not None
    assert (update.state, update.code) == (State.ROLLED_BACK, "unhealthy")
    assert "sump" in update.detail
    assert site.machine.versions["app"] == "1.4.0"


def test_before_our_own_files_are_exchanged_all_that_may_be_needed_is_in_memory(tmp_path: Path):
    program = f"""
import asyncio, pathlib, sys
from gateway.app.updating import KnownApplier
from gateway.errors import UpdateError
applier = KnownApplier(pathlib.Path({str(tmp_path / "nobody.sock")!r}))
try:
    asyncio.run(applier.call("install", {{"kind": "app"}}))
except UpdateError:
    pass
print(*sorted(name for name in sys.modules if name.startswith("gateway.")))
"""
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    folder = Path(updating.__file__).parents[1]
    files = [file.relative_to(folder.parent).with_suffix("") for file in (folder / "update").rglob("*.py")]
    wanted = {".".join(file.parts).removesuffix(".__init__") for file in files}
    assert len(wanted) > 30
    assert wanted <= set(shown.split())
