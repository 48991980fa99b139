"""A Debian 13 machine that boots: systemd, journald, apt and dpkg as on any other, in a container.

Files, processes, mounts and network are its own and live in memory. When its holder ends, however it does,
all of that is gone; what the machine has written survives any number of its boots until then.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from tests.system.harness.machine import SOURCE
from tests.system.harness.tree import REPOSITORY, ready_tree
from tests.system.harness.tree import why_not as why_no_tree

_START_S = 10.0
_BOOT_S = 60.0
_HOLD = """
set -eu
tree=$1 own=$2 group=$3
mount -t tmpfs -o mode=755 none "$own"
mkdir "$own/upper" "$own/work" "$own/root"
mount -t overlay -o "lowerdir=$tree,upperdir=$own/upper,workdir=$own/work" none "$own/root"
mount -t tmpfs none /run
mkdir -p /run/systemd/nspawn /run/lock
umount -R /sys/fs/cgroup 2>/dev/null || umount -l /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mkdir "/sys/fs/cgroup/$group"
echo ready >"$own/up"
trap : CHLD
while :; do sleep 3600 & wait $!; done
"""
_BOOT = """
set -eu
echo 0 >"/sys/fs/cgroup/$2/cgroup.procs"
# with BPF, by which systemd restricts devices and addresses
exec systemd-nspawn --quiet --register=no --keep-unit --link-journal=no --private-network --console=pipe \
    --capability=CAP_BPF --system-call-filter=bpf \
    --directory="$1/root" --bind-ro="$3:$4" --boot
