"""docs/configuration.md names every key with its default and unit, and its example is a sound one."""

import re
from collections.abc import Callable
from pathlib import Path

from configuration_doc import DOCUMENT, filled, tables

from gateway.config.read import read


def test_every_key_is_documented_with_default_and_unit():
    written = DOCUMENT.read_text(encoding="utf-8")

    assert written == filled(written), "run: python tests/config/configuration_doc.py"


def test_every_key_has_a_meaning():
    rows = [row for table in tables().values() for row in table.splitlines()[2:]]

    assert [row for row in rows if row.rstrip().endswith("| |") or row.endswith("|  |")] == []


def test_example_is_sound(write: Callable[..., Path], tmp_path: Path):
    example = re.search(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    for name in re.findall(r'_file = "(.*)"', example[1]):
        (tmp_path / name).write_text("x")

    assert read(write(text=example[1])).site.zones
