"""A good update, step by step. At each the gateway is frozen: other stories begin there within seconds."""

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

from tests.ota.harness import machine, rig
from tests.ota.harness.house import House, house
from tests.ota.harness.pi import qemu_version
from tests.ota.harness.say import say, step
from tests.ota.harness.works import GOOD, Alone, Works

_INSTALL_S = 1200.0
_DOWNLOAD_S = 900.0
_ROUNDS = 3
_WRITES = "journalctl -b -u rauc -o cat | grep -q 'Updating /dev'"


class Stages:
    """Each is made by the first who needs it.

    Args:
        works: Makes image and bundles, and keeps what is frozen.

    Attributes:
        seen: What was measured on the way, by name.
    """

    def __init__(self, works: Works) -> None:
        self.works = works
        what = qemu_version() + rig.summary() + Path(machine.__file__).read_text()
        key = hashlib.sha256(what.encode()).hexdigest()[:12]
        self._folder = works.folder / f"stages-{key}"
        self._folder.mkdir(exist_ok=True)
        self._alone = Alone(self._folder / "lock")

    @property
    def seen(self) -> dict[str, float]:
        """What was measured, seconds."""
        file = self._folder / "seen.json"
        return dict(json.loads(file.read_text())) if file.exists() else {}

    @property
    def update_id(self) -> str:
        """Of the good update."""
        return (self._folder / "update-id").read_text()

    @property
    def good(self) -> str:
        """The good update's target."""
        return self.works.release(self.works.bundle(GOOD, "note"))

    @property
    def ready(self) -> Path:
        """The first version has started, protects and has its link; nothing is under way."""
        return self._made("ready", self._first_boot)

    @property
    def installing(self) -> Path:
        """The good update is being written into the other slot."""
        self.staged  # noqa: B018  # on whose way it lies
        return self._folder / "installing.qcow2"

    @property
    def staged(self) -> Path:
        """The good update is installed, the flag is armed; the restart waits since the kitchen is wet."""
        return self._made("staged", self._install)

    @property
    def trial(self) -> Path:
        """The good update has been started from the other slot, and is early in its boot."""
        return self._made("trial", self._restart)

    def _made(self, name: str, make: Callable[[House, Path], None]) -> Path:
        file = self._folder / f"{name}.qcow2"
        if file.exists():
            return file
        with self._alone:
            if file.exists():
                return file
            # what comes before is made before a house is built
            if name != "ready":
                self.good  # noqa: B018
                self.staged if name == "trial" else self.ready  # noqa: B018
            with step(f"stage {name}"), house(self.works) as site:
                make(site, file)
        return file

    def _first_boot(self, site: House, to: Path) -> None:
        site.pi.card.wipe()
        site.pi.switch_on()
        site.is_protecting()
        site.is_linked()
        site.pi.run("systemctl is-system-running --wait", check=False, timeout_s=400.0)
        site.dry()  # ends what a first start has latched
        site.pi.freeze(to)

    def _install(self, site: House, to: Path) -> None:
        site.pi.resume(self.ready)
        site.is_linked()
        self._note("leak, idle", site.leak(_ROUNDS))
        site.dry()
        update_id = site.order(self.good, GOOD)
        (self._folder / "update-id").write_text(update_id)
        site.until_state(update_id, {"downloading"}, 240.0)
        began_s = time.monotonic()
        self._note("leak, download", site.leak())
        site.until_state(update_id, {"waiting"}, _DOWNLOAD_S)
        site.dry()
        site.until_state(update_id, {"installing"}, _DOWNLOAD_S)
        self._note("fetch, with a leak in between", time.monotonic() - began_s)
        began_s = time.monotonic()
        site.pi.until(_WRITES, 600.0)  # from here on it cannot be stopped
        site.pi.freeze(self._folder / "installing.qcow2")
        site.pi.resume(self._folder / "installing.qcow2")
        self._note("leak, install", site.leak(_ROUNDS))
        assert site.record()["state"] == "installing", "the installation was over before the leak"
        waiting = site.until_state(update_id, {"waiting"}, _INSTALL_S)
        assert waiting["next"] == "reboot", waiting
        self._note("install", time.monotonic() - began_s)
        self._note("bytes fetched", site.server.of_targets())
        site.pi.freeze(to)

    def _restart(self, site: House, to: Path) -> None:
        site.pi.resume(self.staged)
        site.dry()
        site.until_state(self.update_id, {"rebooting"}, 300.0)
        site.pi.follow()
        assert site.pi.slot == "B"
        site.pi.freeze(to)

    def _note(self, name: str, value: float) -> None:
        file = self._folder / "seen.json"
        file.write_text(json.dumps({**self.seen, name: value}, indent=1))
        say(f"{name}: {value:.3f}")
