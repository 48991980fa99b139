"""`reed-ota` as a person uses it, and what a gateway makes of the result."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.update.trust.fetchers import WebFetcher
from gateway.update.trust.target import Target
from gateway.update.trust.trusted import Trusted
from ota import cli
from tests.fakes.ota.web import FileWeb

PASSPHRASE = "correct horse battery staple"  # noqa: S105  # of tests
REFRESH_PASSPHRASE = "a machine may know this one"  # noqa: S105


def ota(words: str) -> None:
    """Run a command that must succeed."""
    assert cli.main(words.split()) == 0, words


def refused(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must fail, and return its one line."""
    capsys.readouterr()
    assert cli.main(words.split()) == 1, words
    said = capsys.readouterr().err
    assert said.startswith("reed-ota: ")
    assert said.count("\n") == 1
    return said


def target(folder: Path, path: str, www: str = "www") -> Target:
    """Return what a gateway that knows nothing but the first root makes of what is published."""
    shutil.rmtree(folder / "tuf", ignore_errors=True)
    fetcher = WebFetcher(FileWeb(folder / www))
    root = folder / "repo/metadata/1.root.json"
    return Trusted(folder / "tuf", root, fetcher, lambda: datetime.now(UTC)).target(path)
