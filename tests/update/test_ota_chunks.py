"""`reed-ota` writes a list of chunks for each system, before gateways hear of it."""

import random
from pathlib import Path

import pytest

from gateway.update.chunks import list_of, parse
from ota import files, publishing
from tests.fakes.ota.tool import ota, refused, target

SYSTEM = random.Random(3).randbytes(3_000_000)  # noqa: S311


@pytest.fixture
def released(place: Path) -> Path:
    """A repository with one large system, published."""
    (place / "large-1.0.raucb").write_bytes(SYSTEM)
    ota("init repo --test")
    ota("release repo large-1.0.raucb --kind os --version 1.0 --publish www")
    return place


def listed(place: Path, www: str = "www", path: str = "os/large-1.0.raucb") -> Path:
    return place / www / list_of(target(place, path, www).server_path.lstrip("/"))


def test_a_system_is_published_with_a_list_that_gateways_understand(released: Path) -> None:
    found = parse(listed(released).read_bytes(), len(SYSTEM))
    assert len(found) > 100
    assert all(chunk.is_in(SYSTEM[chunk.begin_bytes : chunk.end_bytes]) for chunk in found)


def test_the_list_is_there_before_the_metadata_that_name_the_system(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []
    copy = files.copy

    def watching(source: Path, to: Path) -> None:
        copied.append(to.name)
        copy(source, to)

    (place / "large-1.0.raucb").write_bytes(SYSTEM)
    ota("init repo --test")
    ota("release repo large-1.0.raucb --kind os --version 1.0")
    monkeypatch.setattr(publishing.files, "copy", watching)
    ota("publish repo www")
    (at,) = (at for at, name in enumerate(copied) if name.endswith(".chunks"))
    assert not any(name.endswith(".json") for name in copied[: at + 1])


def test_a_system_for_one_gateway_has_a_list_too(released: Path) -> None:
    (released / "own-1.1.raucb").write_bytes(SYSTEM[:2_000_000])
    ota("release repo own-1.1.raucb --kind os --version 1.1 --gateway lobby --publish www")
    found = parse(listed(released, path="os/lobby/own-1.1.raucb").read_bytes(), 2_000_000)
    assert len(found) > 50


def test_small_systems_and_other_kinds_have_none(released: Path) -> None:
    (released / "package.deb").write_bytes(SYSTEM)
    ota("release repo package.deb --kind app --version 1 --publish www")
    ota("release repo reed-1.0.raucb --kind os --version 1.0 --publish www")
    assert sorted((released / "www").rglob("*.chunks")) == [listed(released)]


def test_a_repository_from_before_there_were_lists_gets_them_when_it_is_published(
    released: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in released.rglob("*.chunks"):
        file.unlink()
    ota("check www")
    assert "os/large-1.0.raucb has no list of its chunks; publish again" in capsys.readouterr().err
    ota("show repo")
    ota("export repo os/large-1.0.raucb --to x.reed-update")
    ota("publish repo www")
    capsys.readouterr()
    ota("check www")
    assert capsys.readouterr().err == ""
    assert parse(listed(released).read_bytes(), len(SYSTEM))


def test_a_check_warns_of_a_list_that_describes_another_file(
    released: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = listed(released)
    right = file.read_bytes()
    file.write_bytes(right[:-1] + b"!")
    capsys.readouterr()
    ota("check www")
    assert f"has a wrong list of its chunks; remove {Path('www') / file.relative_to(released / 'www')}" in (
        capsys.readouterr().err
    )
    file.unlink()
    ota("publish repo www")
    assert file.read_bytes() == right


def test_no_target_is_called_like_a_list(released: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (released / "x.chunks").write_bytes(SYSTEM)
    assert "taken for a list" in refused("add repo x.chunks --kind os --version 1.1", capsys)
