"""The dead man's guard: what is on trial goes by itself unless somebody commits it, whatever has broken.

It is a shell script with a timer of its own, copied out of the package before anything is changed: a package
whose Python does not even start cannot keep it from acting, nor can a power cut.
"""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from gateway import durable
from gateway.domain.update.model import Code
from gateway.errors import UpdateError
from gateway.update.apply import programs

UNITS = Path("/usr/local/lib/systemd/system")
"""Not of any package, and kept where the root file system is read-only."""

_SOURCE = Path(__file__).with_name("guard.sh")
_SCRIPT, _SETTINGS = "guard.sh", "guard.conf"
_TIMER = "reed-apply-guard.timer"
_SYSTEMCTL_S = 60.0
_RESTORE_S = 900.0
_SERVICE_UNIT = """\
[Unit]
Description=Bring the former version back: nobody has said that the new one is good
Documentation=man:reed-gateway(1)
ConditionPathExists={home}/guard.sh
StartLimitIntervalSec=0
[Service]
Type=oneshot
ExecStart=/bin/sh {home}/guard.sh restore "not committed within {minutes:g} minutes"
TimeoutStartSec=30min
Restart=on-failure
RestartSec=1min
"""
_TIMER_UNIT = """\
[Unit]
Description=Bring the former version back unless the new one is committed in time
Documentation=man:reed-gateway(1)
[Timer]
# counted from the installation, and anew from each boot
OnActiveSec={guard_s:g}s
AccuracySec=1s
[Install]
WantedBy=timers.target
"""


class DeadMan:
    """Armed before a change, disarmed by commit or restore.

    Args:
        home: Root's own folder.
        guard_s: The former version comes back after this time, seconds.
        units: Where its units go.
    """

    def __init__(self, home: Path, guard_s: float, units: Path = UNITS) -> None:
        self._home = home
        self._guard_s = guard_s
        self._units = units

    def arm(self, settings: Mapping[str, str]) -> None:
        """Have it act unless it is disarmed in time. Raises UpdateError (INSTALL_FAILED), OSError."""
        lines = "".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items())
        durable.write(self._home / _SCRIPT, _SOURCE.read_bytes(), 0o700)
        durable.write(self._home / _SETTINGS, lines.encode())
        wanted = self._units / "timers.target.wants"
        wanted.mkdir(parents=True, exist_ok=True)
        words = {"home": self._home, "guard_s": self._guard_s, "minutes": self._guard_s / 60}
        durable.write(self._units / "reed-apply-guard.service", _SERVICE_UNIT.format(**words).encode(), 0o644)
        durable.write(self._units / _TIMER, _TIMER_UNIT.format(**words).encode(), 0o644)
        (wanted / _TIMER).unlink(missing_ok=True)
        (wanted / _TIMER).symlink_to(self._units / _TIMER)
        for folder in (wanted, self._units, *self._units.parents[:3]):  # which may be new
            durable.sync_folder(folder)
        programs.must("systemctl", "daemon-reload", timeout_s=_SYSTEMCTL_S)
        self.count_anew()

    def count_anew(self) -> None:
        """Have its time begin now. Raises UpdateError (INSTALL_FAILED)."""
        programs.must("systemctl", "restart", _TIMER, timeout_s=_SYSTEMCTL_S)

    def disarm(self) -> None:
        """The trial is over. Raises UpdateError (INSTALL_FAILED)."""
        self._run("disarm")

    def restore(self, why: str) -> None:
        """Act at once. Raises UpdateError (INSTALL_FAILED) if the former version is not back then."""
        self._run("restore", why)

    def repair(self) -> None:
        """Finish what dpkg was interrupted in. Raises UpdateError (INSTALL_FAILED)."""
        self._run("repair")

    def _run(self, *words: str) -> None:
        script = self._home / _SCRIPT
        if not script.exists():  # nothing was ever armed
            durable.write(script, _SOURCE.read_bytes(), 0o700)
        settings = {
            "REED_APPLY_HOME": str(self._home),
            "REED_GUARD_UNITS": str(self._units),
            "REED_APPLY_LOCKED": "yes",
        }
        given = [f"{name}={value}" for name, value in settings.items()]
        ended = programs.run("env", *given, "/bin/sh", str(script), *words, timeout_s=_RESTORE_S)
        os.write(2, ended.said.encode())
        if ended.status:
            raise UpdateError(Code.INSTALL_FAILED, f"{words[0]}: {ended.last_words}", passing=True)
