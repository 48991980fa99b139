import argparse
import shutil
import subprocess
from pathlib import Path

import pytest

from gateway.__main__ import main
from gateway.cli import alarms, completion, status, valve


@pytest.fixture
def levels() -> list[completion.Words]:
    parser = argparse.ArgumentParser(prog="reed-gateway")
    subparsers = parser.add_subparsers()
    for module in (alarms, completion, status, valve):
        module.add_parser(subparsers)
    return list(completion.walk(parser))


def complete(script: Path, *words: str) -> list[str]:
    typed = " ".join(f"'{word}'" for word in ("reed-gateway", *words))
    probe = (
        f"source {script}; COMP_WORDS=({typed}); COMP_CWORD={len(words)}; _reed_gateway;"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    shown = subprocess.run(["bash", "-c", probe], capture_output=True, text=True, check=True)
    assert shown.stderr == ""
    return shown.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["st"], ["status"]),
        (["valve", "cl"], ["close"]),
        (["valve", "close", "main", "--no"], ["--no-wait"]),
        (["alarms", "--json", "re"], ["reset"]),
        (["completion", "z"], ["zsh"]),
        (["nonsense", "--js"], []),
    ],
)
def test_bash_offers_what_the_parser_takes(
    tmp_path: Path, levels: list[completion.Words], words: list[str], offered: list[str]
):
    script = tmp_path / "reed-gateway.bash"
    script.write_text(completion.bash(levels))

    assert complete(script, *words) == offered


def test_bash_offers_files_where_a_path_is_wanted(tmp_path: Path, levels: list[completion.Words]):
    script = tmp_path / "reed-gateway.bash"
    script.write_text(completion.bash(levels))

    assert complete(script, "status", "--socket", str(tmp_path / "reed")) == [str(script)]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_valid_for_its_shell(tmp_path: Path, levels: list[completion.Words], shell: str):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    script = tmp_path / "script"
    script.write_text(getattr(completion, shell)(levels))

    subprocess.run([shell, "-n", str(script)], check=True, timeout=20)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_command_and_option_is_in_every_script(levels: list[completion.Words], shell: str):
    script = getattr(completion, shell)(levels)

    for level in levels:
        for word in (*level.commands, *(option.removeprefix("--") for option in level.options)):
            assert word in script


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_command_prints_a_script_that_knows_itself(shell: str, capsys: pytest.CaptureFixture[str]):
    assert main(["completion", shell]) == 0
    assert "completion" in capsys.readouterr().out
