"""Entry point of `reed-gateway`: finds the command's module, runs it, turns errors into one line."""

import argparse
import importlib
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType

from gateway import __version__, cli
from gateway.errors import ConfigError, GatewayError

INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""

USAGE = 64
"""EX_USAGE of sysexits.h."""


class _Parser(argparse.ArgumentParser):
    """Wrong usage ends with one line and EX_USAGE, as docs/cli.md says; 2 would mean nothing to scripts."""

    def error(self, message: str) -> None:  # type: ignore[override]  # typeshed wants NoReturn; exit() is
        self.exit(USAGE, f"{self.prog}: {message}; see: {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = build_parser(arguments)
    args = parser.parse_args(arguments)
    try:
        status: int = args.run(args)
        sys.stdout.flush()
    except GatewayError as error:
        _complain(error)
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has left; nothing more can be said, not even by the interpreter's exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def build_parser(arguments: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser for the typed command, or of all commands if none or an unknown one was typed."""
    parser: argparse.ArgumentParser = _Parser(
        prog="reed-gateway", description="Leak protection for commercial buildings: the gateway daemon."
    )
    parser.add_argument("--version", action="version", version=f"reed-gateway {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in _modules(arguments):
        _add(module, subparsers)
    return parser


def _modules(arguments: Sequence[str]) -> Iterable[ModuleType]:
    names = [info.name + "." * info.ispkg for info in pkgutil.iter_modules(cli.__path__)]
    typed = arguments[0].replace("-", "_") if arguments else ""
    if typed.isidentifier():
        names = [name for name in names if name.rstrip(".") == typed] or names
    modules = [module for name in sorted(names) if (module := _load(name)) is not None]
    return modules or _modules(())


def _load(name: str) -> ModuleType | None:
    """Return the command of that name; a package (its name ends with a dot) may have it in `command.py`."""
    path = f"gateway.cli.{name}command" if name.endswith(".") else f"gateway.cli.{name}"
    if importlib.util.find_spec(path) is None:
        return None
    module = importlib.import_module(path)
    return module if hasattr(module, "add_parser") else None


def _add(module: ModuleType, subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    before = set(subparsers.choices)
    module.add_parser(subparsers)
    for name in set(subparsers.choices) - before:
        subparsers.choices[name].set_defaults(run=module.run)


def _complain(error: GatewayError) -> None:
    lines = list(_problems(error)) if isinstance(error, ConfigError) else []
    for line in lines or [str(error)]:
        print(f"reed-gateway: {line}", file=sys.stderr)  # noqa: T201  # the command line's own voice


def _problems(error: ConfigError) -> Iterator[str]:
    """Yield a line for each, and the file last: `systemctl status` shows the end."""
    for key, problem in error.problems:
        yield f"{key}: {problem}"
    if error.file:
        count = len(error.problems)
        yield f"{error.file}: {count} problem{'s' * (count > 1)} in all; correct the file"


if __name__ == "__main__":
    sys.exit(main())
