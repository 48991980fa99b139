"""Runs shell commands for the test, each in a thread of its own: JSON lines on a virtio port."""

import json
import os
import subprocess
import threading
import time

PORT = "/dev/virtio-ports/reed.rig"


def main() -> None:
    while not os.path.exists(PORT):  # noqa: PTH110  # no more imports than needed
        time.sleep(0.1)
    port = os.open(PORT, os.O_RDWR)
    lock = threading.Lock()
    waiting = b""
    while True:
        data = os.read(port, 65536)
        if not data:  # nobody at the other end
            time.sleep(0.1)
            waiting = b""
            continue
        *lines, waiting = (waiting + data).split(b"\n")
        for line in filter(None, lines):
            threading.Thread(target=_run, args=(json.loads(line), port, lock), daemon=True).start()


def _run(request: dict[str, object], port: int, lock: threading.Lock) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", str(request["sh"])],
        input=str(request.get("given", "")).encode(),
        capture_output=True,
        check=False,
        env={**os.environ, "HOME": "/root", "LC_ALL": "C.UTF-8"},
    )
    answer = {
        "id": request["id"],
        "rc": done.returncode,
        "out": done.stdout.decode(errors="replace"),
        "err": done.stderr.decode(errors="replace"),
    }
    data = json.dumps(answer).encode() + b"\n"
    with lock:
        while data:
            data = data[os.write(port, data) :]


main()
