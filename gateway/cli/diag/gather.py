"""What goes into a support bundle: this list, and nothing else."""

import argparse
import contextlib
import json
import socket
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from gateway.cli import identity
from gateway.cli.access import connect
from gateway.cli.diag import machine, redact
from gateway.cli.diag.names import Names, names_in
from gateway.config.check import warnings
from gateway.config.model import Config, GatewayConfig
from gateway.config.read import MAX_BYTES, read
from gateway.errors import ConfigError, GatewayError, StoreError

_MESSAGES = 300


@dataclass(frozen=True, slots=True)
class File:
    """One file of the bundle: its name, what it is, and what it holds."""

    name: str
    what: str
    text: str

    @property
    def size_bytes(self) -> int:
        """Its size."""
        return len(self.text.encode())


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    what: str
    # Any: JSON to be, or a text
    make: Callable[[], Any]


class Gathering:
    """Collects the parts; one that cannot be had is a line in `problems`.

    Args:
        args: With `config` and `socket`.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self.problems: list[str] = []
        self._document: dict[str, Any] = {}
        self._view: dict[str, Any] = {}
        self._config: Config | None = None

    def files(self, *, hash_names: bool) -> list[File]:
        """Return the files, with nothing secret in them."""
        gathered = [(part, made) for part in self._parts() if (made := self._made(part)) is not None]
        known = names_in(self._document, self._view)
        names = Names([*known, socket.gethostname()]) if hash_names else None
        secrets = self._secrets()
        about = _Part("about.json", "when and how this was made, and what is missing", dict)
        gathered.insert(0, (about, self._about(hash_names=hash_names)))
        return [
            File(part.name, part.what, _text(redact.scrubbed(made, secrets), names))
            for part, made in gathered
        ]

    def _parts(self) -> Iterator[_Part]:
        yield _Part("versions.json", "versions of the gateway and of what it stands on", machine.versions)
        yield _Part("configuration.json", "the configuration; secret or unknown values hidden", self._shown)
        yield _Part("check.json", "what check-config says of it", self._check)
        yield _Part("status.json", "zones, sensors, valves, meters, alarms, link, store", self._status)
        yield _Part("messages.json", "the last messages", self._messages)
        yield _Part("metrics.prom", "figures", self._metrics)
        yield _Part("identity.json", "certificates: from when, until when; no keys", self._identity)
        yield _Part("machine.json", "disk, memory, clock, kernel, units", self._facts)
        yield _Part("journal.txt", "the last lines of the reed units", self._journal)

    # Any: JSON to be, or a text
    def _made(self, part: _Part) -> Any:  # noqa: ANN401
        try:
            return part.make()
        except (GatewayError, OSError, ValueError) as error:
            self.problems.append(f"{part.name}: {error}")
            return None

    def _about(self, *, hash_names: bool) -> dict[str, Any]:
        made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return {"made_at": made, "names_hashed": hash_names, "missing": self.problems}

    def _shown(self) -> dict[str, Any]:
        try:
            with self._args.config.open("rb") as file:
                self._document = tomllib.loads(file.read(MAX_BYTES).decode())
        except tomllib.TOMLDecodeError:
            raise ConfigError(
                (str(self._args.config), "is not TOML; see: reed-gateway check-config")
            ) from None
        return redact.configuration(self._document)

    def _check(self) -> dict[str, Any]:
        try:
            self._config = read(self._args.config)
        except ConfigError as error:
            return {"problems": [f"{key}: {problem}" for key, problem in error.problems], "notes": []}
        return {"problems": [], "notes": warnings(self._config)}

    def _status(self) -> dict[str, Any]:
        self._view = self._call("GetView")["view"]
        return self._view

    def _messages(self) -> object:
        return self._call("GetEvents", limit=_MESSAGES)["messages"]

    def _metrics(self) -> str:
        return str(self._call("GetMetrics")["text"])

    def _identity(self) -> dict[str, Any]:
        return identity.gather(self._args, self._sound())

    def _facts(self) -> dict[str, Any]:
        folders = {"root": self._args.config.absolute().root}
        if self._config is not None:
            folders |= {"state": self._config.gateway.state_dir, "runtime": self._config.gateway.runtime_dir}
        return machine.facts(folders)

    def _journal(self) -> str:
        lines = machine.journal()
        if not lines:
            raise StoreError("no lines; is this a systemd machine, and may this user read them?")
        return lines

    def _call(self, method: str, limit: int | None = None) -> dict[str, Any]:
        with connect(self._args) as client:
            return client.call(method, limit=limit)

    def _sound(self) -> Config:
        if self._config is None:
            raise StoreError("there is no configuration that could be read")
        return self._config

    def _secrets(self) -> set[str]:
        """Return what must not be found anywhere: what the configuration hides, and what lies open."""
        folder = (GatewayConfig(id="") if self._config is None else self._config.gateway).runtime_dir
        found = redact.secrets_in(self._document)
        with contextlib.suppress(OSError):
            found |= {path.read_text(errors="replace").strip() for path in (folder / "secrets").iterdir()}
        return found


# Any: JSON to be, or a text
def _text(made: Any, names: Names | None) -> str:  # noqa: ANN401
    if isinstance(made, str):
        return made if names is None else names.text(made)
    value = made if names is None else names.value(made)
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"
