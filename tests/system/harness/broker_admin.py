"""A broker's administration in a process of its own: `-m tests.system.harness.broker_admin HOME SETTINGS`.

A line of JSON in is a call, {"id", "method", "arguments"}; a line out is its end, {"id", "result" | "error"}.
"""

import base64
import dataclasses
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cloud.brokers import open_broker
from cloud.brokers.mosquitto import config
from cloud.brokers.settings import Settings
from cloud.errors import CloudError
from cloud.home import Home


class Methods:
    """What may be called: the interface, and what is written before a mosquitto starts."""

    def __init__(self, home: Home, settings: Settings) -> None:
        self._home = home
        self._settings = settings
        self._admin = open_broker(settings, home)

    def prepare(self) -> str:
        config.write_access(self._home, [])
        return str(config.write_config(self._home, self._settings))

    def install_crl(self, pem: str) -> None:
        self._admin.install_crl(base64.b64decode(pem))

    def granted(self) -> list[str]:
        return sorted(self._admin.granted())

    def present(self, unwanted: list[str]) -> list[str]:
        return sorted(self._admin.present(set(unwanted)))

    def stats(self) -> dict[str, Any]:
        return dataclasses.asdict(self._admin.stats())

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # the others as they are
        return getattr(self._admin, name)


def main() -> None:
    home, settings = sys.argv[1:]
    methods = Methods(Home(Path(home)), Settings(**json.loads(settings)))
    lock = threading.Lock()

    def answer(line: str) -> None:
        call = json.loads(line)
        try:
            said = {"result": getattr(methods, call["method"])(*call["arguments"])}
        except CloudError as error:
            said = {"error": str(error)}
        with lock:
            print(json.dumps({"id": call["id"], **said}), flush=True)  # noqa: T201

    with ThreadPoolExecutor(8) as pool:
        for line in sys.stdin:
            pool.submit(answer, line)


if __name__ == "__main__":
    main()
