"""A gateway whose updates are driven from outside: its repository, its spool, its applier's socket."""

import hashlib
import json
import re
import shutil
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.system.harness.boot import Booted
from tests.system.harness.repository import Repository, brought, fill
from tests.system.harness.site import Site, until

HOME = "/var/lib/reed-apply"
SPOOL = "/var/lib/reed/update/spool"
SOCKET = "/run/reed-apply.sock"
ROOT_FILE = "/etc/reed/tuf-root.json"
_ANSWER_S = 120.0
_WHOLE_S = 300.0
_GUARD = "[Service]\nExecStart=\nExecStart=/usr/bin/reed-gateway update apply --guard-s {guard_s:g}\n"


@dataclass
class Answer:
    """What the applier has answered; `code` is "" if all went well."""

    ok: dict[str, Any] = field(default_factory=dict)
    code: str = ""
    detail: str = ""
    passing: bool = False
    percents: list[int] = field(default_factory=list)


class Updated:
    """One gateway and who signs for it.

    Args:
        site: The gateway with its building.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self.machine: Booted = site.machine
        self.repository = Repository()
        self.machine.write(ROOT_FILE, self.repository.root)

    def guard_after(self, guard_s: float) -> None:
        """Have what nobody commits go after this time, until the machine boots again."""
        self.machine.write(
            "/run/systemd/system/reed-apply@.service.d/guard.conf", _GUARD.format(guard_s=guard_s)
        )
        self.machine.run("systemctl", "daemon-reload")

    def offer(self, path: str, data: bytes, **custom: object) -> str:
        """Sign a target and leave it in the spool."""
        self.repository.add(path, data, **custom)
        self.spool()
        return path

    def spool(self) -> None:
        """Leave the newest metadata and all targets in the spool."""
        fill(self.machine.path(SPOOL), self.repository.metadata(), self.repository.files)
        self.machine.run("chown", "-R", "reed-gateway:reed", "/var/lib/reed/update")

    def ask(self, verb: str, **arguments: object) -> Answer:
        """Ask the applier, and wait for the end of its answer."""
        answer = Answer()
        with self.begin(verb, **arguments) as connection, connection.makefile("rb") as lines:
            for line in lines:
                match json.loads(line):
                    case {"percent": int(percent)}:
                        answer.percents.append(percent)
                    case {"ok": dict(found)}:
                        answer.ok = found
                    case {"error": dict(found)}:
                        answer.code, answer.detail = found["code"], found["detail"]
                        answer.passing = found["passing"]
        assert answer.ok or answer.code or verb in ("commit", "reboot"), self.journal()
        return answer

    def begin(self, verb: str, **arguments: object) -> socket.socket:
        """Ask the applier, and do not wait."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_ANSWER_S)
        connection.connect(str(self.machine.path(SOCKET)))
        connection.sendall(json.dumps({"verb": verb, "arguments": arguments}).encode() + b"\n")
        return connection

    def bring(self, path: str, version: str) -> dict[str, Any]:
        """Bring a target as a file, as a person would, and return how its update has ended."""
        file = "/var/tmp/brought.reed-update"
        self.machine.path(file).write_bytes(brought(self.repository, path, version))
        words = ("reed-gateway", "update", "install", file, "--json")
        done = self.machine.run(*words, check=False, timeout_s=_WHOLE_S)
        said = done.stdout.strip().splitlines()
        log = self.machine.journal("reed-update")
        assert said, f"{done.stderr}\n{log}"
        ended: dict[str, Any] = json.loads(said[-1])
        return ended

    def state(self) -> dict[str, Any]:
        """Return what the applier says of this machine."""
        return self.ask("state").ok

    def version(self) -> str:
        """Return the version of the daemon that runs."""
        return str(self.site.view()["gateway"]["version"])

    def protects(self) -> bool:
        """Return whether the daemon is ready."""
        return self.site.state == "active"

    def settled(self) -> None:
        """Wait until nothing is on trial any more, whoever ends it, and the daemon protects."""
        until(lambda: not self.machine.path(f"{HOME}/pending.json").exists(), "the end of the trial", 90.0)
        until(self.protects, "the gateway", 60.0)

    def journal(self) -> str:
        """Return what applier and guard have said since this boot."""
        words = [
            "--boot",
            "--quiet",
            "--no-pager",
            "--output=cat",
            "-u",
            "reed-apply@*",
            "-u",
            "reed-apply-*",
        ]
        return self.machine.ask("journalctl", *words)


def changed(package: Path, version: str, folder: Path, change: Callable[[Path], None]) -> Path:
    """Return a package of another version in which something is different."""
    content = folder / f"changed-{version}"
    shutil.rmtree(content, ignore_errors=True)
    subprocess.run(["dpkg-deb", "--raw-extract", package, content], check=True)
    replace(content / "DEBIAN/control", r"^Version: .*$", f"Version: {version}")
    init = content / "usr/share/reed-gateway/gateway/__init__.py"
    replace(init, r"^__version__ = .*$", f'__version__ = "{version}"')
    change(content)
    _summed(content)
    made = folder / f"reed-gateway_{version}_all.deb"
    subprocess.run(["dpkg-deb", "-Zgzip", "--build", content, made], check=True, stdout=subprocess.DEVNULL)
    return made


def _summed(content: Path) -> None:
    """Make the list of hashes true again."""
    inside = sorted(path for path in content.rglob("*") if path.is_file() and not path.is_symlink())
    sums = {path.relative_to(content): hashlib.md5(path.read_bytes()).hexdigest() for path in inside}  # noqa: S324
    lines = [f"{digest}  {name}\n" for name, digest in sums.items() if name.parts[0] != "DEBIAN"]
    (content / "DEBIAN/md5sums").write_text("".join(lines))


def replace(path: Path, pattern: str, by: str) -> None:
    """Exchange the one place in a file that matches."""
    text, count = re.subn(pattern, by, path.read_text(), flags=re.MULTILINE)
    assert count == 1, f"{path}: {pattern}"
    path.write_text(text)
