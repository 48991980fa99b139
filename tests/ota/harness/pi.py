"""A gateway with two slots on a Pi whose firmware is a model: power, resets, shell, card."""

import json
import subprocess
import time
from pathlib import Path

from tests.ota.firmware import Firmware, Start
from tests.ota.harness import machine, rig
from tests.ota.harness.card import Card
from tests.ota.harness.machine import Attached, Machine
from tests.ota.harness.mailbox import Mailbox
from tests.ota.harness.remote import CommandError, Gone, Remote

BOOT_S = 600.0
_RESUME_S = 60.0
_RESET_S = 600.0
SLOTS = {2: "A", 3: "B"}


class Pi:
    """Off at first.

    Args:
        folder: An empty one for this machine's files.
        image: The raw disk image.
        ways: See `Attached`.

    Attributes:
        starts: What the firmware has started since the power came.
    """

    def __init__(self, folder: Path, image: Path, ways: dict[str, int]) -> None:
        self._folder = folder
        self.card = Card(folder / "card.qcow2", image)
        self.machine = Machine(folder)
        self.firmware = Firmware(folder / "head.img")
        self.ways = ways
        self.starts: list[Start] = []
        self._remote: Remote | None = None
        self._mailbox: Mailbox | None = None

    # --- power ----------------------------------------------------------------------------------------

    def switch_on(self, *, wait: bool = True) -> None:
        """Let the firmware start what it chooses; return when the system lets us in."""
        self.starts.clear()
        self._start()
        if wait:
            self.wait()

    def follow(self, within_s: float = _RESET_S, *, wait: bool = True) -> None:
        """Wait for a reset of whatever cause and let the firmware start again.

        Raises:
            AssertionError: It was not reset in time.
        """
        assert self.machine.ended(within_s), f"no reset within {within_s:.0f} s"
        self._hang_up()
        self._start()
        if wait:
            self.wait()

    def goes_on(self, for_s: float) -> None:
        """Let time pass; whenever the machine is reset, the firmware starts it again."""
        until_s = time.monotonic() + for_s
        while (left_s := until_s - time.monotonic()) > 0:
            if self.machine.ended(left_s):
                self._hang_up()
                self._start()

    def cut_power(self) -> None:
        """Pull the plug."""
        self.machine.cut_power()
        self._hang_up()
        self.firmware.cut_power()

    def freeze(self, to: Path) -> None:
        """Keep it as it is now, with what the firmware remembers; it has no power afterwards."""
        self.run("sync; echo 3 >/proc/sys/vm/drop_caches")
        self._hang_up()
        self.machine.freeze()
        start = self.starts[-1]
        memory = {"partition": start.partition, "tryboot": start.tryboot, "flag": self.firmware.flag}
        to.with_suffix(".json").write_text(json.dumps(memory))
        draft = to.with_suffix(".new")
        self.card.path.replace(draft)
        draft.replace(to)

    def resume(self, frozen: Path) -> None:
        """Let a frozen one go on; it wakes up with the time of today."""
        memory = json.loads(frozen.with_suffix(".json").read_text())
        self.card.copy_from(frozen)
        self.card.head(self._folder / "head.img")
        self.firmware.flag = memory["flag"]
        self.starts.clear()
        self._hand_over(Start(memory["partition"], memory["tryboot"]), resume=True)
        self.wait(_RESUME_S)
        self.run(f"date -u -s @{time.time():.3f}")

    def wait(self, within_s: float = BOOT_S) -> None:
        """Return when the system lets us in. Raises Gone."""
        self.remote.wait(within_s)

    # --- inside ---------------------------------------------------------------------------------------

    @property
    def remote(self) -> Remote:
        """The way in."""
        if self._remote is None:
            self._remote = Remote(self.machine.port("rig"), lambda: self.machine.runs)
        return self._remote

    def run(self, command: str, *, check: bool = True, timeout_s: float = 120.0, given: str = "") -> str:
        """Run a command as root. See Remote."""
        return self.remote.run(command, check=check, timeout_s=timeout_s, given=given)

    def until(self, command: str, within_s: float = 120.0) -> str:
        """Run a command again and again until it succeeds; return its output. Raises CommandError."""
        deadline_s = time.monotonic() + within_s
        while True:
            try:
                return self.run(command)
            except CommandError as error:
                if time.monotonic() > deadline_s:
                    raise CommandError(f"after {within_s:.0f} s: {error}\n{self.last_words()}") from error
            time.sleep(0.5)

    def put(self, path: str, text: str) -> None:
        """Write a file."""
        self.run(f"mkdir -p {Path(path).parent} && cat >{path}", given=text)

    @property
    def slot(self) -> str:
        """Which slot was started last."""
        return SLOTS[self.starts[-1].partition]

    def last_words(self, lines: int = 25) -> str:
        """Return the end of what its kernels wrote."""
        text = self.machine.console.read_text(errors="replace") if self.machine.console.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    # --- between ---------------------------------------------------------------------------------------

    def _start(self) -> None:
        self.card.head(self._folder / "head.img")
        self._hand_over(self.firmware.boot())

    def _hand_over(self, start: Start, *, resume: bool = False) -> None:
        files, settings = self.firmware.files(start.partition), self.firmware.settings(start)
        for key in ("kernel", "initramfs"):
            (self._folder / key).write_bytes(files.read(settings[key]))
        line = files.read(settings["cmdline"]).decode().strip()
        rig.write_drive(self._folder / "rig.tar", start)
        attached = Attached(self.card.path, self._folder / "rig.tar", rig.units(), self.ways)
        handed = machine.Start(self._folder / "kernel", self._folder / "initramfs", line)
        self.machine.start(handed, attached, resume=resume)
        self.starts.append(start)
        self._mailbox = Mailbox(
            self.machine.port("firmware"), lambda: self.machine.runs, self.firmware.mailbox
        )

    def _hang_up(self) -> None:
        for connection in (self._remote, self._mailbox):
            if connection is not None:
                connection.close()
        self._remote = self._mailbox = None


def qemu_version() -> str:
    """Return which QEMU would be used: a frozen machine fits no other."""
    return subprocess.run(
        ["qemu-system-x86_64", "--version"], capture_output=True, check=True, text=True
    ).stdout


__all__ = ["BOOT_S", "CommandError", "Gone", "Pi", "qemu_version"]