"""
_FORGET = 'cd /sys/fs/cgroup && [ ! -d "$1" ] || find "$1" -depth -type d -exec rmdir {} ";"'


def why_not() -> str:
    """Return why nothing can be booted here, or "" if it can."""
    if reason := why_no_tree():
        return reason
    if shutil.which("systemd-nspawn") is None:
        return "systemd-nspawn is missing; install it with: apt install systemd-container"
    return ""


class Booted:
    """Boots when `with` begins; its network reaches nothing but itself.

    Args:
        folder: An empty folder for its own files.
        tree: What it consists of at the start: a recipe of tests/system.
    """

    def __init__(self, folder: Path, tree: str = "tree-boot") -> None:
        self._tree = tree
        self._folder = folder
        self._group = f"reed-test-{os.getpid()}-{id(self)}"
        self._holder: subprocess.Popen[bytes] | None = None
        self._held = 0
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._first = 0

    def __enter__(self) -> Self:
        tree = ready_tree(self._tree)
        self._folder.mkdir(parents=True, exist_ok=True)
        tied = ["setpriv", "--pdeathsig", "KILL"]
        apart = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ]
        self._holder = subprocess.Popen(
            [*tied, *apart, "sh", "-c", _HOLD, "hold", tree, self._folder, self._group],
            stdin=subprocess.DEVNULL,
        )
        self._held = self._wait(
            lambda: self._ready_child(self._holder, self._folder / "up"), _START_S, "its holder"
        )
        try:
            self.boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._nspawn is not None:
            self.cut_power()
        if self._holder is not None:
            subprocess.run([*self._inside_holder(), "sh", "-c", _FORGET, "forget", self._group], check=False)
            self._holder.kill()
            self._holder.wait()
            self._holder = None

    # --- power --------------------------------------------------------------------------------------

    def boot(self) -> None:
        """Switch it on and wait until systemd has started everything; some of that may have failed.

        Raises:
            RuntimeError: It does not boot; `console.log` in its folder has what it said.
        """
        with (self._folder / "console.log").open("ab") as console:
            self._nspawn = subprocess.Popen(
                [
                    *self._inside_holder(),
                    "sh",
                    "-c",
                    _BOOT,
                    "boot",
                    self._folder,
                    self._group,
                    REPOSITORY,
                    SOURCE,
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
        self._first = self._wait(self._running_first, _BOOT_S, "systemd")
        self.run("systemctl", "is-system-running", "--wait", check=False, timeout_s=_BOOT_S)

    def cut_power(self, disk: Callable[[], object] = lambda: None) -> None:
        """End all its processes at once; its files stay as they are, unless a disk of its own loses some."""
        assert self._nspawn is not None
        os.kill(self._first, signal.SIGKILL)
        disk()
        self._nspawn.wait()
        self._nspawn = None

    def power_off(self) -> None:
        """Shut it down in good order."""
        assert self._nspawn is not None
        self.run("systemctl", "poweroff", "--no-block", check=False)
        self._nspawn.wait(_BOOT_S)
        self._nspawn = None

    def _inside_holder(self) -> list[str]:
        return ["nsenter", "--target", str(self._held), "--mount", "--pid"]

    def _ready_child(self, parent: subprocess.Popen[bytes] | None, sign: Path) -> int:
        """Return the only child of a process once that child sees a file, else 0."""
        assert parent is not None
        child = _only_child(parent.pid)
        return child if child and Path(f"/proc/{child}/root{sign}").exists() else 0

    def _running_first(self) -> int:
        """Return the host's process id of systemd once it listens, else 0."""
        assert self._nspawn is not None
        first = _only_child(_only_child(self._nspawn.pid))
        return first if first and Path(f"/proc/{first}/root/run/systemd/private").exists() else 0

    def _wait(self, found: Callable[[], int], within_s: float, wish: str) -> int:
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            if pid := found():
                return pid
            time.sleep(0.02)
        raise RuntimeError(f"the machine in {self._folder} did not start: {wish} did not come")

    # --- inside -------------------------------------------------------------------------------------

    def path(self, inside: str) -> Path:
        """Return where this host sees a file of the machine, until its next boot."""
        return Path(f"/proc/{self._first}/root") / inside.lstrip("/")

    def command(self, *words: str | Path, **environment: str) -> list[str]:
        """Return the command line that runs a program in here as root, for subprocess or asyncio."""
        settings = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "DEBIAN_FRONTEND": "noninteractive",
            **environment,
        }
        enter = [
            "nsenter",
            "--target",
            str(self._first),
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--cgroup",
        ]
        enter += [f"--root=/proc/{self._first}/root", f"--wd=/proc/{self._first}/root"]
        return [*enter, "env", "-i", *(f"{k}={v}" for k, v in settings.items()), *map(str, words)]

    def run(
        self,
        *words: str | Path,
        check: bool = True,
        timeout_s: float = 60.0,
        stdin: str = "",
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end and return what it said.

        Raises:
            AssertionError: It failed, and `check` is true; the message has its last words.
        """
        done = subprocess.run(
            self.command(*words, **environment),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            input=stdin,
        )
        said = (done.stdout + done.stderr)[-3000:]
        assert not (check and done.returncode), f"{' '.join(map(str, words))}: {done.returncode}\n{said}"
        return done

    def ask(self, *words: str | Path) -> str:
        """Return what a program that works prints, without the end of its last line."""
        return self.run(*words).stdout.rstrip("\n")

    def write(self, inside: str, text: str, owner: str = "root:root", mode: int = 0o644) -> None:
        """Write a file, and the folders above it."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        self.run("chown", owner, inside)

    def install(self, *packages: Path, check: bool = True) -> str:
        """Install, upgrade or downgrade as an administrator would; return what apt said on both outputs."""
        return self.apt("install", *self.bring(*packages), check=check)

    def apt(self, action: str, *packages: str, check: bool = True) -> str:
        """Let apt do something with packages, and return what it said on both outputs."""
        done = self.run(
            "apt-get", "-qy", "--allow-downgrades", action, *packages, check=check, timeout_s=120.0
        )
        return done.stdout + done.stderr

    def bring(self, *packages: Path) -> list[str]:
        """Copy packages into the machine; return where it sees them."""
        self.path("/var/tmp").mkdir(exist_ok=True)
        return [f"/var/tmp/{Path(shutil.copy(package, self.path('/var/tmp'))).name}" for package in packages]

    def journal(self, unit: str) -> str:
        """Return what a unit, and systemd of it, have said since this boot, one line each."""
        return self.ask("journalctl", "--boot", "--quiet", "--no-pager", "--output=cat", f"--unit={unit}")

    def shows(self, unit: str, name: str) -> str:
        """Return a property of a unit, as `systemctl show` does."""
        return self.ask("systemctl", "show", "--value", f"--property={name}", unit)


def _only_child(pid: int) -> int:
    """Return the child of a process, 0 if it has none."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0
    return int(children[0]) if children else 0
