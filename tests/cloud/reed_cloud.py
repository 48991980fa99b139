"""`reed-cloud` as an operator has it: commands in processes of their own, and `run` in the background."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cloud.home import Home

PATIENCE_S = 30.0
_ROOT = Path(__file__).parents[2]


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("REED_", "DJANGO_"))}
    return {**kept, "PYTHONPATH": str(_ROOT), **more}


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "cloud", *map(str, words)]


def reed_cloud(*words: object, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment(**more),
    )


def done(*words: object, **more: str) -> str:
    """Return what a command says that must succeed."""
    finished = reed_cloud(*words, **more)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def until(holds: Callable[[], object], what: str) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end_s, f"never: {what}"
        time.sleep(0.02)


def family(pid: int) -> list[int]:
    """Return all living descendants."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [each for child in children for each in (int(child), *family(int(child)))]


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


class Running:
    """`reed-cloud run`; `log` is what it says."""

    def __init__(self, home: Home, log_file: Path) -> None:
        self.home = home
        self.log_file = log_file
        self.heard = ""
        self._ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = log_file.with_suffix(".notify")
        path.unlink(missing_ok=True)
        self._ear.bind(str(path))
        self._ear.settimeout(0.1)
        with log_file.open("wb") as log:
            self.process = subprocess.Popen(
                command("run", "--home", home.folder),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=environment(NOTIFY_SOCKET=str(path)),
            )

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    @property
    def below(self) -> list[int]:
        return family(self.process.pid)

    def pid_of(self, program: str) -> int:
        """Return the process id; mosquitto empties its file before it writes it anew."""
        file = self.home.pid_file(program)
        until(lambda: file.exists() and file.read_text().strip() != "", f"the process id of {program}")
        return int(file.read_text())

    def listen(self) -> None:
        with contextlib.suppress(TimeoutError):
            self.heard += self._ear.recv(4096).decode() + "\n"

    def until_heard(self, words: str) -> None:
        def is_heard() -> bool:
            self.listen()
            assert self.process.poll() is None, self.log
            return words in self.heard

        until(is_heard, f"{words}; the log: {self.log}")

    def until_logged(self, words: str) -> None:
        until(lambda: words in self.log, f"{words} in the log: {self.log}")

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._ear.close()


@contextlib.contextmanager
def running(home: Home, log_file: Path) -> Iterator[Running]:
    """Have it from READY on."""
    cloud = Running(home, log_file)
    try:
        cloud.until_heard("READY=1")
        yield cloud
    finally:
        cloud.end()


def new_home(folder: Path) -> Home:
    """Set up a cloud on free ports of the loopback."""
    names = ("--https-port", "--broker-port", "--admin-port")
    ports = [word for pair in zip(names, free_ports(3), strict=True) for word in pair]
    done("init", "--home", folder, "--host", "localhost", "--bind", "127.0.0.1", *ports)
    return Home(folder)


def setting(home: Home, key: str, value: str) -> None:
    """Change a line of cloud.toml, commented out or not."""
    text, count = re.subn(rf"(?m)^(# )?{key} = .*$", f"{key} = {value}", home.settings_file.read_text())
    assert count == 1, key
    home.settings_file.write_text(text)
