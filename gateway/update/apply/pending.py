"""What is on trial: installed, or about to be, and neither committed nor restored. One thing at a time."""

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from gateway import durable
from gateway.domain.model import Json
from gateway.domain.update.model import Code
from gateway.errors import UpdateError

NAME = "pending.json"
OUTCOME = "outcome.json"

BEGUN, INSTALLED = "begun", "installed"


@dataclass(frozen=True, slots=True)
class Pending:
    """Something on trial.

    Args:
        version: That is tried.
        former_version: That comes back unless this is committed.
        phase: "begun" before anything is changed, "installed" once it runs.
        sha256: Of what was installed.
    """

    kind: str
    target: str
    version: str
    former_version: str
    phase: str = BEGUN
    sha256: str = ""
    order_id: str = ""
    actor: str = ""

    def as_json(self) -> dict[str, Json]:
        """Return it for an answer."""
        return asdict(self)


class Trial:
    """Keeps what is on trial in root's folder, and how the last trial ended unless it was committed.

    Args:
        home: Root's own folder.
    """

    def __init__(self, home: Path) -> None:
        self._file = home / NAME
        self._outcome = home / OUTCOME

    def read(self) -> Pending | None:
        """Return what is on trial. What cannot be understood counts as none; the guard has its own file."""
        found = _object(self._file)
        known = {field.name for field in fields(Pending)}
        texts = {name: value for name, value in found.items() if name in known and isinstance(value, str)}
        try:
            return Pending(**texts) if texts else None
        except TypeError:
            return None

    def begin(self, pending: Pending) -> None:
        """Remember it before anything is changed. Raises UpdateError (BUSY) if another is on trial."""
        there = self.read()
        if there is not None and (there.kind, there.version) != (pending.kind, pending.version):
            detail = f"{there.kind} {there.version} is on trial; it is committed or restored first"
            raise UpdateError(Code.BUSY, detail, passing=True)
        self._outcome.unlink(missing_ok=True)
        self._write(pending)

    def installed(self) -> None:
        """Remember that it runs."""
        if (pending := self.read()) is not None:
            self._write(replace(pending, phase=INSTALLED))

    def end(self) -> None:
        """Nothing is on trial any more."""
        durable.remove(self._file)

    def outcome(self) -> dict[str, Json]:
        """Return what was restored last, and why; nothing if the last trial was committed."""
        return _object(self._outcome)

    def _write(self, pending: Pending) -> None:
        durable.write(self._file, json.dumps(pending.as_json()).encode())


def _object(path: Path) -> dict[str, Json]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
