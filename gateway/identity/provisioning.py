"""Enrolment without anybody at a keyboard: a TOML file that an installer puts on the boot partition.

    url = "https://cloud.example.org"
    token = "hq-01.…"
    ca_file = "company-root.pem"     # optional: who vouches for the servers
    config_file = "gateway.toml"     # optional: becomes the gateway's configuration
    again = true                     # optional: although it is enrolled

It holds a secret and lies on a partition that any computer reads, so it is destroyed once it has done its
work. If it cannot be used it stays, with a text beside it that says why: `reed-enrol.toml.problem`.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway import durable
from gateway.errors import ConfigError, StoreError

PLACES = (Path("/boot/firmware/reed-enrol.toml"), Path("/boot/reed-enrol.toml"))
"""Where it is looked for: Debian's and the older place of a Raspberry Pi's boot partition."""

MAX_BYTES = 64 * 1024

_KEYS: Mapping[str, tuple[type, str]] = {
    "url": (str, "an address, https://HOST"),
    "token": (str, "the token, as it was given out"),
    "ca_file": (str, "the name of a file"),
    "config_file": (str, "the name of a file"),
    "again": (bool, "true or false"),
}
_REQUIRED = ("url", "token")
_FILES = ("ca_file", "config_file")
_SHOWN = 40
_BARE = re.compile(r"[A-Za-z0-9_-]{1,40}")
_MOST_PROBLEMS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Provision:
    """What the file asks for; paths are absolute."""

    url: str
    token: str = field(repr=False)
    ca_file: Path | None = None
    config_file: Path | None = None
    again: bool = False


def find() -> Path | None:
    """Return the file, if there is one."""
    return next((path for path in PLACES if is_there(path)), None)


def is_there(path: Path) -> bool:
    """Return False if there is certainly no such file; reading tells why one cannot be read."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def read(path: Path) -> Provision:
    """Return what the file says.

    Raises:
        ConfigError: All that is wrong with it.
    """
    table = _parse(path)
    folder = path.absolute().parent
    problems = [(name, f"missing; give {_KEYS[name][1]}") for name in _REQUIRED if not table.get(name)]
    for name, value in table.items():
        if name not in _KEYS:
            shown = name if _BARE.fullmatch(name) else ascii(name[:_SHOWN])
            problems.append((shown, f"unknown key; known: {', '.join(_KEYS)}"))
        elif not isinstance(value, _KEYS[name][0]):
            problems.append((name, f"is not allowed; give {_KEYS[name][1]}"))
        elif name in _FILES and not _is_beside(folder, value):
            problems.append((name, f"must be {_KEYS[name][1]} that lies beside this one, without its folder"))
    if problems:
        raise ConfigError(*((f"{path}: {name}", problem) for name, problem in problems[:_MOST_PROBLEMS]))
    return Provision(**{**table, **{name: folder / table[name] for name in _FILES if name in table}})


def _is_beside(folder: Path, name: object) -> bool:
    """Return True for the plain name of a file here: anybody can write on this partition, and root reads."""
    if not isinstance(name, str) or not name.isprintable() or name in ("", ".", ".."):
        return False
    return Path(name).name == name and not (folder / name).is_symlink()


def _parse(path: Path) -> Mapping[str, Any]:  # Any: values of TOML
    try:
        if not path.is_file():
            raise ConfigError((str(path), "is no file" if path.exists() else "there is no such file"))
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise ConfigError((str(path), f"is larger than {MAX_BYTES} bytes; is it the right file?"))
        # editors of other systems like to begin with a byte order mark
        return tomllib.loads(text.decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError((str(path), f"cannot be read: {error.strerror or error}")) from None
    except UnicodeDecodeError as error:
        raise ConfigError((str(path), f"is not UTF-8 (byte {error.start}); save it as UTF-8")) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError((str(path), f"is not TOML: {error}")) from None
    except RecursionError:
        raise ConfigError((str(path), "is nested too deeply")) from None


def complain(path: Path, problem: str) -> None:
    """Say beside the file, if it is there, why it was not used; if that fails, so be it."""
    text = f"{problem}\n".encode()
    beside = _beside(path)
    try:
        if not is_there(path):
            return
        if is_there(beside) and beside.read_bytes() == text:
            return
        # not through a link: whoever made one could not write where root can
        file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        with os.fdopen(file, "wb") as opened:
            opened.write(text)
        durable.sync_folder(path.parent)
    except OSError:
        return


def shred(path: Path) -> None:
    """Overwrite the file, remove it, and what was said beside it.

    The memory of a card may keep an older copy in blocks that it has put aside: nothing can be done about
    that from here, and the token is used up.

    Raises:
        StoreError: It is still there; a person must remove it.
    """
    try:
        with path.open("r+b") as file:
            file.write(b"\0" * os.fstat(file.fileno()).st_size)
            file.flush()
            os.fsync(file.fileno())
        durable.remove(path)
        durable.remove(_beside(path))
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{path}: cannot be removed ({error.strerror}); remove it by hand") from None


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.problem")
