"""A repository that is cut off, changed by two at once, or lacks a key: gateways notice nothing of it."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata

from ota import cli
from ota.repository import Repository
from tests.fakes.ota.tool import ota, refused, target


@pytest.mark.parametrize("then", ["stage repo", "add repo reed-1.1.raucb --kind os --version 1.1"])
def test_a_stage_that_was_cut_off_after_a_write_goes_on(place: Path, then: str) -> None:
    ota("init repo --test")
    ota("add repo reed-1.0.raucb --kind os --version 1.0")
    ota("sign repo")
    shutil.copy("repo/draft/os.json", "signed.json")
    ota("stage repo")
    shutil.copy("signed.json", "repo/draft/os.json")  # as if it had not been removed any more
    ota(then)
    ota("sign repo")
    ota("stage repo")
    ota("publish repo www")
    assert target(place, "os/reed-1.0.raucb").version == "1.0"
    assert list(Repository(place / "repo").drafted()) == []


def test_what_was_staged_in_part_is_not_published(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ota("init repo --test")
    ota("release repo reed-1.0.raucb --kind os --version 1.0 --publish www")
    ota("key repo/keys/os-2.pem")
    lost = Repository(place / "repo").key_ids("os")[0]
    ota(f"rotate repo os --add repo/keys/os-2.pub --remove {lost[:12]}")
    ota("sign repo")

    def cut(self: Repository, role: str, metadata: Metadata[Any]) -> None:
        complete(self, role, metadata)
        raise KeyboardInterrupt

    complete = Repository.complete
    monkeypatch.setattr(Repository, "complete", cut)
    assert cli.main(["stage", "repo"]) == 130
    monkeypatch.undo()
    monkeypatch.chdir(place)
    assert "names other keys for os" in refused("refresh repo --publish www", capsys)
    assert "in part only" in refused("publish repo www", capsys)
    assert target(place, "os/reed-1.0.raucb").version == "1.0"
    ota("stage repo")
    ota("publish repo www")
    assert target(place, "os/reed-1.0.raucb").version == "1.0"


def test_too_few_keys_seal_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ota("init repo --test")
    ota("key repo/keys/second.pem --for-refresh")
    ota("rotate repo timestamp --add repo/keys/second.pub --threshold 2")
    ota("sign repo")
    ota("stage repo")
    ota("publish repo www")
    (place / "repo/keys/second.pem").rename(place / "elsewhere.pem")
    assert "1 of the 2 keys that timestamp needs" in refused("refresh repo --publish www", capsys)
    ota("check www")


def test_two_copies_of_a_repository_that_have_parted_are_not_mixed(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ota("init repo --test")
    shutil.copytree("repo", "copy")
    ota("release repo reed-1.0.raucb --kind os --version 1.0 --publish www")
    ota("release copy reed-1.1.raucb --kind os --version 1.1")
    ota("refresh copy")
    assert "another copy" in refused("publish copy www", capsys)
    ota("check www")
    assert target(place, "os/reed-1.0.raucb").version == "1.0"


def test_what_builds_a_release_does_not_see_the_passphrases(place: Path) -> None:
    script = place / "build.sh"
    script.write_text('#!/bin/sh\nenv >"$1"\n')
    script.chmod(0o755)
    ota("init repo --test")
    build = ["--version", "1.0", "--build", f"{script} {{file}}"]
    assert cli.main(["release", "repo", "out/seen.raucb", "--kind", "os", *build]) == 0
    assert "REED_OTA" not in (place / "out/seen.raucb").read_text()


def test_one_waits_until_another_has_changed_the_repository(place: Path) -> None:
    ota("init repo --test")
    folder = os.open(place / "repo", os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    words = [sys.executable, "-m", "ota", "refresh", "repo"]
    paths = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=paths) as other:
        assert other.stderr is not None
        assert "waiting for another" in other.stderr.readline()
        assert other.poll() is None
        os.close(folder)
        assert other.wait(60) == 0
