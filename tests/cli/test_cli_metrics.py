import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.__main__ import main
from tests.fakes.gateway import Served, served


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "control") as running:
        yield running


def metrics(socket: Path, *words: str) -> int:
    return main(["metrics", "--socket", str(socket), *words])


def test_the_figures_are_printed(gateway: Served, capsys: pytest.CaptureFixture[str]):
    assert metrics(gateway.config.socket) == 0

    out = capsys.readouterr().out
    assert "\nreed_up 1\n" in out
    assert out.endswith("\n")


def test_a_file_is_written_where_any_collector_may_read_it(gateway: Served, tmp_path: Path):
    folder = tmp_path / "textfile"
    folder.mkdir()

    assert metrics(gateway.config.socket, "--textfile", str(folder / "reed.prom")) == 0

    assert [path.name for path in folder.iterdir()] == ["reed.prom"]
    assert "\nreed_up 1\n" in (folder / "reed.prom").read_text()
    assert stat.S_IMODE((folder / "reed.prom").stat().st_mode) == 0o644


def test_a_gateway_that_is_away_does_not_leave_old_figures_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "reed.prom"
    file.write_text("reed_up 1\n")

    assert metrics(tmp_path / "nobody", "--textfile", str(file)) == 69

    assert file.read_text().splitlines()[-1] == "reed_up 0"
    assert capsys.readouterr().err.startswith("reed-gateway: no answer on ")


def test_a_folder_that_does_not_exist_is_named(
    gateway: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert metrics(gateway.config.socket, "--textfile", str(tmp_path / "none" / "reed.prom")) == 74

    complaint = capsys.readouterr().err
    assert (
        complaint
        == f"reed-gateway: {tmp_path}/none/reed.prom: cannot be written: No such file or directory\n"
    )


def test_a_reader_sees_old_or_new_figures_and_never_half_of_them(gateway: Served, tmp_path: Path):
    file = tmp_path / "reed.prom"
    file.write_text("old")
    with file.open() as reader:
        metrics(gateway.config.socket, "--textfile", str(file))

        assert reader.read() == "old"
    assert file.read_text().startswith("# HELP reed_up ")
