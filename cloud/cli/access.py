"""How every command reaches the home and its registry, who is asking, and how it prints JSON."""

import argparse
import json
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cloud.errors import SetupError
from cloud.home import Home

if TYPE_CHECKING:
    from cloud.project.config import Config

DEFAULT_HOME = Path("/var/lib/reed-cloud")


def add_options(parser: argparse.ArgumentParser, *, as_json: bool = True) -> None:
    """Add --home, and --json where there is something to print."""
    parser.add_argument(
        "--home",
        type=Path,
        default=Path(os.environ.get("REED_CLOUD_HOME") or DEFAULT_HOME),
        metavar="FOLDER",
        help=f"where everything of this cloud is (default: $REED_CLOUD_HOME or {DEFAULT_HOME})",
    )
    if as_json:
        parser.add_argument("--json", action="store_true", help="print one JSON document")


def home_of(args: argparse.Namespace) -> Home:
    """Return the home that was named; it need not exist."""
    return Home(args.home.absolute())


@contextmanager
def opened(args: argparse.Namespace) -> Iterator["tuple[Home, Config]"]:
    """Have the registry of the home work in this process.

    Raises:
        SetupError: There is no home, it is not finished, or it is somebody else's.
        ServiceError: The database does not do it.
    """
    home = home_of(args)
    check_is_ours(home)
    from cloud.project.setup import start  # noqa: PLC0415  # Django takes a while, and `--help` needs none

    config = start(home)
    from cloud.run import database  # noqa: PLC0415  # can be imported only now

    with database.in_use():
        yield home, config


def check_is_ours(home: Home) -> None:
    """Raise SetupError unless `init` has finished there and the home belongs to this user."""
    try:
        owner = home.folder.stat().st_uid
        is_begun, is_finished = home.unfinished_file.exists(), home.secret_key_file.exists()
    except FileNotFoundError:
        is_begun = is_finished = False
        owner = os.geteuid()
    except PermissionError:
        raise SetupError(f"{home.folder}: belongs to another user; run this command as that user") from None
    except OSError as error:
        raise SetupError(f"{home.folder}: {error.strerror}") from None
    if owner != os.geteuid():
        # what root writes there (a new CRL, the database's log) its owner could not replace
        raise SetupError(
            f"{home.folder}: belongs to {_name(owner)}; run: sudo -u {_name(owner)} reed-cloud ..."
        )
    if is_begun:
        raise SetupError(
            f"{home.folder}: its init was interrupted; run: reed-cloud init --home {home.folder}"
        )
    if not is_finished:
        raise SetupError(f"{home.folder}: there is no cloud; run: reed-cloud init --home {home.folder}")


def actor() -> str:
    """Return who is asking, for the audit trail: the user at the terminal, also behind sudo."""
    behind = os.environ.get("SUDO_USER", "")
    return f"cli:{behind if behind and os.getuid() == 0 else _name(os.getuid())}"


def show_json(value: object) -> None:
    """Print one line of JSON."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
