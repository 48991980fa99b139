"""Each impossible setting is named, all at once."""

from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.store.config import Config


def test_defaults_are_sound():
    assert Config(path=Path("gateway.db")).receipts == "cloud"


def test_all_problems_are_named_at_once():
    with pytest.raises(ConfigError) as caught:
        Config(path=Path("x"), max_bytes=1, max_ram_bytes=1, commit_rows=0, commit_after_s=0, receipts="no")  # type: ignore[arg-type]

    keys = {key for key, _ in caught.value.problems}
    assert keys == {"max_bytes", "max_ram_bytes", "commit_rows", "commit_after_s", "receipts"}
