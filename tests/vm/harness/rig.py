"""The rig inside the Pi, from outside: each request of tests/vm/rig is a call here."""

import contextlib
import json
import queue
import subprocess
import threading
from typing import Any

from tests.vm.harness.shell import Shell

_COMMAND = "cd /opt/rig && PYTHONPATH=/opt/rig:/opt/bumble:/opt/reed exec python3 -m rig"
_START_S = 60.0
_ANSWER_S = 60.0
_END_S = 20.0


class RigError(Exception):
    """The rig could not do it; the message is its traceback."""


class Rig:
    """One process in the Pi. `rig.ask("lines.pull", line=4, to="low")` calls `Lines.pull` there.

    Times in answers are CLOCK_MONOTONIC seconds of the Pi.
    """

    def __init__(self, shell: Shell) -> None:
        self._process: subprocess.Popen[bytes] = shell.open(_COMMAND)
        self._answers: queue.Queue[bytes] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._last_id = 0
        self._receive(_START_S)

    def ask(self, do: str, *, answer_s: float = _ANSWER_S, **with_: Any) -> Any:  # noqa: ANN401  # JSON
        """Let the rig do this and return its answer. Raises RigError."""
        self._last_id += 1
        request = {"id": self._last_id, "do": do, "with": with_}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        reply = self._receive(answer_s)
        if "error" in reply:
            raise RigError(f"{do} {with_}\n{reply['error']}")
        return reply["ok"]

    def reset(self) -> None:
        """Leave nothing of the last story, neither in the air nor on a wire nor in the record."""
        for do in ("valves.remove_all", "air.close", "rope.close", "converter.close", "cloud.close"):
            self.ask(do)
        self.ask("lines.persist", on=True)
        self.ask("lines.renew")
        self.ask("record.forget")

    def close(self) -> None:
        """End it; it gives everything back."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._reader.join(_END_S)

    def kill(self) -> None:
        """End our side; for a Pi that has lost its power."""
        assert self._process.stdin is not None
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def _receive(self, timeout_s: float) -> dict[str, Any]:
        try:
            line = self._answers.get(timeout=timeout_s)
        except queue.Empty:
            raise RigError(f"the rig did not answer within {timeout_s} s") from None
        if not line:
            raise RigError(f"the rig has ended with {self._process.wait(_END_S)}")
        reply: dict[str, Any] = json.loads(line)
        if reply["id"] != self._last_id:
            return self._receive(timeout_s)  # the answer to a question that nobody waits for any more
        return reply

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as answers:
            while line := answers.readline():
                self._answers.put(line)
        self._answers.put(b"")
