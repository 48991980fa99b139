"""`reed-ota` releases, publishes and checks."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.domain.update.model import Code
from gateway.errors import UpdateError
from ota import cli, publishing
from ota.repository import Repository
from tests.fakes.ota.tool import ota, refused, target


def test_a_release_is_one_command(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ota("init repo")
    ota("release repo reed-1.0.raucb --kind os --version 1.0 --compatible reed-rpi --publish www")
    found = target(place, "os/reed-1.0.raucb")
    assert (found.version, found.text("compatible")) == ("1.0", "reed-rpi")
    capsys.readouterr()
    ota("check www")
    assert "os/reed-1.0.raucb 1.0 3000 bytes" in capsys.readouterr().out


def test_a_release_builds_its_file(place: Path) -> None:
    script = place / "build.sh"
    script.write_text('#!/bin/sh\nprintf "bundle %s" "$1" > "$2"\n')
    script.chmod(0o755)
    ota("init repo --test")
    (place / "image").mkdir()
    (place / "image/version").write_text("2.0\n")
    (place / "image/compatible").write_text("reed-amd64\n")
    command = ["--build", f"{script} {{version}} {{file}}", "--image", "image", "--publish", "www"]
    assert cli.main(["release", "repo", "out/reed-2.0.raucb", "--kind", "os", *command]) == 0
    found = target(place, "os/reed-2.0.raucb")
    assert (found.version, found.text("compatible")) == ("2.0", "reed-amd64")
    assert found.length_bytes == len("bundle 2.0")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("false", "failed with 1"),
        ("true", "did not make"),
        ("/none", "cannot be run"),
        ("a'b", "cannot be read"),
    ],
)
def test_a_build_that_fails_releases_nothing(
    place: Path, capsys: pytest.CaptureFixture[str], command: str, why: str
) -> None:
    ota("init repo --test")
    assert why in refused(f"release repo new/x.raucb --kind os --version 2.0 --build {command}", capsys)
    assert list(Repository(place / "repo").drafted()) == []


def test_a_release_does_not_wait_for_a_root_that_is_being_signed(place: Path) -> None:
    ota("init repo")
    ota("renew repo root")
    ota("release repo reed-1.0.raucb --kind os --version 1.0 --publish www")
    assert target(place, "os/reed-1.0.raucb").version == "1.0"
    assert list(Repository(place / "repo").drafted()) == ["root"]


def test_an_interrupted_publication_shows_the_former_state(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ota("init repo --test")
    ota("release repo reed-1.0.raucb --kind os --version 1.0 --publish www")
    ota("release repo reed-1.1.raucb --kind os --version 1.1")
    copy = publishing.files.copy
    files = len([path for path in (place / "repo").rglob("*") if path.is_file()])
    cuts = 0
    for cut in range(files):
        shutil.rmtree(place / "half", ignore_errors=True)
        shutil.copytree(place / "www", place / "half")
        done: list[Path] = []

        def cutting(source: Path, to: Path, cut: int = cut, done: list[Path] = done) -> None:
            if len(done) == cut:
                raise KeyboardInterrupt
            done.append(to)
            copy(source, to)

        monkeypatch.setattr(publishing.files, "copy", cutting)
        if cli.main(["publish", "repo", "half"]) == 0:
            break
        cuts += 1
        assert target(place, "os/reed-1.0.raucb", "half").version == "1.0"
    monkeypatch.setattr(publishing.files, "copy", copy)
    assert cuts >= 3
    ota("publish repo half")
    assert target(place, "os/reed-1.1.raucb", "half").version == "1.1"


def test_an_old_copy_of_the_repository_cannot_be_published_over_a_newer_one(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ota("init repo --test")
    shutil.copytree("repo", "backup")
    ota("release repo reed-1.0.raucb --kind os --version 1.0 --publish www")
    assert "gateways refuse what is older" in refused("publish backup www", capsys)


def test_a_refresh_says_again_that_this_is_the_newest(place: Path) -> None:
    ota("init repo --test")
    ota("publish repo www")
    before = Repository(place / "repo").published("timestamp")
    ota("refresh repo --publish www")
    after = Repository(place / "repo").published("timestamp")
    assert before is not None
    assert after is not None
    assert after.signed.version == before.signed.version + 1
    assert len(Repository(place / "repo").versions("snapshot")) == 1


def test_what_is_removed_is_no_longer_offered(place: Path) -> None:
    ota("init repo --test")
    ota("release repo reed-1.0.raucb --kind os --version 1.0")
    ota("remove repo os/reed-1.0.raucb")
    ota("sign repo")
    ota("stage repo")
    ota("publish repo www")
    with pytest.raises(UpdateError) as caught:
        target(place, "os/reed-1.0.raucb")
    assert caught.value.code == Code.UNTRUSTED


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("add repo missing.raucb --kind os --version 1", "No such file"),
        ("add repo reed-1.0.raucb --kind os --version one", "is no version"),
        ("add repo reed-1.0.raucb --kind os --version 1 --downgrade", "never downgraded"),
        ("add repo reed-1.0.raucb --kind config --version 1", "--gateway"),
        ("add nowhere reed-1.0.raucb --kind os --version 1", "reed-ota init"),
        ("init repo", "not empty"),
        ("init other --threshold 4", "4 of 3"),
        ("sign repo os", "no draft"),
        ("remove repo os/none", "no such target"),
        ("export repo os/none --to x", "no such target"),
        ("rotate repo king", "is no role"),
        ("rotate repo os --remove 00000", "of 0 keys"),
        ("rotate repo timestamp --threshold 2", "needs 2"),
        ("renew repo timestamp", "cannot be drafted"),
        ("check www", "no root"),
        ("show ota.json", "no repository"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    place: Path, capsys: pytest.CaptureFixture[str], words: str, why: str
) -> None:
    ota("init repo --test")
    assert why in refused(words, capsys)


def test_a_released_name_never_gets_another_content(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ota("init repo --test")
    ota("release repo reed-1.0.raucb --kind os --version 1.0")
    (place / "reed-1.0.raucb").write_bytes(b"other")
    assert "another content" in refused("add repo reed-1.0.raucb --kind os --version 1.0", capsys)


# --- checking -------------------------------------------------------------------------------------------


def test_a_check_finds_a_target_that_was_changed_or_lost(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ota("init repo --test")
    ota("release repo reed-1.0.raucb --kind os --version 1.0 --publish www")
    (file,) = (place / "www/targets/os").iterdir()
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    assert "is not what was signed" in refused("check www", capsys)
    file.unlink()
    assert "is missing" in refused("check www", capsys)


def test_a_check_warns_of_what_ends_soon(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ota("init repo --test")
    settings = json.loads((place / "repo/ota.json").read_text())
    settings["days"]["os"] = 5
    (place / "repo/ota.json").write_text(json.dumps(settings))
    ota("release repo reed-1.0.raucb --kind os --version 1.0")
    capsys.readouterr()
    ota("check repo")
    warned = capsys.readouterr().err
    assert "os ends in 5.0 days" in warned
    assert warned.count("\n") == 1


def test_the_command_is_installed_and_explains_itself() -> None:
    done = subprocess.run([sys.executable, "-m", "ota", "--help"], capture_output=True, text=True, check=True)
    for name in cli._COMMANDS:
        assert f"    {name}" in done.stdout


def test_what_is_not_installed_is_one_line_with_the_way_to_get_it() -> None:
    without = "import sys; sys.modules['tuf'] = None; from ota.__main__ import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", without], check=False, capture_output=True, text=True)
    assert done.returncode == 69
    assert done.stderr.startswith("reed-ota: tuf is missing; install it with: apt install python3-tuf")
    assert done.stderr.count("\n") == 1
