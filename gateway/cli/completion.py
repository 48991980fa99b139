"""`reed-gateway completion`: shell completion, made from the parsers themselves.

reed-gateway completion bash > /usr/share/bash-completion/completions/reed-gateway
reed-gateway completion zsh  > /usr/share/zsh/vendor-completions/_reed_gateway
reed-gateway completion fish > /usr/share/fish/vendor_completions.d/reed-gateway.fish
"""

import argparse
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass

from gateway import cli

_PROGRAM = "reed-gateway"

_FILES = ("PATH", "FILE")


@dataclass(frozen=True, slots=True)
class Words:
    """What may follow a command: `path` is "" or e.g. "valve close"."""

    path: str
    commands: dict[str, str]
    options: dict[str, str]
    files: frozenset[str]
    """The options that take a file name."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "completion", help="print shell completion", description="Print a completion script for a shell."
    )
    parser.add_argument("shell", choices=["bash", "zsh", "fish"])


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    make = {"bash": bash, "zsh": zsh, "fish": fish}[args.shell]
    print(make(list(walk(all_commands()))), end="")
    return 0


def all_commands() -> argparse.ArgumentParser:
    """Return a parser with every command of this package."""
    parser = argparse.ArgumentParser(prog=_PROGRAM)
    subparsers = parser.add_subparsers()
    for info in pkgutil.iter_modules(cli.__path__):
        name = f"{cli.__name__}.{info.name}{'.command' * info.ispkg}"
        if importlib.util.find_spec(name) is None:
            continue
        module = importlib.import_module(name)
        if hasattr(module, "add_parser"):
            module.add_parser(subparsers)
    return parser


def walk(parser: argparse.ArgumentParser, path: str = "") -> Iterator[Words]:
    """Yield the words of a parser and of every command below it."""
    commands: dict[str, str] = {}
    options: dict[str, str] = {}
    files = set()
    below: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:  # noqa: SLF001  # argparse has no public way to list them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            below = dict(action.choices)
            commands |= {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001
        elif action.choices and not action.option_strings:
            commands |= {str(choice): "" for choice in action.choices}
        else:
            longest = [option for option in action.option_strings if option.startswith("--")]
            options |= dict.fromkeys(longest, action.help or "")
            files |= {option for option in longest if action.metavar in _FILES}
    yield Words(path, commands, options, frozenset(files))
    for name, child in below.items():
        yield from walk(child, f"{path} {name}".strip())


def bash(levels: list[Words]) -> str:
    """Return the script for bash."""
    cases = "\n".join(
        f'    "{level.path}") words="{" ".join([*level.commands, *level.options])}" ;;' for level in levels
    )
    paths = "|".join(f'"{level.path}"' for level in levels if level.path)
    files = "|".join(sorted({option for level in levels for option in level.files}))
    return f"""\
# bash completion for {_PROGRAM}
_reed_gateway() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} path="" words="" word
  case "$previous" in
    {files}) COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "${{path:+$path }}$word" in
      {paths}) path="${{path:+$path }}$word" ;;
    esac
  done
  case "$path" in
{cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _reed_gateway {_PROGRAM}
"""


def zsh(levels: list[Words]) -> str:
    """Return the script for zsh."""
    cases = "\n".join(
        f'    "{level.path}") offered=({" ".join(_zsh_word(*item) for item in _all(level))}) ;;'
        for level in levels
    )
    paths = "|".join(f'"{level.path}"' for level in levels if level.path)
    files = "|".join(sorted({option for level in levels for option in level.files}))
    return f"""\
#compdef {_PROGRAM}
_reed_gateway() {{
  local found="" word
  local -a before offered
  before=("${{(@)words[2,CURRENT-1]}}")
  case "${{words[CURRENT-1]}}" in
    {files}) _files; return ;;
  esac
  for word in $before; do
    case "${{found:+$found }}$word" in
      {paths}) found="${{found:+$found }}$word" ;;
    esac
  done
  case "$found" in
{cases}
  esac
  _describe command offered
}}
if [[ $funcstack[1] == _reed_gateway ]]; then
  _reed_gateway "$@"
else
  compdef _reed_gateway {_PROGRAM}
fi
"""


def fish(levels: list[Words]) -> str:
    """Return the script for fish."""
    lines = [f"# fish completion for {_PROGRAM}", f"complete -c {_PROGRAM} -f"]
    for level in levels:
        when = _fish_condition(level)
        for name, text in level.commands.items():
            lines.append(f"complete -c {_PROGRAM} -n {_quoted(when)} -a {name} -d {_quoted(text)}")
        for option, text in level.options.items():
            file = " -rF" if option in level.files else ""
            lines.append(
                f"complete -c {_PROGRAM} -n {_quoted(when)} -l {option[2:]}{file} -d {_quoted(text)}"
            )
    return "\n".join(lines) + "\n"


def _fish_condition(level: Words) -> str:
    if not level.path:
        return "__fish_use_subcommand"
    seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in level.path.split())
    inner = [name for name in level.commands if name]
    return f"{seen}; and not __fish_seen_subcommand_from {' '.join(inner)}" if inner else seen


def _all(level: Words) -> Iterator[tuple[str, str]]:
    yield from level.commands.items()
    yield from level.options.items()


def _zsh_word(name: str, text: str) -> str:
    return _quoted(f"{name}:{text}" if text else name)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "") + "'"
