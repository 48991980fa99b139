"""The virtual Raspberry Pi as stories use it: power, shell, the gateway as a service, the rig."""

import io
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.vm.harness.image import alone, ready_image
from tests.vm.harness.machine import Machine
from tests.vm.harness.rig import Rig
from tests.vm.harness.shell import Shell

_PROJECT = Path(__file__).parents[3]
_VM = Path(__file__).parents[1]
_BOOT_S = 400.0
_RESUME_S = 120.0
_UNIT = "/etc/systemd/system/reed-gateway.service"
_READ_SO_FAR = "/run/rig-cursor"
CONFIG = "/etc/reed/gateway.toml"


class VirtualPi:
    """A Pi with power, a fresh disk and the gateway at /opt/reed; `rig` is the other end of its wires."""

    def __init__(self, machine: Machine, shell: Shell) -> None:
        self.machine = machine
        self.run = shell.run
        self.put = shell.put
        self.get = shell.get
        self.open_python = shell.open_python
        self._shell = shell
        self._rig: Rig | None = None

    @property
    def rig(self) -> Rig:
        """The rig, started when it is first asked for."""
        if self._rig is None:
            with _step("the rig starts"):
                self._rig = Rig(self._shell)
        return self._rig

    def install(self) -> None:
        """Copy the gateway as it is in this checkout, its unit, and the rig. Neither is built nor changed."""
        with _step("the gateway goes into the Pi"):
            self.run("rm -rf /opt/reed /opt/rig && mkdir -p /opt/reed /opt/rig /etc/reed")
            self.run("tar -x -m -C /opt/reed", given=_tar(_PROJECT / "gateway"))
            self.run("tar -x -m -C /opt/rig", given=_tar(_VM / "rig"))
            self.put(_UNIT, (_VM / "reed-gateway.service").read_text())
            self.put("/usr/local/bin/reed-gateway", (_VM / "reed-gateway.sh").read_text(), 0o755)
            self.run("systemctl daemon-reload")

    def start_gateway(self, config: str, timeout_s: float = 120.0) -> float:
        """Write the configuration and start the service; return when it was READY.

        Returns:
            CLOCK_MONOTONIC seconds of the Pi, as systemd noted them.
        """
        self.put(CONFIG, config, 0o640)
        self.run(f"timeout {timeout_s:.0f} systemctl start reed-gateway", timeout_s=timeout_s + 10)
        return float(self.property("ActiveEnterTimestampMonotonic")) / 1e6

    def stop_gateway(self) -> None:
        """Stop the service, and forget its state and failures."""
        self.run("systemctl stop reed-gateway; systemctl reset-failed reed-gateway", check=False)
        self.run(f"rm -rf /var/lib/reed /run/reed {_READ_SO_FAR}; journalctl --sync")
        self.run(f"journalctl -q -n 1 --cursor-file={_READ_SO_FAR}")

    def property(self, name: str) -> str:
        """Return a property of the service, as `systemctl show` has it."""
        return self.run(f"systemctl show --value -p {name} reed-gateway").strip()

    def journal(self) -> str:
        """Return what the service has logged in this story."""
        after = f'--after-cursor "$(cat {_READ_SO_FAR})"'
        return self.run(f"journalctl -u reed-gateway -o short-monotonic --no-pager {after}")

    def cut_power(self) -> None:
        """Let everything in it stop at once; the disk stays as far as it was written."""
        if self._rig is not None:
            self._rig.kill()
            self._rig = None
        self.machine.cut_power()
        self._shell.close()

    def boot(self) -> None:
        """Switch it on and wait until systemd has finished."""
        with _step("the Pi boots"):
            self.machine.start()
            self._shell.wait(_BOOT_S)
            self.run("systemctl is-system-running --wait || systemctl --failed", timeout_s=_BOOT_S)

    def resume(self) -> None:
        """Let the snapshot go on; it wakes up with the time of today."""
        with _step("the Pi resumes"):
            self.machine.start(resume=True)
            self._shell.wait(_RESUME_S)
            self.run(f"date -u -s @{time.time():.3f}")

    def freeze(self, snapshot: Path) -> None:
        """Keep it as it is now for later runs, without our connection; it has no power afterwards."""
        with _step("the Pi freezes"):
            self.run("sync; echo 3 >/proc/sys/vm/drop_caches")
            self._shell.close()
            self.machine.freeze(snapshot)

    def close(self) -> None:
        """Switch it off."""
        if self._rig is not None:
            self._rig.close()
            self._rig = None
        self._shell.close()
        self.machine.cut_power()


@contextmanager
def virtual_pi() -> Iterator[VirtualPi]:
    """A pristine Pi, ready within seconds if one has been frozen before."""
    with _step("the disk is ready"):
        image = ready_image()
    with tempfile.TemporaryDirectory(prefix="reed-vm-") as name:
        folder = Path(name)
        machine = Machine(image, folder)
        pi = VirtualPi(machine, Shell(machine.ssh_port, image.key, folder))
        try:
            _power_on(pi)
            pi.install()
            yield pi
        finally:
            pi.close()


def _power_on(pi: VirtualPi) -> None:
    """Resume the snapshot; where there is none yet, boot, settle and freeze first."""
    snapshot = pi.machine.snapshot_file
    with alone():
        if not snapshot.exists():
            pi.machine.new_disk()
            pi.boot()
            pi.freeze(snapshot)
    pi.machine.new_disk(snapshot)
    pi.resume()


def _tar(folder: Path) -> bytes:
    def wanted(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        return None if "__pycache__" in entry.name else entry

    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.add(folder, arcname=folder.name, filter=wanted)
    return data.getvalue()


@contextmanager
def _step(what: str) -> Iterator[None]:
    """Say how long it took."""
    start_s = time.monotonic()
    yield
    print(f"\n{what}: {time.monotonic() - start_s:.1f} s", file=sys.__stderr__, flush=True)
