"""Ceremonies on several machines, passphrases, lost keys."""

import io
import json
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tuf.api.metadata import TargetFile

from gateway.update.trust.fetchers import WebFetcher
from gateway.update.trust.trusted import Trusted
from ota.repository import Repository
from tests.fakes.ota.tool import PASSPHRASE, REFRESH_PASSPHRASE, ota, refused, target
from tests.fakes.ota.web import FileWeb


def test_keys_are_encrypted_and_a_wrong_passphrase_opens_none(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ota("init repo --offline stick")
    for key in [*(place / "repo/keys").glob("*.pem"), *(place / "stick").glob("*.pem")]:
        assert b"BEGIN ENCRYPTED PRIVATE KEY" in key.read_bytes()
        assert key.stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("REED_OTA_PASSPHRASE", "something else entirely")
    monkeypatch.setenv("REED_OTA_REFRESH_PASSPHRASE", "and another one")
    assert "passphrase is wrong" in refused("refresh repo", capsys)


def test_without_a_passphrase_nothing_is_made(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.delenv("REED_OTA_PASSPHRASE")
    assert "REED_OTA_PASSPHRASE" in refused("init repo", capsys)
    monkeypatch.setenv("REED_OTA_PASSPHRASE", "short")
    assert "too short" in refused("init repo", capsys)
    assert not (place / "repo").exists()


def test_passphrases_may_lie_in_files(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REED_OTA_PASSPHRASE")
    monkeypatch.delenv("REED_OTA_REFRESH_PASSPHRASE")
    (place / "secret").write_text(PASSPHRASE + "\n")
    (place / "machine").write_text(REFRESH_PASSPHRASE + "\n")
    ota("init repo --passphrase-file secret --refresh-passphrase-file machine")
    ota("refresh repo --refresh-passphrase-file machine")


def test_the_machine_that_refreshes_cannot_open_the_keys_of_releases(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ota("init repo --offline stick")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.delenv("REED_OTA_PASSPHRASE")
    ota("refresh repo --publish www")
    ota("add repo reed-1.0.raucb --kind os --version 1.0")
    assert "no passphrase opens os.pem" in refused("sign repo", capsys)


def test_two_passphrases_that_are_one_are_refused(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REED_OTA_REFRESH_PASSPHRASE", PASSPHRASE)
    assert "must not be the people's" in refused("init repo", capsys)
    monkeypatch.delenv("REED_OTA_REFRESH_PASSPHRASE")
    assert "a passphrase of their own" in refused("init repo", capsys)
    assert not (place / "repo").exists()


def test_a_ceremony_with_three_people_on_three_machines(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for person in ("anna", "ben", "cleo"):
        (place / person).mkdir()
        ota(f"key {person}/root.pem")
    ota("init repo --offline stick --root-public anna/root.pub ben/root.pub cleo/root.pub")
    ota("sign repo --keys stick")
    assert "2 more of root's 3 keys" in refused("stage repo", capsys)

    for person in ("anna", "cleo"):
        shutil.copy("repo/draft/root.json", f"{person}/root.json")
        capsys.readouterr()
        ota(f"sign-file {person}/root.json --key {person}/root.pem")
        assert "root: 2 of" in capsys.readouterr().out
        ota(f"join repo {person}/root.json")
    ota("stage repo")
    ota("release repo reed-1.0.raucb --kind os --version 1.0 --publish www")
    assert target(place, "os/reed-1.0.raucb").version == "1.0"


def test_a_signature_of_a_stranger_or_on_something_else_is_not_joined(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ota("init repo")
    ota("renew repo root")
    ota("key stranger.pem")
    shutil.copy("repo/draft/root.json", "root.json")
    ota("sign-file root.json --key stranger.pem")
    assert "does not count for root" in refused("join repo root.json", capsys)
    said = json.loads((place / "repo/draft/root.json").read_text())
    said["signed"]["expires"] = "2099-01-01T00:00:00Z"
    (place / "root.json").write_text(json.dumps(said))
    assert "none of our drafts" in refused("join repo root.json", capsys)


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp", "os"])
def test_a_lost_key_of_any_role_is_replaced_and_gateways_follow(place: Path, role: str) -> None:
    ota("init repo --offline stick")
    ota("release repo reed-1.0.raucb --kind os --version 1.0 --publish www")
    web = WebFetcher(FileWeb(place / "www"))
    gateway = Trusted(place / "old", place / "repo/metadata/1.root.json", web, lambda: datetime.now(UTC))
    gateway.target("os/reed-1.0.raucb")

    where = "stick" if role in ("root", "targets") else "repo/keys"
    lost = place / where / ("root-1" if role == "root" else role)
    key_id = json.loads(lost.with_suffix(".pub").read_text())["keyid"]
    lost.with_suffix(".pem").unlink()
    lost.with_suffix(".pub").unlink()
    ota(f"key {where}/{role}-new.pem")
    ota(f"rotate repo {role} --add {where}/{role}-new.pub --remove {key_id[:12]}")
    ota("sign repo --keys stick")
    ota("stage repo")
    ota("release repo reed-1.1.raucb --kind os --version 1.1 --publish www")

    assert gateway.target("os/reed-1.1.raucb").version == "1.1"
    assert target(place, "os/reed-1.1.raucb").version == "1.1"
    ota("check www")


def test_a_root_needs_the_former_keys_too(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ota("init repo --offline stick")
    ids = Repository(place / "repo").latest("root").signed.get_delegated_role("root").keyids
    (place / "new").mkdir()
    for number, key_id in enumerate(ids):
        ota(f"key new/root-{number}.pem")
        ota(f"rotate repo root --add new/root-{number}.pub --remove {key_id[:12]}")
    ota("sign repo --keys new")
    assert "a former root" in refused("stage repo", capsys)
    ota("sign repo --keys stick")
    ota("stage repo")
    ota("check repo")


def test_nobody_signs_for_a_key_that_goes_by_the_id_of_another(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ota("init repo --offline stick")
    ota("renew repo root")
    ota("key thief.pem")
    draft = place / "repo/draft/root.json"
    said = json.loads(draft.read_text())
    thief = json.loads((place / "thief.pub").read_text())
    for key_id in said["signed"]["roles"]["root"]["keyids"]:
        said["signed"]["keys"][key_id] = {key: value for key, value in thief.items() if key != "keyid"}
    draft.write_text(json.dumps(said))
    assert "somebody changed it" in refused("show repo/draft/root.json", capsys)
    assert "somebody changed it" in refused("sign-file repo/draft/root.json --key stick/root-1.pem", capsys)

    thief["keyid"] = said["signed"]["roles"]["root"]["keyids"][0]
    (place / "thief.pub").write_text(json.dumps(thief))
    assert "somebody changed it" in refused("rotate repo os --add thief.pub", capsys)


def test_what_a_stranger_wrote_does_nothing_to_the_terminal_of_who_signs(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ota("init repo --test")
    repo = Repository(place / "repo")
    draft = repo.begin_draft("os")
    draft.signed.targets["os/x\x1b[2K\r\u202e"] = TargetFile(1, {"sha256": "0" * 64}, "os/x")
    repo.write_draft("os", draft)
    capsys.readouterr()
    ota("show repo/draft/os.json")
    shown = capsys.readouterr().out
    assert "os/x\\x1b[2K\\r\\u202e" in shown
    assert "\x1b" not in shown


def test_each_role_and_each_person_has_a_key_of_their_own(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ota("key anna.pem")
    assert "names a key twice" in refused("init repo --root-public anna.pub anna.pub", capsys)
    ota("init repo --test")
    why = refused("rotate repo os --add repo/keys/timestamp.pub", capsys)
    assert "is a key of timestamp already" in why
    assert "1 or more" in refused("rotate repo os --threshold -1", capsys)
    assert list(Repository(place / "repo").drafted()) == []
