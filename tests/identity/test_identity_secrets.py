"""Secrets at rest and laid open, where keys may lie in files; tests/tpm has those that a TPM seals."""

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from gateway.drivers.adverts import secret_named
from gateway.errors import ConfigError, IdentityError, TpmError
from gateway.identity.config import Config
from gateway.identity.opened import Opened, open_all, take_credentials
from gateway.identity.secrets import NAME, Secrets

KEY = b"231d39c1d7cc1ab1aee224cd096db932"
SOFTWARE = Config(key="software", allow_software_key=True)


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    (tmp_path / "state").mkdir()
    return Secrets(tmp_path / "state" / "identity" / "secrets", SOFTWARE)


@pytest.fixture
def in_memory(tmp_path: Path) -> Opened:
    return Opened(tmp_path / "run" / "secrets", tmp_path / "state")


def lying_open(tmp_path: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (tmp_path / "run" / "secrets").iterdir()}


def test_a_secret_is_given_back(secrets: Secrets):
    secrets.set("cellar", KEY)

    assert secrets.open("cellar") == KEY


def test_a_secret_that_nothing_seals_says_so_where_it_lies(secrets: Secrets, tmp_path: Path):
    assert secrets.set("cellar", KEY) == "nothing"

    path = tmp_path / "state" / "identity" / "secrets" / "cellar"
    told = json.loads(path.read_text())
    assert told["sealed_by"] == "nothing"
    assert "NOT sealed" in told["note"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_without_a_tpm_there_is_no_secret_unless_that_is_allowed(tmp_path: Path):
    nowhere = Secrets(tmp_path / "secrets", Config(tcti=f"device:{tmp_path}/none"))

    with pytest.raises(TpmError, match="there is no TPM"):
        nowhere.set("cellar", KEY)
    assert nowhere.list() == []


@pytest.mark.parametrize("name", ["", "../key", "a/b", ".hidden", "UPPER", "a" * 65, "a\nb", "lock "])
def test_a_name_that_could_be_a_path_or_mislead_is_refused(secrets: Secrets, name: str):
    for act in (lambda: secrets.set(name, KEY), lambda: secrets.open(name), lambda: secrets.remove(name)):
        with pytest.raises(IdentityError, match="a secret's name is") as raised:
            act()
        assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    "name", ["cellar", "a", "a" * 64, "roof.east_2-b", "-x", "X", ".x", "", "a/b", "a" * 65]
)
def test_the_configuration_allows_the_names_that_a_secret_can_have(name: str):
    try:
        allowed = secret_named(f"secret:{name}") == name
    except ConfigError:
        allowed = False

    assert allowed == bool(NAME.fullmatch(name))


@pytest.mark.parametrize("secret", [b"", b"x" * 129])
def test_a_secret_has_a_length_that_a_tpm_can_seal(secrets: Secrets, secret: bytes):
    with pytest.raises(IdentityError, match=f"1 to 128 bytes, this one {len(secret)}"):
        secrets.set("cellar", secret)


def test_a_secret_is_replaced(secrets: Secrets):
    secrets.set("cellar", b"old")
    secrets.set("cellar", b"new")

    assert secrets.open("cellar") == b"new"


def test_a_secret_is_forgotten(secrets: Secrets):
    secrets.set("cellar", KEY)
    secrets.remove("cellar")

    assert secrets.list() == []
    with pytest.raises(IdentityError, match="there is no secret cellar"):
        secrets.open("cellar")
    with pytest.raises(IdentityError, match="there is no secret cellar"):
        secrets.remove("cellar")


def test_all_are_listed_by_name(secrets: Secrets):
    for name in ("roof", "cellar"):
        secrets.set(name, KEY)

    assert [(entry.name, entry.sealed_by) for entry in secrets.list()] == [
        ("cellar", "nothing"),
        ("roof", "nothing"),
    ]


def test_before_the_first_one_there_is_none(secrets: Secrets):
    assert secrets.list() == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        b"[]",
        b"[" * 100_000,
        b"\xff",
        b'{"version": 1}',
        b'{"version": 1, "sealed_by": "nothing"}',
        b'{"version": 1, "sealed_by": "nothing", "secret": "?"}',
        b'{"version": 1, "sealed_by": "nothing", "secret": 7}',
        b'{"version": 1, "sealed_by": "tpm", "sealed": "?"}',
    ],
)
def test_a_damaged_secret_is_one_line_that_says_what_to_do(secrets: Secrets, tmp_path: Path, content: bytes):
    secrets.set("cellar", KEY)
    (tmp_path / "state" / "identity" / "secrets" / "cellar").write_bytes(content)

    with pytest.raises(IdentityError) as raised:
        secrets.open("cellar")
    assert str(raised.value) == "secret cellar is damaged; set it again: reed-gateway secret set cellar"
    assert [entry.name for entry in secrets.list()] == ["cellar"]


