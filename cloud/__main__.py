"""Entry point of `reed-cloud`: finds the command's module, runs it, turns errors into one line."""

import argparse
import importlib
import os
import pkgutil
import sys
from collections.abc import Iterable, Sequence
from types import ModuleType

from cloud import __version__, cli
from cloud.errors import CloudError

INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""

USAGE = 64
"""EX_USAGE of sysexits.h."""

_NO_DISK, _NO_PERMISSION = 74, 77


class _Parser(argparse.ArgumentParser):
    """Wrong usage ends with one line and EX_USAGE, as docs/cloud-cli.md says."""

    def error(self, message: str) -> None:  # type: ignore[override]  # typeshed wants NoReturn; exit() is
        self.exit(USAGE, f"{self.prog}: {_one_line(message)}; see: {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    args = build_parser(arguments).parse_args(arguments)
    try:
        status: int = args.run(args)
        sys.stdout.flush()
    except CloudError as error:
        _complain(str(error))
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has left; nothing more can be said, not even by the interpreter's exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        _complain(f"{error.filename or 'the system'}: {error.strerror or error}")
        return _NO_PERMISSION if isinstance(error, PermissionError) else _NO_DISK
    return status


def build_parser(arguments: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser for the typed command, or of all commands if none or an unknown one was typed."""
    parser: argparse.ArgumentParser = _Parser(
        prog="reed-cloud",
        description="The control plane of reed: who may connect, with which certificate, to which broker.",
    )
    parser.add_argument("--version", action="version", version=f"reed-cloud {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in _modules(arguments):
        _add(module, subparsers)
    return parser


def _modules(arguments: Sequence[str]) -> Iterable[ModuleType]:
    names = [info.name for info in pkgutil.iter_modules(cli.__path__) if not info.ispkg]
    typed = arguments[0] if arguments else ""
    names = [typed] if typed in names else names
    modules = [importlib.import_module(f"cloud.cli.{name}") for name in sorted(names)]
    return [module for module in modules if hasattr(module, "add_parser")] or _modules(())


def _add(module: ModuleType, subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    before = set(subparsers.choices)
    module.add_parser(subparsers)
    for name in set(subparsers.choices) - before:
        subparsers.choices[name].set_defaults(run=module.run)


def _complain(problem: str) -> None:
    for line in problem.splitlines():
        print(f"reed-cloud: {_one_line(line)}", file=sys.stderr)  # noqa: T201  # the command line's own voice


def _one_line(text: str) -> str:
    """Return it without what would break a line or a terminal; an argument may hold anything."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    return clean.encode("utf-8", "replace").decode()


if __name__ == "__main__":
    sys.exit(main())
