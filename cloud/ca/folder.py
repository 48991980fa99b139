"""The authority's folder: which roots and intermediates there are, and which one issues.

roots/<id>/{cert,crl}.pem   intermediates/<id>/{cert.pem,key.pem,about.json}   current (the id that issues)
roots.pem and chain.pem are made from these. <id>: the beginning of the subject key identifier.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from cloud.ca.certificates import key_id, pem
from cloud.ca.files import PUBLIC, sync_folder, write
from cloud.ca.keys import KeyPlace, Kind
from cloud.errors import SetupError
from cloud.home import Home

_PRIVATE_FOLDER = 0o700


@dataclass(frozen=True, slots=True)
class Intermediate:
    """An authority that issues, or did.

    Args:
        certificate: Its own.
        key: Where its key is.
        until: When the last certificate that it issued ends; None while it issues.
        lost: Its key is lost or was stolen: it is trusted no more.
    """

    certificate: x509.Certificate
    key: KeyPlace
    until: datetime | None
    lost: bool

    def in_use(self, now: datetime) -> bool:
        """Return whether certificates that it signed may still be valid."""
        return not self.lost and (self.until is None or now < self.until)


class Folder:
    """Reads and writes it; every change of a file is one step."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._roots = home.ca / "roots"
        self._intermediates = home.ca / "intermediates"
        self._current = home.ca / "current"

    def make(self) -> None:
        """Make the folders."""
        for folder in (self._home.ca, self._roots, self._intermediates):
            folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)

    # --- roots --------------------------------------------------------------------------------------

    def roots(self) -> list[x509.Certificate]:
        """Return the roots that are trusted, the oldest first."""
        found = [_load(folder / "cert.pem") for folder in _folders(self._roots)]
        return sorted(found, key=lambda root: root.not_valid_before_utc)

    def root_crls(self) -> bytes:
        """Return what the roots said last about their intermediates (PEM)."""
        folders = [self._roots / _short(root) for root in self.roots()]
        return b"".join(each.joinpath("crl.pem").read_bytes() for each in folders)

    def add_root(self, root: x509.Certificate, crl: bytes) -> None:
        """Trust a root, and know its first CRL."""
        folder = self._roots / _short(root)
        folder.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
        write(folder / "crl.pem", crl, PUBLIC)
        write(folder / "cert.pem", pem(root), PUBLIC)
        sync_folder(self._roots)

    def replace_root_crl(self, root: x509.Certificate, crl: bytes) -> None:
        """Know the newest CRL of a root."""
        write(self._roots / _short(root) / "crl.pem", crl, PUBLIC)

    def drop_root(self, root: x509.Certificate) -> None:
        """Trust it no more."""
        folder = self._roots / _short(root)
        for name in ("cert.pem", "crl.pem"):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()

    # --- intermediates --------------------------------------------------------------------------------

    def place(self, kind: Kind, name: str) -> KeyPlace:
        """Return where a new intermediate's key will be; the folder is made."""
        folder = self._intermediates / name
        folder.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
        return KeyPlace(kind, folder, f"reed-{name}")

    def intermediates(self) -> list[Intermediate]:
        """Return all that were ever in use and are complete, the issuing one first, then the newest."""
        current = self.current_name()
        found = [_load_intermediate(folder) for folder in _folders(self._intermediates)]
        found.sort(key=lambda each: each.certificate.not_valid_before_utc, reverse=True)
        return sorted(found, key=lambda each: each.key.folder.name != current)

    def current(self) -> Intermediate:
        """Return the one that issues.

        Raises:
            SetupError: None does.
        """
        name = self.current_name()
        if not name:
            raise SetupError(f"{self._home.ca}: no intermediate issues yet; run: reed-cloud ca intermediate")
        return _load_intermediate(self._intermediates / name)

    def current_name(self) -> str:
        """Return the folder's name of the one that issues, or ""."""
        return self._current.read_text().strip() if self._current.exists() else ""

    def save(self, intermediate: Intermediate) -> None:
        """Write what is known about it; the key is there already."""
        about = {
            "key": intermediate.key.kind,
            "label": intermediate.key.label,
            "until": intermediate.until.isoformat() if intermediate.until else None,
            "lost": intermediate.lost,
        }
        write(intermediate.key.folder / "about.json", json.dumps(about).encode(), PUBLIC)
        write(intermediate.key.folder / "cert.pem", pem(intermediate.certificate), PUBLIC)
        sync_folder(self._intermediates)

    def let_issue(self, intermediate: Intermediate) -> None:
        """Let it issue from now on."""
        write(self._current, intermediate.key.folder.name.encode() + b"\n", PUBLIC)

    def write_trust(self, now: datetime) -> None:
        """Have roots.pem and chain.pem, with which others verify certificates, as the folder is now."""
        roots = self.roots()
        in_use = [each.certificate for each in self.intermediates() if each.in_use(now)]
        trusted = [each for each in in_use if any(signed_by(each, root) for root in roots)]
        for path, data in (
            (self._home.roots_file, pem(*roots)),
            (self._home.chain_file, pem(*trusted, *roots)),
        ):
            if not path.exists() or path.read_bytes() != data:  # who reads them reloads when they change
                write(path, data, PUBLIC)


def signed_by(certificate: x509.Certificate, parent: x509.Certificate) -> bool:
    """Return whether the parent signed it."""
    try:
        certificate.verify_directly_issued_by(parent)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _folders(parent: Path) -> list[Path]:
    """Return the complete ones: the certificate is written last."""
    if not parent.is_dir():
        return []
    return sorted(each for each in parent.iterdir() if (each / "cert.pem").exists())


def _short(certificate: x509.Certificate) -> str:
    return key_id(certificate)[:16]


def _load(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise SetupError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise SetupError(f"{path}: is no certificate; put it back from the backup") from None


def _load_intermediate(folder: Path) -> Intermediate:
    try:
        about = json.loads((folder / "about.json").read_text())
        until = datetime.fromisoformat(about["until"]) if about["until"] else None
        key = KeyPlace(about["key"], folder, about["label"])
        return Intermediate(_load(folder / "cert.pem"), key, until, bool(about["lost"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SetupError(
            f"{folder / 'about.json'}: is damaged ({error}); put it back from the backup"
        ) from None
