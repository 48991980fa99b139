"""What of a new configuration takes effect at once."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.app.reload import Changes, changes, marks
from gateway.config.model import Config
from gateway.config.read import read
from gateway.link.config import Config as LinkConfig
from tests.fakes.house import CONFIG


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG)
    return read(path)


def link(folder: Path) -> LinkConfig:
    files = [folder / name for name in ("ca", "cert", "key", "command")]
    for file in files:
        file.write_text("x")
    return LinkConfig(
        host="h", ca_file=files[0], cert_file=files[1], key_file=files[2], command_key_file=files[3]
    )


def test_same_configuration_changes_nothing(config: Config):
    assert str(changes(config, config, files_changed=False)) == "nothing has changed"


def test_link_and_control_change_at_once_and_the_site_with_a_restart(config: Config, tmp_path: Path):
    new = replace(
        config,
        link=link(tmp_path),
        control=replace(config.control, max_clients=1),
        site=replace(config.site, cloud_loss_s=1.0),
    )

    assert changes(config, new, files_changed=False) == Changes(("control", "link"), ("site",))


def test_the_way_to_the_tpm_changes_at_once_and_what_is_enrolled_needs_no_reload(config: Config):
    moved = replace(config, identity=replace(config.identity, tcti="device:/dev/tpmrm1"), link=LinkConfig())

    assert changes(config, moved, files_changed=False) == Changes(("link", "identity"), ())
    assert marks(moved.link) == {}


def test_renewed_file_begins_a_new_session(config: Config):
    assert changes(config, config, files_changed=True) == Changes(("link",), ())


def test_mark_tells_a_renewed_file(tmp_path: Path):
    wanted = link(tmp_path)
    before = marks(wanted)
    assert marks(wanted) == before

    wanted.cert_file.write_text("renewed")
    assert marks(wanted) != before

    wanted.key_file.unlink()
    assert marks(wanted)[wanted.key_file] is None
    assert marks(None) == {}
