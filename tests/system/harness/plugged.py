"""An installed gateway with its building, on a disk of its own, and with what is outside of it."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.app.failsafe import is_alive
from gateway.control.client import Client
from tests.system.harness import boot
from tests.system.harness.boot import Booted
from tests.system.harness.disk import Disk
from tests.system.harness.outside import LINK, Outside
from tests.system.harness.package import Packages
from tests.system.harness.site import Site, until

SOCKET = "/run/reed/org.reed.Gateway"
STATE = "/var/lib/reed"
MIB = 1024 * 1024
_SETTLED_S = 10.0


class House(NamedTuple):
    """One machine with its building, its disk and what is outside of it."""

    site: Site
    disk: Disk
    outside: Outside

    def boot(self) -> None:
        """Switch on, and wait until the gateway protects the building."""
        self.site.machine.boot()
        until(lambda: self.site.state == "active", "the gateway after a boot", within_s=60.0)

    def cut_power(self) -> None:
        """Pull the plug of machine and disk; then have the disk mounted as it is, without any check."""
        self.site.machine.cut_power(self.disk.cut_power)
        self.outside.unplug()
        self.disk.unmount()
        self.disk.mount()

    def view(self) -> dict[str, Any]:
        """Return everything that the daemon shows."""
        with self.client() as client:
            view: dict[str, Any] = client.call("GetView")["view"]
        return view

    def deliver(self, wish: str) -> None:
        """Wait until the cloud has accounted for everything that the gateway has said, and it knows."""
        until(lambda: self.outside.has_all(self.view()["store"]), wish, within_s=60.0)

    def client(self) -> Client:
        """Connect to the control socket, which is there a moment after READY."""
        path = self.site.machine.path(SOCKET)
        until(lambda: is_alive(str(path)), "the control socket")
        return Client(path)


class Idle:
    """A gateway that is left alone, and counts what is written from some seconds after its start on.

    Attributes:
        began_s: When the counting began.
        before: What `written` was then.
    """

    def __init__(self, house: House) -> None:
        self.house = house
        time.sleep(_SETTLED_S)
        os.sync()
        self.began_s, self.before = time.monotonic(), self.written()

    def written(self) -> tuple[int, int]:
        """Return the bytes written to the device, and those that the daemon had written."""
        pid = self.house.site.pid
        said = self.house.site.machine.path(f"/proc/{pid}/io").read_text().split()
        return self.house.disk.written_bytes, int(said[said.index("write_bytes:") + 1])


def a_house(packages: Packages, folder: Path, settings: str) -> Iterator[House]:
    if reason := boot.why_not():
        pytest.skip(reason)
    with Outside(folder / "outside") as outside, Booted(folder / "machine") as machine:
        machine.install(packages.gateway)
        site = Site(machine)
        site.configure(settings if "[link]" in settings else settings + LINK)
        outside.introduce(machine)
        site.build()
        # what a gateway in a plant room does not have
        machine.run("systemctl", "mask", "mosquitto", "nginx", "man-db.timer", "apt-daily.timer", check=False)
        machine.power_off()
        yield House(site, Disk(machine, STATE, 16 * MIB), outside)
