"""A folder with a sound configuration, and a way to change it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.errors import ConfigError

SOUND = """
[gateway]
id = "house-7"
state_dir = "state"
runtime_dir = "run"

[board]
kind = "sim"
socket = "building.sock"

[sensor.cellar]
kind = "contact"
line = "leak-1"

[sensor.roof]
kind = "contact"
line = "leak-2"
name = "Roof tank"
silence_s = 3600

[zone.plant-room]
sensors = ["cellar", "roof"]
valves = ["main"]
quorum = 2

[valve.main]
kind = "motorised"
open_line = "main-open"
close_line = "main-close"
closed_switch_line = "main-is-closed"

[valve.kitchen]
kind = "spring_return"
open_line = "kitchen-open"
on_daemon_loss = "close"

[button.lobby]
line = "lobby-button"
valves = ["main"]

[indicator]
led_line = "led"
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a configuration: the sound one with parts replaced, or a text of its own."""

    def make(*changes: tuple[str, str], text: str = SOUND, more: str = "") -> Path:
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        path = tmp_path / "gateway.toml"
        path.write_text(text + more, encoding="utf-8")
        return path

    return make


@pytest.fixture
def problems() -> Callable[[Path], dict[str, str]]:
    """Read a configuration that is wrong; return key to problem."""
    from gateway.config.read import read  # noqa: PLC0415

    def find(path: Path) -> dict[str, str]:
        with pytest.raises(ConfigError) as raised:
            read(path)
        return dict(raised.value.problems)

    return find
