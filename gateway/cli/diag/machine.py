"""Facts about the machine, each from a file or program of the list below and from nowhere else."""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from gateway import __version__

_PACKAGES = (
    "aiomqtt", "bleak", "cryptography", "dbus-fast", "gpiod", "gpiozero", "msgspec", "paho-mqtt", "PyJWT",
    "pymodbus", "pyserial", "rich", "smbus2", "spidev", "tomlkit", "tpm2-pytss",
)  # fmt: skip
_DEBIAN = ("reed-gateway", "bluez", "chrony", "libgpiod3", "openssl", "python3", "systemd", "tpm2-openssl")
_MEMORY = ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree")
_FILES = {
    "model": "/proc/device-tree/model",
    "load": "/proc/loadavg",
    "uptime": "/proc/uptime",
    "cpu_temperature_mdegc": "/sys/class/thermal/thermal_zone0/temp",
    "throttled": "/sys/devices/platform/soc/soc:firmware/get_throttled",
    "pressure_cpu": "/proc/pressure/cpu",
    "pressure_io": "/proc/pressure/io",
    "pressure_memory": "/proc/pressure/memory",
}
_UNITS = ("reed-gateway.service", "reed-secrets.service", "reed-renew.service", "reed-renew.timer")
_UNIT_FACTS = (
    "Id,ActiveState,SubState,Result,NRestarts,ExecMainStatus,ExecMainCode,ActiveEnterTimestamp,MemoryCurrent,"
    "MemoryPeak,CPUUsageNSec,WatchdogUSec,UnitFileState"
)
_JOURNAL_LINES = 1000
_LONGEST_S = 10.0
_MAX_CHARS = 512 * 1024


def versions() -> dict[str, Any]:
    """Return the versions of the gateway and of what it stands on."""
    os_release = platform.freedesktop_os_release()
    return {
        "reed": __version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "system": os_release.get("PRETTY_NAME", ""),
        "python_packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "debian_packages": _debian(),
    }


def facts(folders: Mapping[str, Path]) -> dict[str, Any]:
    """Return what the kernel says of memory, disks, load and temperature, and systemd of clock and units.

    Args:
        folders: Whose disks to look at, by what they are for.
    """
    return {
        **{name: said for name, path in _FILES.items() if (said := _said(Path(path)))},
        "memory": _memory(),
        "disks": {name: _disk(folder) for name, folder in folders.items()},
        "clock": _pairs(
            _output("timedatectl", "show", "-p", "NTP", "-p", "NTPSynchronized", "-p", "TimeUSec")
        ),
        "units": [_pairs(_output("systemctl", "show", unit, "-p", _UNIT_FACTS)) for unit in _UNITS],
    }


def journal() -> str:
    """Return the last lines of our units; "" if this user may not read them. No host name stands in it."""
    words = ["-q", "--no-pager", "--no-hostname", "-o", "short-iso", "-n", str(_JOURNAL_LINES)]
    return _output("journalctl", *words, "-u", "reed-*")[-_MAX_CHARS:]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _debian() -> dict[str, str]:
    lines = _output("dpkg-query", "-W", "-f", "${Package} ${Version}\n", *_DEBIAN).splitlines()
    return {name: version for name, _, version in (line.partition(" ") for line in lines) if version}


def _memory() -> dict[str, str]:
    lines = (line.partition(":") for line in _said(Path("/proc/meminfo")).splitlines())
    return {name: value.strip() for name, _, value in lines if name in _MEMORY}


def _disk(folder: Path) -> dict[str, Any]:
    try:
        usage, status = shutil.disk_usage(folder), os.statvfs(folder)
    except OSError as error:
        return {"problem": error.strerror}
    read_only = bool(status.f_flag & os.ST_RDONLY)
    facts = {"total_bytes": usage.total, "free_bytes": usage.free, "free_inodes": status.f_favail}
    return facts | {"read_only": read_only}


def _said(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""


def _pairs(text: str) -> dict[str, str]:
    return {key: value for key, _, value in (line.partition("=") for line in text.splitlines())}


def _output(program: str, *words: str) -> str:
    """Return what a program says; "" if it is missing, fails or takes too long."""
    command: Sequence[str] = (program, *words)
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(  # noqa: S603  # words of this module
            command,
            capture_output=True,
            text=True,
            timeout=_LONGEST_S,
            check=False,
            env=environment,
            errors="replace",
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout
