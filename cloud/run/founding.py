"""`reed-cloud init`: makes a home with everything in it; goes on where an interrupted one ended."""

import contextlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from string import Template

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cloud.brokers.files import replace
from cloud.ca.folder import Folder
from cloud.ca.passphrase import new_passphrase
from cloud.errors import BrokerError, SetupError
from cloud.home import Home
from cloud.project.config import Config
from cloud.project.setup import migrate, prepare, start

TEMPLATE_FILE = Path(__file__).with_name("cloud.toml")

_MARK = "reed-cloud init has not come to its end here; run it again.\n"
_OURS = frozenset({"cloud.toml", "init-unfinished", "run", "lost+found"})
"""What may lie in a folder that becomes a home; settings may be written beforehand."""

TO_CARRY_AWAY = """\
This folder holds the key of the root. Whoever has it and its passphrase can make gateways and clouds at will.

1. Copy this folder to two media that are kept offline, in two places.
2. Check the copies:  sha256sum root-*
3. Remove this folder from this machine:  shred -u root-*.key; rm -r .
4. Keep the passphrase apart from the media.

You need it again to make an intermediate (every few years, or when one is lost) or another root:
bring one of the media and run:  reed-cloud ca intermediate --root-folder FOLDER
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What an operator says at the beginning; all of it can be changed in cloud.toml later.

    Args:
        hosts: Names or addresses, the public one first.
        bind: The address to listen on; "" is every address.
        https_port: For enrolment and pages.
        broker_port: For gateways.
        admin_port: For our own services.
        passphrase: For the root's key; "" makes one.
    """

    hosts: tuple[str, ...]
    bind: str
    https_port: int
    broker_port: int
    admin_port: int
    passphrase: str = ""


def check_place(home: Home) -> None:
    """Raise SetupError unless the folder is missing, empty, or one that an interrupted init has left."""
    if not home.folder.exists() or home.unfinished_file.exists():
        return
    if not home.folder.is_dir():
        raise SetupError(f"{home.folder}: is no folder; name another one with --home")
    found = {path.name for path in home.folder.iterdir()}
    if home.secret_key_file.name in found:
        raise SetupError(f"{home.folder}: is set up already; nothing was changed")
    if found - _OURS:
        raise SetupError(f"{home.folder}: holds something else; name an empty folder with --home")


def begin(home: Home, wish: Wish) -> Config:
    """Make the folder, its settings and Django's part; return the settings.

    Raises:
        SetupError: The settings are wrong: those that were there, or the wish.
        OSError: The folder cannot be written.
    """
    was_there = home.folder.exists()
    is_new = not was_there or not any(home.folder.iterdir())
    home.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.folder.chmod(0o700)
    try:
        return _begin(home, wish)
    except SetupError:
        if is_new:  # nothing but what this call has written; the folder itself may be a package's
            _empty(home.folder)
            if not was_there:
                home.folder.rmdir()
        raise


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _begin(home: Home, wish: Wish) -> Config:
    replace(home.unfinished_file, _MARK.encode())
    if not home.settings_file.exists():
        replace(home.settings_file, settings_text(wish).encode())
    prepare(home)
    return start(home)


def settings_text(wish: Wish) -> str:
    """Return cloud.toml with comments and defaults."""
    words = {
        "host": _toml(wish.hosts[0]),
        "more_hosts": "[" + ", ".join(_toml(host) for host in wish.hosts[1:]) + "]",
        "bind": _toml(wish.bind),
        "https_port": str(wish.https_port),
        "broker_port": str(wish.broker_port),
        "admin_port": str(wish.admin_port),
    }
    return Template(TEMPLATE_FILE.read_text(encoding="utf-8")).substitute(words)


def found(home: Home, config: Config, wish: Wish, actor: str, tell_passphrase: Callable[[str], None]) -> None:
    """Make what is missing: authority, command key, database, certificates, configurations.

    Args:
        home: `begin` has been there.
        config: What it returned.
        wish: As it was given.
        actor: Who does it, for the audit trail.
        tell_passphrase: Gets the root's passphrase before anything depends on it, if one was made.

    Raises:
        CloudError: Something cannot be made; call again when the reason is gone.
        OSError: The disk does not take it.
    """
    from cloud.registry import services  # noqa: PLC0415  # models can be imported only now
    from cloud.run.programs import programs  # noqa: PLC0415
    from cloud.run.services import hosts_of  # noqa: PLC0415

    needed = programs(home, config)  # a missing program is said before there is an authority
    migrate()
    if config.ca.issuer == "own" and not Folder(home).current_name():
        _hold_root_ceremony(home, wish, actor, tell_passphrase)
    _make_command_key(home)
    services.ensure_services(hosts_of(config.public), actor=actor)
    with contextlib.suppress(BrokerError):  # another's, which may not run yet; `run` tells it
        services.publish_crl()
    for program in needed:
        program.prepare()
    home.unfinished_file.unlink()


def _hold_root_ceremony(home: Home, wish: Wish, actor: str, tell_passphrase: Callable[[str], None]) -> None:
    """Make root and intermediate; a root that an interrupted ceremony left has signed nothing and goes."""
    from cloud.registry import services  # noqa: PLC0415  # models can be imported only now

    for stale in (home.offline, home.ca / "roots", home.ca / "intermediates"):
        if stale.exists():
            shutil.rmtree(stale)
    passphrase = wish.passphrase or new_passphrase()
    services.create_root(passphrase, actor=actor)
    replace(home.offline / "READ-ME.txt", TO_CARRY_AWAY.encode())
    if not wish.passphrase:
        tell_passphrase(passphrase)
    services.create_intermediate(passphrase, actor=actor)


def _make_command_key(home: Home) -> None:
    """Make the key that signs commands; gateways learn its public half when they enrol."""
    if home.command_public_file.exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    home.services.mkdir(mode=0o700, exist_ok=True)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    replace(home.command_key_file, private)
    replace(home.command_public_file, public)


def _toml(text: str) -> str:
    """Return a basic string of TOML 1.0; what must be escaped there is escaped alike in JSON."""
    return json.dumps(text)
