"""Commands in the Pi, over one ssh connection that all of them share."""

import contextlib
import queue
import subprocess
import threading
import time
from pathlib import Path
from shlex import quote
from typing import Self

_TRY_S = 5
_COMMAND_S = 120.0

# ends the program when our end of its input is gone: killing ssh alone would leave it running
_TIED = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
"""


class CommandError(Exception):
    """A command in the Pi failed; the message has all it said."""


class Program:
    """A program in the Pi that we listen to while it runs; leaving the block ends it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def line(self, timeout_s: float = 60.0) -> str:
        """Return its next line. Raises CommandError if it ends, or keeps silent, without one."""
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            raise CommandError(f"the program said nothing within {timeout_s} s") from None
        if not line:
            raise CommandError("the program has ended; its error output is above")
        return _text(line).rstrip("\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            while line := output.readline():
                self._lines.put(line)
        self._lines.put(b"")


class Shell:
    """root on the Pi behind this loopback port."""

    def __init__(self, port: int, key: Path, folder: Path) -> None:
        options = {
            "IdentityFile": key,
            "IdentitiesOnly": "yes",
            "StrictHostKeyChecking": "no",  # loopback, and a new Pi each time
            "UserKnownHostsFile": "/dev/null",
            "LogLevel": "ERROR",
            "ConnectTimeout": _TRY_S,
            "ControlMaster": "auto",
            "ControlPath": folder / "ssh",
            "ControlPersist": "yes",
        }
        self._ssh = ["ssh", "-F", "none", "-p", str(port)]
        for name, value in options.items():
            self._ssh += ["-o", f"{name}={value}"]

    def wait(self, timeout_s: float) -> None:
        """Return when the Pi lets us in. Raises TimeoutError."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            try:
                if self._start("true", _TRY_S * 3).returncode == 0:
                    return
            except subprocess.TimeoutExpired:
                pass
            time.sleep(0.5)
        raise TimeoutError(f"the Pi did not let us in within {timeout_s:.0f} s")

    def run(
        self, command: str, *, check: bool = True, timeout_s: float = _COMMAND_S, given: bytes | None = None
    ) -> str:
        """Run a command line of sh with `given` as its input; return what it wrote to its output.

        Raises:
            CommandError: It failed (unless `check` is off), or took too long.
        """
        try:
            done = self._start(command, timeout_s, given)
        except subprocess.TimeoutExpired as error:
            said = (error.stdout or b"") + (error.stderr or b"")
            raise CommandError(f"{command}\ntook more than {timeout_s} s\n{_text(said)}") from error
        if check and done.returncode:
            said = done.stdout + done.stderr
            raise CommandError(f"{command}\nended with {done.returncode}\n{_text(said)}")
        return _text(done.stdout)

    def put(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        """Write a file, and its folder if need be."""
        data = content.encode() if isinstance(content, str) else content
        folder = quote(str(Path(path).parent))
        self.run(f"mkdir -p {folder} && cat >{quote(path)} && chmod {mode:o} {quote(path)}", given=data)

    def get(self, path: str) -> str:
        """Return a file's text."""
        return self.run(f"cat {quote(path)}")

    def open(self, command: str) -> subprocess.Popen[bytes]:
        """Start a command whose input and output we keep."""
        return subprocess.Popen(
            [*self._ssh, "root@127.0.0.1", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def open_python(self, source: str) -> Program:
        """Start a Python program whose lines we read; it ends with the block, also in the Pi."""
        return Program(self.open(f"exec python3 -c {quote(_TIED + source)}"))

    def close(self) -> None:
        """Hang up."""
        leave = [*self._ssh, "-O", "exit", "root@127.0.0.1"]
        subprocess.run(leave, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _start(
        self, command: str, timeout_s: float, given: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*self._ssh, "root@127.0.0.1", command],
            input=given or b"",
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )


def _text(data: bytes) -> str:
    return data.decode(errors="replace")
