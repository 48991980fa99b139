"""TPMs of software, with EK certificates of a manufacturer of their own: in a machine, or right here."""

import contextlib
import subprocess
import time
from pathlib import Path
from typing import Self

from tests.system.harness.machine import Machine

_START_S = 10.0
_LOCAL_CA = """statedir = {folder}
signingkey = {folder}/signkey.pem
issuercert = {folder}/issuercert.pem
certserial = {folder}/certserial
"""
_OPTIONS = """--platform-manufacturer Reed
--platform-version 1.0
--platform-model Gateway
"""
_SETUP = """create_certs_tool = /usr/bin/swtpm_localca
create_certs_tool_config = {folder}/localca.conf
create_certs_tool_options = {folder}/localca.options
active_pcr_banks = sha256
"""


class Place:
    """Where programs run and files lie: in a machine, or where these lines are executed."""

    def __init__(self, machine: Machine | None = None) -> None:
        self._machine = machine

    def path(self, inside: Path) -> Path:
        """Return where we see a file that the programs see as `inside`."""
        return self._machine.path(str(inside)) if self._machine else inside

    def run(self, *words: str | Path) -> str:
        """Run a program to its end; return what it said.

        Raises:
            AssertionError: It failed; the message has its last words.
        """
        if self._machine:
            return self._machine.run(*words).stdout
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=60, check=False)
        said = (done.stdout + done.stderr)[-2000:]
        assert not done.returncode, f"{' '.join(map(str, words))}: {done.returncode}\n{said}"
        return done.stdout


class Maker:
    """A manufacturer of TPMs: a root and an intermediate authority, made with the first TPM.

    Args:
        folder: Where it keeps its keys; as the programs see it.
        machine: Where that is; None for right here.
    """

    def __init__(self, folder: Path, machine: Machine | None = None) -> None:
        self.place = Place(machine)
        self.folder = folder
        seen = self.place.path(folder)
        seen.mkdir(parents=True, exist_ok=True)
        for name, text in (
            ("localca.conf", _LOCAL_CA),
            ("localca.options", _OPTIONS),
            ("setup.conf", _SETUP),
        ):
            (seen / name).write_text(text.format(folder=folder))

    @property
    def root_file(self) -> Path:
        """The root certificate (PEM) of its EK certificates, where we see it."""
        return self.place.path(self.folder / "swtpm-localca-rootca-cert.pem")

    @property
    def intermediate_file(self) -> Path:
        """The certificate (PEM) that signs the EK certificates, where we see it."""
        return self.place.path(self.folder / "issuercert.pem")

    def make(self, name: str, *, certified: bool = True) -> "Swtpm":
        """Return a new TPM, not yet started; without `certified` it has no EK certificate."""
        state = self.folder / name
        self.place.path(state).mkdir()
        certificates = ["--create-ek-cert", "--create-platform-cert"] if certified else []
        setup = ["swtpm_setup", "--tpm2", "--tpmstate", str(state), "--config", f"{self.folder}/setup.conf"]
        self.place.run(
            *setup, *certificates, "--vmid", name, "--overwrite", "--logfile", f"{state}/setup.log"
        )
        return Swtpm(state, self.place)


class Swtpm:
    """One TPM; it runs within `with`. Its state survives a kill, as that of a chip survives a power cut.

    Args:
        state: Its folder, as its own process sees it; short, since a socket lies in it.
        place: Where it runs.
    """

    def __init__(self, state: Path, place: Place) -> None:
        self.state = state
        self._place = place
        self._pid = ""

    @property
    def tcti(self) -> str:
        """What `tcti` of `[identity]`, TPM2OPENSSL_TCTI and TPM2TOOLS_TCTI need."""
        return f"swtpm:path={self.state}/sock"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it and wait until it listens."""
        socket, pid_file = f"{self.state}/sock", self._place.path(self.state / "pid")
        pid_file.unlink(missing_ok=True)
        command = ["swtpm", "socket", "--tpm2", "--daemon", "--tpmstate", f"dir={self.state}"]
        command += ["--server", f"type=unixio,path={socket}", "--ctrl", f"type=unixio,path={socket}.ctrl"]
        command += ["--flags", "not-need-init,startup-clear", "--pid", f"file={self.state}/pid"]
        self._place.run(*command, "--log", f"file={self.state}/log,level=1")
        deadline_s = time.monotonic() + _START_S
        while not (pid_file.exists() and pid_file.read_text().strip()):
            assert time.monotonic() < deadline_s, "swtpm did not start"
            time.sleep(0.01)
        self._pid = pid_file.read_text().strip()

    def kill(self) -> None:
        """End it at once, frozen or not; its sockets go, too."""
        if self._pid:
            with contextlib.suppress(AssertionError):  # it is dead already
                self._place.run("kill", "-KILL", self._pid)
            self._pid = ""
        for name in ("sock", "sock.ctrl"):
            self._place.path(self.state / name).unlink(missing_ok=True)

    def restart(self) -> None:
        """Power it off and on; what is not persistent in it is lost."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Let it hang: connections are taken, nothing is answered."""
        self._place.run("kill", "-STOP", self._pid)

    def thaw(self) -> None:
        """Let it go on, beginning with what it was asked meanwhile."""
        self._place.run("kill", "-CONT", self._pid)
