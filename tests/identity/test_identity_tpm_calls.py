"""The child process that speaks to the TPM: whatever becomes of it, we get one line in bounded time."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.errors import IdentityError, TpmError
from gateway.identity.config import Config
from gateway.identity.tpm import faults
from gateway.identity.tpm.calls import call
from gateway.identity.tpm.seal import seal, unseal

NOWHERE = "device:/nowhere/tpmrm0"


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose modules the child finds before those of this machine."""
    (tmp_path / "packages").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    return tmp_path / "packages"


def test_missing_programs_are_named(packages: Path):
    (packages / "tpm2_pytss.py").write_text("raise ImportError('libtss2-esys.so.0')")
    with pytest.raises(TpmError, match="apt install python3-tpm2-pytss"):
        call("create", NOWHERE, 10)


def test_a_child_that_crashes_is_one_line_with_its_last_words(packages: Path):
    (packages / "tpm2_pytss.py").write_text("raise RuntimeError('no such luck')")
    with pytest.raises(TpmError, match="ended without a result: RuntimeError: no such luck"):
        call("create", NOWHERE, 10)


def test_a_child_that_is_killed_is_one_line(packages: Path):
    (packages / "tpm2_pytss.py").write_text("import os; os.kill(os.getpid(), 9)")
    with pytest.raises(TpmError, match="ended without a result: it said nothing"):
        call("create", NOWHERE, 10)


def test_a_child_that_hangs_is_killed_in_time(packages: Path, tmp_path: Path):
    (packages / "tpm2_pytss.py").write_text(
        f"import os, time; open('{tmp_path}/pid', 'w').write(str(os.getpid())); time.sleep(1000)"
    )
    begin_s = time.monotonic()
    with pytest.raises(TpmError, match="no answer of the TPM within 1 s"):
        call("create", NOWHERE, 1)
    assert time.monotonic() - begin_s < 10
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_an_orphan_ends_by_itself(packages: Path, monkeypatch: pytest.MonkeyPatch):
    (packages / "tpm2_pytss.py").write_text("import time; time.sleep(1000)")
    ours = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{ours}:{packages}")
    worker = "from gateway.identity.tpm import worker; worker._ORPHANED_AFTER_S = 0.5; worker.main()"
    asked = json.dumps({"task": "create", "tcti": NOWHERE, "timeout_s": 0.5, "given": {}})
    done = subprocess.run([sys.executable, "-c", worker], input=asked, text=True, timeout=30, check=False)
    assert done.returncode == -signal.SIGALRM


def test_nothing_of_the_folder_one_stands_in_is_executed(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (packages / "tpm2_pytss.py").write_text("raise ImportError('the right one')")
    trap = tmp_path / "trap"
    for name in ("gateway", "json"):
        (trap / name).mkdir(parents=True)
        (trap / name / "__init__.py").write_text("raise SystemExit('caught')")
    monkeypatch.chdir(trap)
    with pytest.raises(TpmError, match="the right one"):
        call("create", NOWHERE, 10)


@pytest.mark.parametrize(
    "sealed", [b"", b"{}", b"[]", b"null", b'{"version": 1, "pcrs": "", "public": 1}', b"\xff"]
)
def test_what_is_no_sealed_secret_never_reaches_the_tpm(sealed: bytes):
    with pytest.raises(IdentityError, match="the sealed secret is damaged: set it again"):
        unseal(Config(tcti=NOWHERE), sealed)


def test_a_secret_of_a_later_release_says_so():
    later = json.dumps({"version": 2, "pcrs": "", "public": "", "private": ""}).encode()
    with pytest.raises(IdentityError, match=r"a later release \(version 2\): update"):
        unseal(Config(tcti=NOWHERE), later)


def test_an_empty_secret_is_refused():
    with pytest.raises(IdentityError, match="1 to 128 bytes, this one 0"):
        seal(Config(tcti=NOWHERE), b"")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0x921, "locked after too many wrong passwords"),
        (0x0C0921, "locked after too many wrong passwords"),
        (0x101, "failed its own test"),
        (0x9A2, "its owner has a password"),
        (0x98E, "its owner has a password"),
        (0x902, "full of other programs' keys: use /dev/tpmrm0"),
        (0x2C4, "refuses with code 0x2c4"),
        (0xA000A, "there is no TPM at /nowhere/tpmrm0"),
    ],
)
def test_codes_of_the_tpm_are_explained(code: int, said: str):
    line = faults.explain(code, NOWHERE)
    assert said in line
    assert "\n" not in line


def test_a_tpm_that_we_may_not_use_names_the_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "tpmrm0").touch()
    monkeypatch.setattr(Path, "open", refuse)  # as root, these tests may open anything
    assert "must be in the group tss" in faults.unreachable(f"device:{tmp_path}/tpmrm0")


def test_a_device_that_is_no_tpm_and_one_that_is_in_use_are_told_apart(tmp_path: Path):
    (tmp_path / "tpmrm0").touch()
    assert "does not answer as a TPM" in faults.unreachable(f"device:{tmp_path}/tpmrm0")
    assert "cannot be used: Is a directory" in faults.unreachable(f"device:{tmp_path}")
    assert "cannot be reached at swtpm:path=/x" in faults.unreachable("swtpm:path=/x")
