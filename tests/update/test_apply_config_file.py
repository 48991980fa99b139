"""What the applier remembers of configurations, without a daemon: versions, edits, what was before."""

import hashlib
import json
from pathlib import Path

import pytest

from gateway.errors import UpdateError
from gateway.update.apply.config_file import ConfigFile
from gateway.update.apply.guard import DeadMan
from gateway.update.apply.pending import Pending, Trial
from gateway.update.apply.ports import Wanted
from gateway.update.trust.target import Target

ONE = '[gateway]\nid = "house-7"\n'
TWO = ONE + "# two\n"


@pytest.fixture
def kind(tmp_path: Path) -> ConfigFile:
    path = tmp_path / "gateway.toml"
    path.write_text(ONE)
    home = tmp_path / "home"
    (home / "previous").mkdir(parents=True)
    guard = DeadMan(home, 900.0, tmp_path / "units")
    return ConfigFile(path, home, Trial(home), guard, lambda _old, _new: "restart")


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def on_trial(tmp_path: Path, version: str, text: str) -> None:
    """Leave things as an installation does."""
    path = tmp_path / "gateway.toml"
    (tmp_path / "home/previous/gateway.toml").write_text(path.read_text())
    trial = Trial(tmp_path / "home")
    trial.begin(Pending("config", "config/a.toml", version, "0", sha256=sha256(text)))
    path.write_text(text)


def test_a_file_that_only_people_have_written_is_older_than_any(kind: ConfigFile):
    assert kind.version() == "0"
    assert kind.device().running == "0"
    assert kind.device().gateway == "house-7"
    assert kind.former() is None
    assert kind.state() == {"edited": False, "former": ""}


def test_what_is_on_trial_has_its_version_only_while_it_is_there(kind: ConfigFile, tmp_path: Path):
    on_trial(tmp_path, "2", TWO)
    assert kind.version() == "2"
    (tmp_path / "gateway.toml").write_text(ONE)
    assert kind.version() == "0"


def test_what_was_committed_is_remembered_with_what_was_before(kind: ConfigFile, tmp_path: Path):
    on_trial(tmp_path, "2", TWO)
    assert kind.commit() == {"version": "2"}
    assert kind.former() == ("0", tmp_path / "home/previous/gateway.toml")
    assert Trial(tmp_path / "home").read() is None
    (tmp_path / "gateway.toml").write_text(TWO + "# by hand\n")
    assert kind.version() == "2"
    assert kind.state()["edited"] is True


def test_a_commit_that_was_cut_off_and_undone_counts_for_nothing(kind: ConfigFile, tmp_path: Path):
    on_trial(tmp_path, "2", TWO)
    kind.commit()
    (tmp_path / "gateway.toml").write_text(ONE)
    assert kind.version() == "0"


def test_a_memory_that_is_rubbish_is_no_memory(kind: ConfigFile, tmp_path: Path):
    for text in ("", "{", "[]", json.dumps({"version": 7})):
        (tmp_path / "home/config.json").write_text(text)
        assert kind.version() == "0"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ONE.replace("house-7", "house-8"), "house-8"),
        ("[gateway", "TOML"),
        ("\udcff", "UTF-8"),
        ("#" * (1 << 20) + "#", "bytes"),
    ],
)
def test_what_is_not_for_this_gateway_changes_nothing(kind: ConfigFile, tmp_path: Path, text: str, said: str):
    file = tmp_path / "offered"
    file.write_bytes(text.encode(errors="surrogateescape"))
    wanted = Wanted("config", "config/a.toml", "2")
    target = Target("config/a.toml", 1, "", {"gateway": "house-7"})
    with pytest.raises(UpdateError, match=said):
        kind.install(wanted, target, file, lambda _: None)
    assert (tmp_path / "gateway.toml").read_text() == ONE
    assert Trial(tmp_path / "home").read() is None


def test_a_link_is_not_replaced_by_a_file(kind: ConfigFile, tmp_path: Path):
    assert kind.why_not() == ""
    (tmp_path / "gateway.toml").rename(tmp_path / "elsewhere.toml")
    (tmp_path / "gateway.toml").symlink_to(tmp_path / "elsewhere.toml")
    assert "link" in kind.why_not()
