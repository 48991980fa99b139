"""QEMU with one kernel: started, awaited until it resets or ends, frozen, resumed, and its power cut.

It ends at each reset (a reboot, a panic, the watchdog): what is started next is the firmware's business.
"""

import json
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SNAPSHOT = "ready"
_CONNECT_S = 30.0
_MONITOR_S = 300.0
_EMULATED = (
    "console=ttyS0 mitigations=off nokaslr no5lvl tsc=reliable rcupdate.rcu_expedited=1"
    " apparmor=0 selinux=0 audit=0 systemd.ssh_auto=no"
)
"""What only the emulation needs on the kernel's command line."""


@dataclass(frozen=True, slots=True)
class Start:
    """What the firmware hands over to."""

    kernel: Path
    initrd: Path
    command_line: str


@dataclass(frozen=True, slots=True)
class Attached:
    """What the machine is connected to.

    Args:
        disk: The card, qcow2.
        rig: An archive that the test's unit unpacks.
        units: Units of the test, as systemd credentials: name to text.
        ways: Addresses inside (host:port) to ports on loopback; there is no other network.
    """

    disk: Path
    rig: Path
    units: dict[str, str]
    ways: dict[str, int]


class Machine:
    """One virtual computer in `folder` (a short path: it holds sockets)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._qemu: subprocess.Popen[bytes] | None = None

    @property
    def console(self) -> Path:
        """What the kernels wrote, all of them since the machine was made."""
        return self._folder / "console.log"

    @property
    def runs(self) -> bool:
        """Whether it has power and was not reset."""
        return self._qemu is not None and self._qemu.poll() is None

    def port(self, name: str) -> Path:
        """Return the socket that is the other end of its virtio port `reed.NAME`."""
        return self._folder / f"{name}.port"

    def start(self, what: Start, attached: Attached, *, resume: bool = False) -> None:
        """Switch it on, or let the snapshot in its disk go on; return before it has booted.

        Raises:
            RuntimeError: QEMU does not start.
        """
        arguments = self._arguments(what, attached)
        if resume:
            arguments += ["-loadvm", _SNAPSHOT]
        (self._folder / "monitor").unlink(missing_ok=True)
        log = self._folder / "qemu.log"
        with log.open("ab") as output:
            self._qemu = subprocess.Popen(arguments, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        try:
            self.ask("query-status")  # answered only when a snapshot is loaded
        except (OSError, RuntimeError) as error:
            self.cut_power()
            raise RuntimeError(f"QEMU does not start: {log.read_text()[-500:]}") from error

    def ended(self, timeout_s: float) -> bool:
        """Wait for a reset or the end; tell whether it came in time."""
        assert self._qemu is not None
        try:
            self._qemu.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def cut_power(self) -> None:
        """Switch it off without a warning. What its kernel had not written and flushed may be lost."""
        if self._qemu is not None:
            self._qemu.kill()
            self._qemu.wait()
        self._qemu = None

    def freeze(self) -> None:
        """Put the machine as it is now into its disk; it has no power afterwards."""
        self.ask("stop")
        answer = self.ask("human-monitor-command", {"command-line": f"savevm {_SNAPSHOT}"})
        if answer:
            raise RuntimeError(f"no snapshot: {answer}")
        self.ask("quit")
        assert self._qemu is not None
        self._qemu.wait(_MONITOR_S)
        self.cut_power()

    def ask(self, command: str, arguments: dict[str, Any] | None = None) -> Any:  # noqa: ANN401  # JSON
        """One request to QEMU's monitor (QMP), on a connection of its own."""
        with connected(self._folder / "monitor", lambda: self.runs) as connection:
            connection.settimeout(_MONITOR_S)
            with connection.makefile("rwb") as stream:
                stream.readline()  # its greeting
                for name, values in (("qmp_capabilities", {}), (command, arguments or {})):
                    stream.write(json.dumps({"execute": name, "arguments": values}).encode() + b"\n")
                    stream.flush()
                    reply = json.loads(stream.readline() or '{"return": null}')
                    while "event" in reply:
                        reply = json.loads(stream.readline() or '{"return": null}')
                if "return" not in reply:
                    raise RuntimeError(f"QEMU on {command}: {reply}")
                return reply["return"]

    def _arguments(self, what: Start, attached: Attached) -> list[str]:
        folder = self._folder
        line = f"""qemu-system-x86_64 -nodefaults -display none -machine q35,sata=off
            -m 1024 -smp 1 -cpu Westmere
            -accel tcg,thread=multi,tb-size=512 -action reboot=shutdown,watchdog=reset
            -kernel {what.kernel} -initrd {what.initrd}
            -drive file={attached.disk},if=virtio,format=qcow2,cache=writeback
            -drive file={attached.rig},if=none,id=rig,format=raw,readonly=on
            -device virtio-blk-pci,drive=rig,serial=reedrig
            -device virtio-rng-pci -device i6300esb
            -device virtio-serial-pci
            -serial chardev:console -chardev file,id=console,path={self.console},append=on
            -qmp unix:{folder}/monitor,server=on,wait=off"""
        for name in ("rig", "firmware"):
            line += f" -chardev socket,id={name},path={self.port(name)},server=on,wait=off"
            line += f" -device virtserialport,chardev={name},name=reed.{name}"
        forwards = "".join(
            f",guestfwd=tcp:{there}-cmd:{_pipe(port)}" for there, port in attached.ways.items()
        )
        network = ["-netdev", f"user,id=net,restrict=on{forwards}"]
        network += ["-device", "virtio-net-pci,netdev=net,romfile="]
        units: list[str] = []
        for name, text in attached.units.items():
            file = folder / f"credential-{name}"
            file.write_text(f"io.systemd.credential:{name}={text}")
            units += ["-smbios", f"type=11,path={file}"]
        return [*line.split(), *network, *units, "-append", f"{what.command_line} {_EMULATED}"]


def connected(path: Path, may_come: Callable[[], bool]) -> socket.socket:
    """Return a connection to a Unix socket that may still have to appear. Raises OSError."""
    deadline_s = time.monotonic() + _CONNECT_S
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(path))
        except OSError:
            connection.close()
            if not may_come() or time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)
        else:
            return connection


def _pipe(port: int) -> str:
    return f"socat - TCP4:127.0.0.1:{port}"
