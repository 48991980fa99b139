"""QEMU with a TPM: started, frozen into a snapshot, resumed from it, and its power cut.

Pure emulation: it needs no virtualisation by the host.
"""

import contextlib
import hashlib
import json
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.vm.harness.image import Image

_KERNEL_LINE = (
    "root=/dev/vda rw console=ttyS0 quiet loglevel=4 mitigations=off nokaslr no5lvl tsc=reliable"
    " apparmor=0 audit=0"
)
_SNAPSHOT = "ready"
_CONNECT_S = 30.0
_MONITOR_S = 300.0


class Machine:
    """One virtual computer in `folder` (a short path: it holds sockets). `ssh_port` on loopback leads to it.

    Its network reaches nothing but that port's other side.
    """

    def __init__(self, image: Image, folder: Path) -> None:
        self._image = image
        self._folder = folder
        self._tpm: subprocess.Popen[bytes] | None = None
        self._qemu: subprocess.Popen[bytes] | None = None
        self.ssh_port = _free_port()

    @property
    def serial_log(self) -> Path:
        """What the kernel wrote to its console."""
        return self._folder / "serial.log"

    @property
    def runs(self) -> bool:
        """Whether it has power."""
        return self._qemu is not None and self._qemu.poll() is None

    @property
    def snapshot_file(self) -> Path:
        """Where the frozen machine is kept: it fits only this QEMU, this image and these arguments."""
        version = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, check=True).stdout
        what = version + " ".join(self._arguments("", 0)).encode()
        return self._image.folder / f"ready-{hashlib.sha256(what).hexdigest()[:16]}.qcow2"

    def new_disk(self, snapshot: Path | None = None) -> None:
        """Give it a pristine disk and TPM; those of the snapshot, if there is one."""
        tpm = self._folder / "tpm"
        shutil.rmtree(tpm, ignore_errors=True)
        disk = self._folder / "disk.qcow2"
        if snapshot:
            subprocess.run(["cp", "--reflink=auto", "--sparse=auto", str(snapshot), str(disk)], check=True)
            shutil.copytree(snapshot.with_suffix(".tpm"), tpm)
            return
        backing = ["-b", str(self._image.disk), "-F", "raw"]
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(disk)], check=True)
        tpm.mkdir()
        made = ["swtpm_setup", "--tpm2", "--tpmstate", str(tpm), "--pcr-banks", "sha256"]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL)

    def start(self, *, resume: bool = False) -> None:
        """Switch it on, or let the snapshot go on; return before it has booted.

        Raises:
            RuntimeError: QEMU does not start.
        """
        (self._folder / "monitor").unlink(missing_ok=True)
        self._start_tpm()
        arguments = self._arguments(str(self._folder), self.ssh_port)
        if resume:
            arguments += ["-loadvm", _SNAPSHOT]
        log = self._folder / "qemu.log"
        with log.open("ab") as output:
            self._qemu = subprocess.Popen(arguments, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        try:
            self._ask("query-status")  # answered only when a snapshot is loaded
        except (OSError, RuntimeError) as error:
            self.cut_power()
            raise RuntimeError(f"QEMU does not start: {log.read_text()[-500:]}") from error

    def cut_power(self) -> None:
        """Switch it off without a warning. What its kernel had not written is lost."""
        for process in (self._qemu, self._tpm):
            if process is not None:
                process.kill()
                process.wait()
        self._qemu = self._tpm = None

    def freeze(self, snapshot: Path) -> None:
        """Keep this machine as the snapshot that later ones resume from; it has no power afterwards."""
        self._ask("stop")
        answer = self._ask("human-monitor-command", {"command-line": f"savevm {_SNAPSHOT}"})
        if answer:
            raise RuntimeError(f"no snapshot: {answer}")
        with contextlib.suppress(OSError, RuntimeError):
            self._ask("quit")
        if self._qemu:
            self._qemu.wait(_MONITOR_S)
        self.cut_power()
        shutil.rmtree(snapshot.with_suffix(".tpm"), ignore_errors=True)
        shutil.copytree(self._folder / "tpm", snapshot.with_suffix(".tpm"))
        draft = snapshot.with_suffix(".new")
        shutil.copyfile(self._folder / "disk.qcow2", draft)
        draft.replace(snapshot)

    def _start_tpm(self) -> None:
        path = self._folder / "tpm.sock"
        path.unlink(missing_ok=True)
        state, control = f"dir={self._folder / 'tpm'}", f"type=unixio,path={path}"
        with (self._folder / "tpm.log").open("ab") as log:
            self._tpm = subprocess.Popen(
                ["swtpm", "socket", "--tpm2", "--tpmstate", state, "--ctrl", control], stdout=log, stderr=log
            )
        deadline_s = time.monotonic() + _CONNECT_S
        while not path.exists():
            if self._tpm.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError("swtpm does not start")
            time.sleep(0.02)

    def _arguments(self, folder: str, port: int) -> list[str]:
        line = f"""qemu-system-x86_64 -nodefaults -display none -machine q35 -m 1024 -smp 2 -cpu max
            -accel tcg,thread=multi,tb-size=512
            -kernel {self._image.kernel} -initrd {self._image.initrd}
            -drive file={folder}/disk.qcow2,if=virtio,format=qcow2,cache=unsafe
            -netdev user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22
            -device virtio-net-pci,netdev=net,romfile=
            -device virtio-rng-pci
            -chardev socket,id=tpm,path={folder}/tpm.sock -tpmdev emulator,id=tpm,chardev=tpm
            -device tpm-crb,tpmdev=tpm
            -serial file:{folder}/serial.log -qmp unix:{folder}/monitor,server=on,wait=off"""
        return [*line.split(), "-append", _KERNEL_LINE]

    def _ask(self, command: str, arguments: dict[str, Any] | None = None) -> Any:  # noqa: ANN401  # JSON
        """One request to QEMU's monitor (QMP), on a connection of its own."""
        with self._monitor() as connection, connection.makefile("rwb") as stream:
            stream.readline()  # its greeting
            for name, values in (("qmp_capabilities", {}), (command, arguments or {})):
                stream.write(json.dumps({"execute": name, "arguments": values}).encode() + b"\n")
                stream.flush()
                reply = json.loads(stream.readline() or "{}")
                while "event" in reply:
                    reply = json.loads(stream.readline() or "{}")
            if "return" not in reply:
                raise RuntimeError(f"QEMU on {command}: {reply}")
            return reply["return"]

    def _monitor(self) -> socket.socket:
        deadline_s = time.monotonic() + _CONNECT_S
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(_MONITOR_S)
            try:
                connection.connect(str(self._folder / "monitor"))
            except OSError:
                connection.close()
                if not self.runs or time.monotonic() > deadline_s:
                    raise
                time.sleep(0.05)
            else:
                return connection


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
