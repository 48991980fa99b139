"""The entry point: finds commands, and turns every foreseen failure into one line and an exit status."""

import importlib
import json
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway import __version__, cli
from gateway.__main__ import build_parser, main
from tests.fakes.house import CONFIG


def typed(*arguments: str) -> int:
    try:
        return main(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)


def test_version_is_told(capsys: pytest.CaptureFixture[str]):
    assert typed("--version") == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [(), ("no-such-command",), ("run", "--no-such-option"), ("table",)])
def test_wrong_usage_ends_with_64(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]):
    assert typed(*arguments) == os.EX_USAGE
    assert re.fullmatch("reed-gateway.*: .*; see: reed-gateway.* --help\n", capsys.readouterr().err)


def test_every_command_module_keeps_the_convention():
    names = [info.name for info in pkgutil.iter_modules(cli.__path__) if not info.ispkg]
    modules = [importlib.import_module(f"gateway.cli.{name}") for name in names]
    commands = [module for module in modules if hasattr(module, "add_parser")]

    assert {"gateway.cli.run", "gateway.cli.check_config"} <= {module.__name__ for module in commands}
    assert all(callable(module.run) for module in commands)
    assert build_parser().format_help()


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]):
    assert typed("--help") == 0

    shown = capsys.readouterr().out
    assert "check-config" in shown
    assert "run the gateway" in shown


def test_sound_configuration_is_summed_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG)

    assert typed("check-config", str(path)) == 0

    shown = capsys.readouterr().out
    assert "valid (gateway house-7: 1 sensor, 1 zone, 2 valves, 1 button; no broker)" in shown
    assert "note: valve.garden: in no zone; no leak closes it" in shown


def test_flow_rule_is_shown_with_all_that_it_took_from_its_template(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "gateway.toml"
    path.write_text(
        f"""{CONFIG}
[meter.street]
line = "water-meter"
litres_per_pulse = 1
valves = ["main"]
[flow_rule.night]
template = "breeam-wat-03-unoccupied"
meter = "street"
for_s = 600
"""
    )
    words = "street above 2 l/min for 600 s, unoccupied, always: close main after a warning of 120 s"

    assert typed("check-config", str(path)) == 0
    assert f"flow_rule.night: {words}" in capsys.readouterr().out
    assert typed("check-config", "--json", str(path)) == 0
    assert json.loads(capsys.readouterr().out)["flow_rules"] == {"night": words}


def test_wrong_configuration_is_one_line_for_each_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG.replace("house-7", "House 7").replace("confirm_s = 0", "confirm_s = -1"))

    assert typed("check-config", str(path)) == os.EX_CONFIG

    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["reed-gateway", "zone.cellar.confirm_s"],
        ["reed-gateway", "gateway.id"],
        ["reed-gateway", str(path)],
    ]
    assert lines[-1].endswith(": 2 problems in all; correct the file")


def test_problems_come_as_json_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "gateway.toml"
    path.write_text("x = 1")

    assert typed("check-config", "--json", str(path)) == os.EX_CONFIG

    answer = json.loads(capsys.readouterr().out)
    assert not answer["valid"]
    assert {"x", "gateway.id", "board.kind"} <= {problem["key"] for problem in answer["problems"]}


def test_missing_configuration_does_not_start_the_daemon(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert typed("run", "--config", str(tmp_path / "none.toml")) == os.EX_CONFIG
    assert "No such file" in capsys.readouterr().err


def test_reader_that_leaves_early_is_no_failure(tmp_path: Path):
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG)
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-m", "gateway", "check-config", str(path)]

    done = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, check=False)
    os.close(write_end)

    assert (done.returncode, done.stderr) == (0, b"")


def test_start_path_loads_nothing_heavy():
    heavy = ("aiomqtt", "paho", "cryptography", "jwt", "msgspec", "rich", "bleak", "pydantic")
    code = "import sys, gateway.cli.run, gateway.app.daemon, gateway.config.read; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout

    assert not {name.split(".")[0] for name in loaded.split()} & set(heavy)
