"""Whether the wall clock can be believed, and which boot this is.

A Raspberry Pi has no clock of its own: until it hears the time it may be years behind. The floor is the
latest moment that is certainly past: this release, the last time saved, the begin of the own certificate.
Decisions never use wall time; only stamps, freshness and expiry do, and they ask `trusted` first.
"""

import binascii
import re
import time
from collections.abc import Callable
from pathlib import Path

from gateway.app.certificate_file import head

RELEASED_UNIX_S = 1_793_491_200.0
"""2026-11-01, the earliest day on which this code can run; set with each release."""

_PLAUSIBLE_AHEAD_S = 30 * 365.25 * 86400
_SYNCHRONISED = Path("/run/systemd/timesync/synchronized")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NOT_BEFORE = re.compile(rb"\x17\x0d(\d{12})Z|\x18\x0f(\d{14})Z")
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)


def boot_id(path: Path = _BOOT_ID) -> str:
    """Return the kernel's id of this boot, or "unknown"."""
    try:
        return path.read_text().strip()
    except OSError:
        return "unknown"


def not_before_unix_s(certificate: Path) -> float:
    """Return the begin of a certificate's validity; 0 if it cannot be read.

    The first time in the DER of a certificate is notBefore (RFC 5280, 4.1); parsing the rest would need
    a library that costs more memory than this daemon's core.
    """
    try:
        found = _PEM.search(head(certificate))
        der = binascii.a2b_base64(found.group(1)) if found else b""
    except (OSError, ValueError):
        return 0.0
    stamp = _NOT_BEFORE.search(der)
    if stamp is None:
        return 0.0
    short, long = stamp.groups()
    return _unix_s(long.decode() if long else _century(short.decode()))


def _century(short: str) -> str:
    """Return a two-digit year with its century (RFC 5280, 4.1.2.5.1: 50 and more are 19xx)."""
    return ("19" if int(short[:2]) >= 50 else "20") + short  # noqa: PLR2004  # the RFC's number


def _unix_s(stamp: str) -> float:
    # needed once at the start, and only with a link; strptime would keep its tables in memory for ever
    from datetime import datetime  # noqa: PLC0415

    try:
        return datetime.fromisoformat(f"{stamp[:8]}T{stamp[8:]}Z").timestamp()
    except ValueError:
        return 0.0


class WallClock:
    """The wall clock and its floor.

    Args:
        read: Returns Unix seconds; a test gives its own.
        read_mono_s: Returns monotonic seconds.
    """

    def __init__(
        self, read: Callable[[], float] = time.time, read_mono_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._read_mono_s = read_mono_s
        self._floor_unix_s = RELEASED_UNIX_S
        self._floor_at_mono_s = read_mono_s()

    def now_unix_s(self) -> float:
        """Return what the clock says, right or wrong."""
        return self._read()

    @property
    def floor_unix_s(self) -> float:
        """A moment that is certainly past; it moves on with the monotonic clock."""
        return self._floor_unix_s + (self._read_mono_s() - self._floor_at_mono_s)

    def trusted(self) -> bool:
        """Return True if the clock is not provably wrong."""
        slack_s = 1.0  # both clocks are slewed and read one after the other
        return self.floor_unix_s - slack_s <= self._read() < RELEASED_UNIX_S + _PLAUSIBLE_AHEAD_S

    def trusted_unix_s(self) -> float | None:
        """Return the time, or None while it is not to be trusted."""
        return self._read() if self.trusted() else None

    def raise_floor(self, unix_s: float) -> None:
        """Add a moment that is certainly past; one beyond all plausibility is ignored."""
        if self.floor_unix_s < unix_s < RELEASED_UNIX_S + _PLAUSIBLE_AHEAD_S:
            self._floor_unix_s, self._floor_at_mono_s = unix_s, self._read_mono_s()

    def take_network_time(self, marker: Path = _SYNCHRONISED) -> None:
        """Raise the floor to the present if systemd-timesyncd vouches for it."""
        if marker.exists():
            self.raise_floor(self._read())
