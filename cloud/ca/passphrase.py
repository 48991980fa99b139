"""What opens the authority's key: from the best place that has one."""

import os
import secrets
from pathlib import Path

from cloud.ca.files import write
from cloud.errors import SetupError, SignerError
from cloud.home import Home

CREDENTIAL = "reed-ca-passphrase"
"""Name for LoadCredential= and LoadCredentialEncrypted= of systemd."""
ENVIRONMENT = "REED_CA_PASSPHRASE"
LEAST = 20
"""Characters that a passphrase of one's own must have: PKCS #8 slows guessing down only a little."""

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


def new_passphrase() -> str:
    """Return 130 random bits as a person can copy them: 26 characters in groups, none easily confused."""
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(26))
    return "-".join(letters[start : start + 6] for start in range(0, 26, 6))


def read_passphrase(home: Home) -> str:
    """Return it from systemd's credential, else the environment, else the file in the home.

    Raises:
        SignerError: None of them has it.
    """
    given = _given()
    if given:
        return given
    try:
        return _content(home.passphrase_file)
    except UnicodeDecodeError:
        raise SignerError(f"{home.passphrase_file}: is no text; put it back from the backup") from None
    except OSError as error:
        reason = error.strerror or error
        raise SignerError(
            f"no passphrase for the authority: credential {CREDENTIAL}, ${ENVIRONMENT} and "
            f"{home.passphrase_file} have none ({reason})"
        ) from None


def ensure_passphrase(home: Home) -> str:
    """Return it as `read_passphrase` does, and make one in the file where there is none.

    Raises:
        SignerError: A credential is there, but cannot be read or is empty: nothing takes its place.
    """
    given = _given()
    if not given and not home.passphrase_file.exists():
        write(home.passphrase_file, new_passphrase().encode() + b"\n")
    return read_passphrase(home)


def checked(passphrase: str) -> bytes:
    """Return a person's passphrase as bytes.

    Raises:
        SetupError: It is too short to protect a key that lies in a file.
    """
    if len(passphrase) < LEAST:
        raise SetupError(f"the passphrase has {len(passphrase)} characters; take at least {LEAST}")
    return passphrase.encode()


def _given() -> str:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder:
        try:
            found = _content(Path(folder) / CREDENTIAL)
        except FileNotFoundError:
            found = None
        except (OSError, UnicodeDecodeError) as error:
            raise SignerError(f"systemd credential {CREDENTIAL}: cannot be read: {error}") from None
        if found is not None:
            return _not_empty(found)
    return os.environ.get(ENVIRONMENT, "").strip()


def _not_empty(found: str) -> str:
    if not found:
        raise SignerError(f"systemd credential {CREDENTIAL}: is empty; put the passphrase into it")
    return found


def _content(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()
