import pkgutil
import re
from pathlib import Path

from gateway import cli, errors
from gateway.control import client, gate
from gateway.control.config import Config
from gateway.control.connection import MAX_UNREAD_BYTES

TEXT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


def test_every_command_is_documented():
    for info in pkgutil.iter_modules(cli.__path__):
        source = Path(cli.__path__[0]) / f"{info.name}.py"
        if source.exists() and "def add_parser" in source.read_text(encoding="utf-8"):
            assert f"| `{info.name.replace('_', '-')}" in TEXT


def test_every_exit_status_is_documented():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    used = {getattr(kind, "exit_status", 0) for kind in kinds} | {
        *client._EXIT_STATUS.values(),
        client._PROTOCOL,
    }
    documented = {int(number) for number in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)}

    assert used <= documented


def test_the_limits_are_as_documented():
    config = Config()
    for words in (
        f"{MAX_UNREAD_BYTES // 1024} KiB of unanswered requests",
        f"{gate.CALLS_PER_S:.0f} calls per second",
        f"a burst of {gate.BURST_CALLS:.0f}",
        f"{config.max_clients_per_user} connections for each user and {config.max_clients} in all",
        str(config.socket),
    ):
        assert words in TEXT
    assert config.idle_s == 5 * 60
