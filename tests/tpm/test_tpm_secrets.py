"""Secrets at rest that a TPM seals, from `secret set` to the folder in memory."""

import time
from pathlib import Path

import pytest

from gateway.errors import IdentityError
from gateway.identity.config import Config
from gateway.identity.opened import Opened, open_all
from gateway.identity.secrets import Secrets
from tests.system.harness.swtpm import Swtpm

KEY = b"231d39c1d7cc1ab1aee224cd096db932"


@pytest.fixture
def secrets(tmp_path: Path, config: Config) -> Secrets:
    (tmp_path / "state").mkdir()
    return Secrets(tmp_path / "state" / "identity" / "secrets", config)


@pytest.fixture
def in_memory(tmp_path: Path) -> Opened:
    return Opened(tmp_path / "run" / "secrets", tmp_path / "state")


def test_the_card_does_not_hold_what_the_tpm_has_sealed(
    secrets: Secrets, in_memory: Opened, tmp_path: Path, tpm: Swtpm
):
    assert secrets.set("cellar", KEY) == "tpm"
    assert KEY not in (tmp_path / "state" / "identity" / "secrets" / "cellar").read_bytes()
    assert [(entry.name, entry.sealed_by) for entry in secrets.list()] == [("cellar", "tpm")]
    tpm.restart()

    assert open_all(secrets, in_memory) == {}
    assert (tmp_path / "run" / "secrets" / "cellar").read_bytes() == KEY


def test_a_card_in_another_machine_gives_up_nothing(
    secrets: Secrets, in_memory: Opened, tmp_path: Path, other_tpm: Swtpm
):
    secrets.set("cellar", KEY)
    elsewhere = Secrets(tmp_path / "state" / "identity" / "secrets", Config(tcti=other_tpm.tcti))

    with pytest.raises(IdentityError, match="belongs to another TPM"):
        elsewhere.open("cellar")
    assert list(open_all(elsewhere, in_memory)) == ["cellar"]
    assert in_memory.names() == frozenset()


def test_a_tpm_that_hangs_keeps_all_closed_and_costs_its_time_once(
    secrets: Secrets, in_memory: Opened, tmp_path: Path, tpm: Swtpm
):
    for name in ("a", "b", "c", "d"):
        secrets.set(name, KEY)
    hasty = Secrets(tmp_path / "state" / "identity" / "secrets", Config(tcti=tpm.tcti, tpm_timeout_s=1))
    tpm.freeze()
    began_s = time.monotonic()

    problems = open_all(hasty, in_memory)

    tpm.thaw()
    assert list(problems) == ["a", "b", "c", "d"]
    assert time.monotonic() - began_s < 4
    assert open_all(secrets, in_memory) == {}
