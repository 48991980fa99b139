"""What can be said to `reed-ota`."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from ota.exporting import DAYS
from ota.roles import KINDS, ROOT_THRESHOLD


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    whole = argparse.ArgumentParser(prog="reed-ota", description="The repository that gateways update from.")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--passphrase-file", type=Path, help="opens the keys; else $REED_OTA_PASSPHRASE or you are asked"
    )
    common.add_argument(
        "--refresh-passphrase-file",
        type=Path,
        help="opens the keys of snapshot and timestamp; else $REED_OTA_REFRESH_PASSPHRASE",
    )
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, parents=[common])

    _keys(command)
    _content(command)
    _server(command)
    return whole


_Command: TypeAlias = Callable[[str, str], argparse.ArgumentParser]


def _keys(command: _Command) -> None:
    """Add what ceremonies need."""
    _founding(command("init", "make a repository and its keys"))
    key = command("key", "make a key pair: FILE.pem and FILE.pub")
    key.add_argument("file", type=Path)
    key.add_argument("--for-refresh", action="store_true", help="of snapshot or timestamp")
    _signing(command("sign", "sign drafts with the keys at hand"))
    sign_file = command("sign-file", "sign a draft that was brought here, with one key; needs no repository")
    sign_file.add_argument("file", type=Path)
    sign_file.add_argument("--key", type=Path, required=True, help="NAME.pem")
    join = _with_repo(command("join", "take signatures from a draft that was signed elsewhere"))
    join.add_argument("file", type=Path)
    renew = _with_repo(command("renew", "draft roles again before they end"))
    renew.add_argument("roles", nargs="+")
    _rotating(_with_repo(command("rotate", "change the keys of a role")))


def _content(command: _Command) -> None:
    """Add what releases need."""
    release = _with_repo(command("release", "build, add, sign, stage and check in one go"))
    release.add_argument("file", type=Path, help="where it is, or is built to")
    _release(release, version_needed=False)
    _releasing(release)
    add = _with_repo(command("add", "add a file"))
    add.add_argument("file", type=Path)
    _release(add)
    _with_repo(command("remove", "take a target out")).add_argument("target")
    stage = _with_repo(command("stage", "make signed drafts part of the repository"))
    stage.add_argument("roles", nargs="*", help="whose drafts; all if none is given")
    _exporting(_with_repo(command("export", "write one target for a gateway without a network")))


def _server(command: _Command) -> None:
    """Add what the machine that publishes needs."""
    publish = _with_repo(command("publish", "copy what is staged to where gateways fetch it"))
    publish.add_argument("dest", type=Path)
    refresh = _with_repo(command("refresh", "sign snapshot and timestamp again; for cron"))
    refresh.add_argument("--publish", type=Path, help="folder to publish to")
    _checking(command("check", "verify a repository, or a published folder, as a gateway would"))
    _with_repo(command("show", "show a repository, or one file of metadata"))


def _with_repo(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("repo", type=Path, help="folder of the repository")
    return parser


def _founding(parser: argparse.ArgumentParser) -> None:
    _with_repo(parser)
    parser.add_argument(
        "--offline", type=Path, help="folder for the keys of root and targets, e.g. on a stick"
    )
    parser.add_argument(
        "--root-public", type=Path, nargs="+", default=[], metavar="PUB", help="root keys that others made"
    )
    parser.add_argument("--threshold", type=int, default=ROOT_THRESHOLD, help="so many root keys must sign")
    parser.add_argument("--test", action="store_true", help="open keys; protects nothing")


def _release(parser: argparse.ArgumentParser, *, version_needed: bool = True) -> None:
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--version", required=version_needed, default="")
    parser.add_argument("--compatible", default="", help="the machine it is for")
    parser.add_argument("--gateway", default="", help="the one gateway it is for")
    parser.add_argument("--min-version", default="", help="that a gateway must have before")
    parser.add_argument("--downgrade", action="store_true", help="may be installed over a newer one")


def _releasing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--build", default="", metavar="COMMAND", help="makes the file; {file} and {version} are filled in"
    )
    parser.add_argument("--image", type=Path, help="made by ota/image/build; says version and compatible")
    parser.add_argument("--keys", type=Path, nargs="+", default=[], help="folders with more keys")
    parser.add_argument("--publish", type=Path, help="folder to publish to")


def _signing(parser: argparse.ArgumentParser) -> None:
    _with_repo(parser)
    parser.add_argument("roles", nargs="*", help="whose drafts; all if none is given")
    parser.add_argument("--keys", type=Path, nargs="+", default=[], help="folders with more keys")


def _rotating(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("role")
    parser.add_argument("--add", type=Path, metavar="PUB", help="public key of the new one")
    parser.add_argument("--remove", default="", metavar="ID", help="beginning of the old one's id")
    parser.add_argument("--threshold", type=int, default=0, help="so many have to sign from now on")


def _checking(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path)
    parser.add_argument("--root", type=Path, help="the root that a gateway was given")
    parser.add_argument("--warn-days", type=float, default=14.0, help="warn of what ends so soon")


def _exporting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target")
    parser.add_argument("--to", type=Path, required=True, metavar="FILE.reed-update")
    parser.add_argument("--days", type=float, default=DAYS, help="it can be installed for so long")
