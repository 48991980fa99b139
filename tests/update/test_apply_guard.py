"""The dead man's guard: the real script, on files of a configuration."""

import hashlib
import json
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

import gateway.update.apply
from gateway.update.apply.config_diff import difference
from gateway.update.apply.pending import Pending, Trial

SCRIPT = Path(gateway.update.apply.__file__).with_name("guard.sh")
FORMER, NEW = "[gateway]\n", "[gateway]\n# new\n"

pytestmark = pytest.mark.skipif(
    shutil.which("flock") is None, reason="flock is missing: apt install util-linux"
)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Armed:
    """A new configuration is on trial; the daemon was not running."""

    home: Path

    def __post_init__(self) -> None:
        self.config = self.home / "gateway.toml"
        self.config.write_text(NEW)
        former = self.home / "former.toml"
        former.write_text(FORMER)
        former.chmod(0o640)
        shutil.copy(SCRIPT, self.home / "guard.sh")
        Trial(self.home).begin(Pending("config", "config/house.toml", "2", "1"))
        settings = {
            "kind": "config",
            "version": "2",
            "former_version": "1",
            "former_file": str(former),
            "was_active": "no",
            "config_file": str(self.config),
            "new_sha256": sha256(NEW),
            "former_sha256": sha256(FORMER),
            "action": "restart",
        }
        lines = "".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items())
        (self.home / "guard.conf").write_text(lines)

    def guard(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        given = {
            "REED_APPLY_HOME": str(self.home),
            "REED_GUARD_UNITS": str(self.home / "units"),
            **environment,
        }
        return subprocess.run(
            ["sh", self.home / "guard.sh", *words], env=given, capture_output=True, text=True, check=False
        )

    def outcome(self) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.home / "outcome.json").read_text())
        return found


@pytest.fixture
def armed(tmp_path: Path) -> Armed:
    return Armed(tmp_path)


def test_the_former_configuration_comes_back_with_its_mode(armed: Armed):
    assert armed.guard("restore", 'nobody said "good"\nin time').returncode == 0
    assert armed.config.read_text() == FORMER
    assert armed.config.stat().st_mode & 0o777 == 0o640
    assert armed.outcome() == {
        "kind": "config",
        "version": "2",
        "former_version": "1",
        "outcome": "restored",
        "detail": "nobody said good in time",
    }
    assert Trial(armed.home).read() is None
    assert not (armed.home / "guard.conf").exists()


def test_what_a_person_has_edited_meanwhile_is_kept(armed: Armed):
    armed.config.write_text("# by hand\n")
    assert armed.guard("restore", "late").returncode == 0
    assert armed.config.read_text() == "# by hand\n"
    assert armed.outcome()["outcome"] == "kept"


def test_restored_twice_it_is_restored_once(armed: Armed):
    armed.guard("restore", "first")
    assert armed.guard("restore", "second").returncode == 0
    assert armed.outcome()["detail"] == "first"


def test_what_was_committed_meanwhile_stays(armed: Armed):
    (armed.home / "pending.json").unlink()
    assert armed.guard("restore", "late").returncode == 0
    assert armed.config.read_text() == NEW
    assert not (armed.home / "guard.conf").exists()


def test_disarmed_it_does_nothing_any_more(armed: Armed):
    assert armed.guard("disarm").returncode == 0
    assert armed.guard("restore", "late").returncode == 0
    assert armed.config.read_text() == NEW


def test_a_former_file_that_is_gone_is_told_and_tried_again(armed: Armed):
    (armed.home / "former.toml").unlink()
    assert armed.guard("restore", "late").returncode != 0
    assert armed.config.read_text() == NEW
    assert Trial(armed.home).read() is not None


def test_a_repair_leaves_a_whole_configuration_to_those_who_judge_it(armed: Armed):
    assert armed.guard("repair").returncode == 0
    assert armed.config.read_text() == NEW


@pytest.mark.parametrize(
    "line",
    [
        'key = "7d2f0c5be83146a99b11c0de5eed0001"',
        'sensor.pump = { kind = "bthome", key = "topsecret" }',
        'token = "topsecret"',
        '"api_key" = "topsecret"',
        'note = "7d2f0c5be83146a99b11c0de5eed0001"',
    ],
)
def test_a_difference_shows_no_secret(line: str):
    shown = difference("[a]\n", f"[a]\n{line}\n")
    assert shown
    assert "topsecret" not in shown
    assert "5eed0001" not in shown


def test_a_difference_shows_everything_else():
    shown = difference('key = "tpm"\nkey_file = "a.pem"\n', 'key = "software"\nkey_file = "b.pem"\n')
    assert '+key = "software"\n' in shown
    assert '+key_file = "b.pem"' in shown
    assert difference("a", "a") == ""


def test_whatever_a_program_has_said_the_outcome_can_be_read(armed: Armed):
    assert armed.guard("restore", '\x1b[1mdpkg: \r\x01error\x7f \\ "').returncode == 0
    assert armed.outcome()["outcome"] == "restored"
    assert Trial(armed.home).outcome()["kind"] == "config"
