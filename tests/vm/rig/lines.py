"""The 28 lines of the header: contacts that close, outputs that are read back."""

import asyncio
import time
from pathlib import Path

COUNT = 28
_CONFIG = Path("/sys/kernel/config/gpio-sim/pi")
_PERSIST = Path("/sys/module/gpio_sim_pi/parameters/persist")
_DEVICE = Path("/sys/devices/platform")
_PULLS = {"low": "pull-down", "high": "pull-up", "open": "floating"}


class Lines:
    """One chip named as a Raspberry Pi's; made once, and kept for the next rig."""

    def __init__(self) -> None:
        if not (_CONFIG / "live").exists():
            _CONFIG.mkdir()
        if (_CONFIG / "live").read_text().strip() != "1":
            (_CONFIG / "bank0").mkdir(exist_ok=True)
            (_CONFIG / "bank0/num_lines").write_text(str(COUNT))
            (_CONFIG / "bank0/label").write_text("pinctrl-bcm2711")
            (_CONFIG / "live").write_text("1")
        self._folder = _folder()

    def chip(self) -> str:
        """Return the path of the character device."""
        return f"/dev/{self._folder.name}"

    def pull(self, line: int, to: str) -> float:
        """Connect a line to ground ("low"), to 3.3 V ("high") or to nothing ("open").

        Returns:
            CLOCK_MONOTONIC seconds just before it. The record has the exact time, if the level changed.
        """
        now_s = time.monotonic()
        (self._folder / f"sim_gpio{line}/pull").write_text(_PULLS[to])
        return now_s

    async def press(self, line: int, for_s: float) -> float:
        """Press a button to ground and let go of it after this time; return when it went down."""
        down_s = self.pull(line, "low")
        await asyncio.sleep(for_s)
        self.pull(line, "open")
        return down_s

    def level(self, line: int) -> int:
        """Return what the line carries now: 0 or 1."""
        return int((self._folder / f"sim_gpio{line}/value").read_text())

    def persist(self, on: bool) -> None:
        """Choose whether a released output goes on driving (a Raspberry Pi's default)."""
        _PERSIST.write_text("Y" if on else "N")

    def disconnect(self) -> None:
        """Leave nothing connected to any line."""
        for line in range(COUNT):
            self.pull(line, "open")

    def renew(self) -> None:
        """Cut and restore the power of the chip: every line is an input, and nothing is connected."""
        self.power(False)
        self.power(True)

    def power(self, on: bool) -> None:
        """Take the whole chip away, from whoever has it open, or bring it back as `renew` does."""
        if (_CONFIG / "live").read_text().strip() != str(int(on)):
            (_CONFIG / "live").write_text(str(int(on)))
        if on:
            self._folder = _folder()

    async def sleep_until(self, at_s: float) -> None:
        """Answer at that time of `now`."""
        await asyncio.sleep(at_s - self.now())

    def now(self) -> float:
        """Return CLOCK_MONOTONIC of the Pi, in seconds."""
        return time.monotonic()


def _folder() -> Path:
    """Where the kernel shows the lines of the chip that is live now."""
    device = (_CONFIG / "dev_name").read_text().strip()
    return _DEVICE / device / (_CONFIG / "bank0/chip_name").read_text().strip()
