"""Secrets at rest, such as the keys of Bluetooth sensors: sealed by the TPM; a copied card gives up none.

One file for each, in `<state_dir>/identity/secrets`: JSON that says who sealed it. Where keys may lie in
files (`identity.allow_software_key`, no TPM), so may secrets; the file says so.
"""

import base64
import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gateway import durable
from gateway.errors import IdentityError
from gateway.identity.config import Config
from gateway.identity.keys import open_keys
from gateway.identity.lock import problem

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
NAME_RULE = "a secret's name is 1 to 64 of a-z, 0-9, ., _ and -, and begins with a letter or digit"
MAX_BYTES = 128
"""A TPM seals no more at once; a key has 32."""

_VERSION = 1
_NOT_SEALED = "NOT sealed: this gateway has no TPM, and whoever reads the card can read this"

SealedBy = Literal["tpm", "nothing"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A secret as it lies there; `sealed_by` is None if the file is damaged."""

    name: str
    sealed_by: SealedBy | None


class Secrets:
    """The folder of secrets.

    Args:
        folder: `<state_dir>/identity/secrets`; made with the first of them.
        config: How the TPM is reached, and whether there may be none.
    """

    def __init__(self, folder: Path, config: Config) -> None:
        self._folder, self._config = folder, config

    def set(self, name: str, secret: bytes) -> SealedBy:
        """Keep a secret; return who has sealed it.

        Raises:
            TpmError: The TPM is missing, hangs or refuses.
            IdentityError: The name or the secret is not allowed, or the disk does not take it.
        """
        path = self._path(name)
        if not 1 <= len(secret) <= MAX_BYTES:
            raise IdentityError(f"a secret has 1 to {MAX_BYTES} bytes, this one {len(secret)}")
        by: SealedBy = "tpm" if open_keys(self._config).kind == "tpm" else "nothing"
        content: dict[str, object] = {"version": _VERSION, "sealed_by": by}
        if by == "tpm":
            from gateway.identity.tpm.seal import seal  # noqa: PLC0415  # only where there is a TPM

            content["sealed"] = base64.b64encode(seal(self._config, secret)).decode()
        else:
            content |= {"note": _NOT_SEALED, "secret": base64.b64encode(secret).decode()}
        with changing(path):
            durable.folder(self._folder.parent)
            durable.folder(self._folder)
            durable.write(path, json.dumps(content, indent=1).encode() + b"\n")
        return by

    def list(self) -> list[Entry]:
        """Return all of them by name. Raises IdentityError if the folder cannot be read."""
        with changing(self._folder):
            names = [path.name for path in self._folder.iterdir()] if self._folder.exists() else []
        return [Entry(name, self._sealed_by(name)) for name in sorted(names) if NAME.fullmatch(name)]

    def remove(self, name: str) -> None:
        """Forget a secret. Raises IdentityError if there is none."""
        path = self._path(name)
        with changing(path):
            if not path.exists():
                raise IdentityError(f"there is no secret {name}; see: reed-gateway secret list")
            durable.remove(path)

    def open(self, name: str) -> bytes:
        """Return a secret.

        Raises:
            TpmError: The TPM is missing, hangs or refuses.
            IdentityError: There is none, it is damaged, or another machine has sealed it.
        """
        content = self._content(name)
        try:
            if content.get("sealed_by") == "nothing":
                return base64.b64decode(content["secret"], validate=True)
            sealed = base64.b64decode(content["sealed"], validate=True)
        except (KeyError, ValueError, TypeError):
            raise _damaged(name) from None
        from gateway.identity.tpm.seal import unseal  # noqa: PLC0415  # only where there is a TPM

        return unseal(self._config, sealed)

    def _sealed_by(self, name: str) -> SealedBy | None:
        try:
            by = self._content(name).get("sealed_by")
        except IdentityError:
            return None
        return by if by in ("tpm", "nothing") else None

    def _content(self, name: str) -> dict[str, Any]:  # Any: what the file holds, looked at by the caller
        path = self._path(name)
        try:
            content = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise IdentityError(
                f"there is no secret {name}; set it: reed-gateway secret set {name}"
            ) from None
        except OSError as error:
            raise problem(path, error) from None
        except (ValueError, RecursionError):
            raise _damaged(name) from None
        if not isinstance(content, dict):
            raise _damaged(name)
        if content.get("version") != _VERSION:
            raise IdentityError(f"secret {name} was set by a later release: update, or set it again")
        return content

    def _path(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise IdentityError(f"{name[:80]!a}: {NAME_RULE}")
        return self._folder / name


def _damaged(name: str) -> IdentityError:
    return IdentityError(f"secret {name} is damaged; set it again: reed-gateway secret set {name}")


@contextlib.contextmanager
def changing(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into an IdentityError."""
    try:
        yield
    except OSError as error:
        raise problem(path, error) from None