def test_a_secret_of_a_later_release_is_not_guessed_at(secrets: Secrets, tmp_path: Path):
    secrets.set("cellar", KEY)
    (tmp_path / "state" / "identity" / "secrets" / "cellar").write_text('{"version": 2}')

    with pytest.raises(IdentityError, match="set by a later release"):
        secrets.open("cellar")


def test_a_full_disk_keeps_the_old_secret(secrets: Secrets, monkeypatch: pytest.MonkeyPatch):
    secrets.set("cellar", b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(IdentityError, match="No space left on device"):
            secrets.set("cellar", b"new")

    assert secrets.open("cellar") == b"old"


# --- laid open ------------------------------------------------------------------------------------------


def test_all_are_laid_open_for_the_daemon_alone(secrets: Secrets, in_memory: Opened, tmp_path: Path):
    secrets.set("cellar", KEY)
    secrets.set("roof", b"other")

    assert open_all(secrets, in_memory) == {}

    assert lying_open(tmp_path) == {"cellar": KEY, "roof": b"other"}
    folder = tmp_path / "run" / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert in_memory.names() == {"cellar", "roof"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_lays_open_belongs_to_the_daemons_user(secrets: Secrets, in_memory: Opened, tmp_path: Path):
    os.chown(tmp_path / "state", 4711, 4712)
    secrets.set("cellar", KEY)

    open_all(secrets, in_memory)

    paths = [tmp_path / "run", *(tmp_path / "run").rglob("*"), *(tmp_path / "state").rglob("*")]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in paths} == {(4711, 4712)}


def test_one_that_stays_closed_keeps_none_of_the_others(secrets: Secrets, in_memory: Opened, tmp_path: Path):
    for name in ("a", "b", "c"):
        secrets.set(name, KEY)
    (tmp_path / "state" / "identity" / "secrets" / "b").write_text("garbage")

    problems = open_all(secrets, in_memory)

    assert list(problems) == ["b"]
    assert set(lying_open(tmp_path)) == {"a", "c"}


def test_a_tpm_that_does_not_answer_is_asked_once(
    in_memory: Opened, secrets: Secrets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("a", "b", "c"):
        secrets.set(name, KEY)
    folder = tmp_path / "state" / "identity" / "secrets"
    for name in ("a", "b"):
        (folder / name).write_text('{"version": 1, "sealed_by": "tpm", "sealed": ""}')
    asked = []

    class Dead(Secrets):
        def open(self, name: str) -> bytes:
            if name == "c":
                return super().open(name)
            asked.append(name)
            raise TpmError("the TPM does not answer")

    problems = open_all(Dead(folder, SOFTWARE), in_memory)

    assert problems == dict.fromkeys(("a", "b"), "the TPM does not answer")
    assert asked == ["a"]
    assert set(lying_open(tmp_path)) == {"c"}


def test_what_is_open_stays_so_while_the_tpm_is_away(secrets: Secrets, in_memory: Opened, tmp_path: Path):
    secrets.set("cellar", KEY)
    open_all(secrets, in_memory)
    (tmp_path / "state" / "identity" / "secrets" / "cellar").write_text("garbage")

    assert open_all(secrets, in_memory)
    assert lying_open(tmp_path) == {"cellar": KEY}


def test_what_systemd_hands_over_is_laid_open_too(in_memory: Opened, tmp_path: Path):
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "cellar").write_bytes(KEY + b"\n")
    (credentials / "Not-One").write_bytes(b"x")
    (credentials / "folder").mkdir()

    assert take_credentials(credentials, in_memory) == ["cellar"]
    assert lying_open(tmp_path) == {"cellar": KEY}


def test_credentials_that_are_not_there_are_one_line(in_memory: Opened, tmp_path: Path):
    with pytest.raises(IdentityError, match="credentials: No such file"):
        take_credentials(tmp_path / "credentials", in_memory)


@pytest.mark.parametrize(
    ("kind", "in_memory"), [("tmpfs", True), ("ramfs", True), ("ext4", False), ("overlay", False)]
)
def test_a_place_that_is_on_a_disk_is_known_as_one(tmp_path: Path, kind: str, in_memory: bool):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/root / ext4 rw 0 0\nnone {tmp_path} {kind} rw 0 0\nproc /proc proc rw 0 0\n")

    assert Opened(tmp_path / "run" / "secrets", tmp_path).is_in_memory(mounts) == in_memory


def test_taking_away_what_is_not_there_is_no_failure(in_memory: Opened):
    in_memory.take("cellar")

    assert in_memory.names() == frozenset()
