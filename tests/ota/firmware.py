"""The Raspberry Pi's firmware as far as updates see it: what it starts, the one-shot flag, what it tells.

Written from Raspberry Pi's documentation (config_txt/autoboot.adoc, raspberry-pi/bootflow-eeprom.adoc) and
from what others measured on a Pi 4 (docs/hardware.md lists what only a Pi can show). Where documents leave a
choice it is the harsher one: a partition without firmware does not start, nobody walks on to the next.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

from tests.ota.fat import SECTOR, Fat, FatError, Partition, partitions

FIRMWARE = ("start4.elf", "start.elf", "config.txt")
"""A FAT partition with one of these can be started (Pi 5: firmware in the EEPROM reads config.txt)."""
GET_FLAG, SET_FLAG = 0x00030064, 0x00038064
_AUTOBOOT_BYTES = 512
_ANSWERED, _OK = 0x8000_0000, 0x8000_0000
_FAT = (0x01, 0x04, 0x06, 0x0B, 0x0C, 0x0E)


class NotStartedError(Exception):
    """The machine stays dark: a brick."""


@dataclass(frozen=True, slots=True)
class Start:
    """What the firmware starts, and what it writes into /proc/device-tree/chosen/bootloader."""

    partition: int
    tryboot: bool

    def device_tree(self) -> dict[str, bytes]:
        """Return the cells by their names: 4 bytes, big endian."""
        return {"partition": struct.pack(">I", self.partition), "tryboot": struct.pack(">I", self.tryboot)}

    def write(self, folder: Path) -> None:
        """Write the cells as files."""
        for name, cell in self.device_tree().items():
            (folder / name).write_bytes(cell)


class Firmware:
    """One Pi with one card.

    Args:
        disk: Raw image of the card.
        forgetful: The flag reads 0 whatever is set (kernel 6.18.33 with old firmware).
        stores: The flag survives a power cut (Pi 4B revision 1.0 and 1.1).
    """

    def __init__(self, disk: Path, *, forgetful: bool = False, stores: bool = False) -> None:
        self._disk = disk
        self._forgetful = forgetful
        self._stores = stores
        self.flag = False

    def cut_power(self) -> None:
        """Forget what only memory held."""
        self.flag = self.flag and self._stores

    def mailbox(self, tag: int, value: int) -> list[int]:
        """Answer `vcmailbox TAG 4 0 VALUE`: the words that it prints."""
        if tag == SET_FLAG:
            self.flag = bool(value & 1) and not self._forgetful
            return [0x1C, _OK, tag, 4, _ANSWERED | 4, value & 1, 0]
        if tag == GET_FLAG:
            return [0x1C, _OK, tag, 4, _ANSWERED | 4, int(self.flag), 0]
        return [0x1C, _OK, tag, 4, 0, value, 0]

    def boot(self) -> Start:
        """Choose as after a reset; the flag is used up. Raises NotStartedError."""
        tryboot, self.flag = self.flag, False
        wanted, whole_partition = self._autoboot(tryboot)
        if wanted is None:
            wanted = next((p.number for p in self._fats() if self._has_firmware(p)), None)
        chosen = next((p for p in self._fats() if p.number == wanted), None)
        if chosen is None or not self._has_firmware(chosen):
            raise NotStartedError(f"partition {wanted} holds no firmware")
        if tryboot and not whole_partition and not self.files(chosen.number).holds("tryboot.txt"):
            raise NotStartedError(f"partition {wanted} has no tryboot.txt")
        return Start(chosen.number, tryboot)

    def files(self, partition: int) -> Fat:
        """Return the file system that was started. Raises FatError."""
        found = next((p for p in self._fats() if p.number == partition), None)
        if found is None:
            raise FatError(f"partition {partition} is no FAT")
        return Fat(self._disk, found.start)

    def settings(self, start: Start) -> dict[str, str]:
        """Return what config.txt says for this start: `kernel`, `initramfs`, `cmdline` and so on."""
        filters = {"all": True, "none": False, "tryboot": start.tryboot}
        filters[f"boot_partition={start.partition}"] = True
        text = self.files(start.partition).read("config.txt").decode("ascii", "replace")
        return {"cmdline": "cmdline.txt", **_read(text, filters)}

    def _autoboot(self, tryboot: bool) -> tuple[int | None, bool]:
        """Return the partition that the first FAT names, if any, and whether tryboot means a partition."""
        try:
            first = self._fats()[0]
            data = Fat(self._disk, first.start).read("autoboot.txt")
        except (FatError, IndexError):
            return None, False
        text = data[:_AUTOBOOT_BYTES].decode("ascii", "replace")
        said = _read(text, {"all": True, "none": False, "tryboot": tryboot})
        number = said.get("boot_partition", "")
        wanted = int(number) if number.isascii() and number.isdecimal() and int(number) else None
        return wanted, said.get("tryboot_a_b") == "1"

    def _fats(self) -> list[Partition]:
        return [p for p in partitions(self._disk) if p.kind in _FAT]

    def _has_firmware(self, partition: Partition) -> bool:
        try:
            fat = Fat(self._disk, partition.start)
        except FatError:
            return False
        return any(fat.holds(name) for name in FIRMWARE)


def _read(text: str, filters: dict[str, bool]) -> dict[str, str]:
    """Return the last value of each key below a filter that applies; a filter that is not known does not."""
    applies, found = True, dict[str, str]()
    for line in (line.split("#")[0].strip() for line in text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            applies = filters.get(line[1:-1].lower(), False)
        elif applies and "=" in line:
            key, _, value = line.partition("=")
            found[key.strip()] = value.strip()
        elif applies and line.startswith("initramfs "):
            found["initramfs"] = line.split()[1]
    return found


__all__ = ["GET_FLAG", "SECTOR", "SET_FLAG", "Firmware", "NotStartedError", "Start"]
