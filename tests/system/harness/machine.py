"""A machine of its own on the Debian 13 tree: own files, own processes, this host's loopback network.

Everything lives in one mount and one process namespace; when its first process ends, all of it is gone.
"""

import os
import subprocess
import time
from pathlib import Path
from typing import IO, Self

from tests.system.harness.tree import REPOSITORY, ready_tree

SOURCE = "/opt/reed"
"""Where the machine sees this checkout, read-only."""

_START_S = 10.0
_BOOT = """
set -eu
tree=$1 own=$2 repository=$3
mount -t tmpfs -o mode=755 none "$own"
mkdir "$own/upper" "$own/work" "$own/root"
mount -t overlay -o "lowerdir=$tree,upperdir=$own/upper,workdir=$own/work" none "$own/root"
root=$own/root
mount -t proc none "$root/proc"
mount -t tmpfs -o mode=1777 none "$root/tmp"
mount -t tmpfs -o mode=755 none "$root/run"
for device in null zero full random urandom; do
    [ -e "$root/dev/$device" ] || : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir -p "$root/dev/shm" "$root/dev/pts" "$root/opt/reed"
mount -t tmpfs -o mode=1777 none "$root/dev/shm"
mount --bind "$repository" "$root/opt/reed"
mount -o remount,bind,ro "$root/opt/reed"
cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || :
echo ready >"$own/root/run/up"
exec chroot "$root" /bin/sh -c 'trap : CHLD; while :; do sleep 3600 & wait $!; done'
"""


class Machine:
    """Lives within `with`.

    Args:
        folder: An empty folder for its own files.
        name: For messages.
        tree: What it consists of at the start: a recipe of tests/system.
    """

    def __init__(self, folder: Path, name: str = "machine", tree: str = "tree") -> None:
        self.name = name
        self._tree = tree
        self._folder = folder
        self._unshare: subprocess.Popen[bytes] | None = None
        self._first = 0
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        tree = ready_tree(self._tree)
        self._folder.mkdir(parents=True, exist_ok=True)
        flags = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--uts", "--ipc"]
        self._unshare = subprocess.Popen(
            ["unshare", *flags, "sh", "-c", _BOOT, "boot", tree, self._folder, REPOSITORY],
            stdin=subprocess.DEVNULL,
        )
        self._first = self._wait_for_first(self._unshare)
        return self

    def _wait_for_first(self, unshare: subprocess.Popen[bytes]) -> int:
        """Return the host's process id of the machine's first process once everything is mounted."""
        deadline_s = time.monotonic() + _START_S
        children = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children")
        while time.monotonic() < deadline_s and unshare.poll() is None:
            found = children.read_text().split()
            if found and Path(f"/proc/{found[0]}/root/run/up").exists():
                return int(found[0])
            time.sleep(0.01)
        raise RuntimeError(f"the machine {self.name} did not start")

    def __exit__(self, *_: object) -> None:
        self.power_off()

    def power_off(self) -> None:
        """End it as a power cut would; its files are gone, too."""
        if self._unshare is not None:
            self._unshare.kill()
            self._unshare.wait()
            self._unshare = None
        for program in self._started:
            program.wait()

    def path(self, inside: str) -> Path:
        """Return where this host sees a file of the machine."""
        return Path(f"/proc/{self._first}/root") / inside.lstrip("/")

    def command(self, *words: str | Path, **environment: str) -> list[str]:
        """Return the command line that runs a program in here, for subprocess or asyncio."""
        settings = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "PYTHONPATH": SOURCE,
            "PYTHONDONTWRITEBYTECODE": "1",
            "TSS2_LOG": "all+none",
            **environment,
        }
        enter = ["nsenter", "--target", str(self._first), "--mount", "--pid", "--uts", "--ipc"]
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

    def start(
        self, *words: str | Path, output: IO[bytes] | int = subprocess.DEVNULL, **environment: str
    ) -> subprocess.Popen[bytes]:
        """Begin a program that goes on; it ends with the machine at the latest."""
        program = subprocess.Popen(
            self.command(*words, **environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={"PATH": os.environ["PATH"]},
        )
        self._started.append(program)
        return program
