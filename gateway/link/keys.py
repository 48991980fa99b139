"""Checks the signature of what comes down: compact JWS (RFC 7515), ES256 (RFC 7518, 3.4) and nothing else."""

import asyncio
import importlib
from pathlib import Path
from typing import Any, Final

from gateway.errors import CommandError

_END: Final = b"-----END PUBLIC KEY-----"
_CURVE: Final = "secp256r1"


class CommandKeys:
    """The cloud's public keys; read, with the libraries they need, when the first command comes.

    PyJWT and cryptography cost 10 MiB and 60 ms of imports, which happen in a thread.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: list[Any] = []  # cryptography's class, not imported yet
        self._jwt: Any = None  # the module, not imported yet

    async def payload(self, token: bytes) -> bytes:
        """Return what was signed.

        Raises:
            CommandError: "bad_signature", or "no_command_key" if our file of keys is unusable.
        """
        if not self._keys:
            await asyncio.get_running_loop().run_in_executor(None, self._load)
        for key in self._keys:
            try:
                signed: bytes = self._jwt.PyJWS().decode(token, key, algorithms=["ES256"])
            except (self._jwt.PyJWTError, ValueError, TypeError, RecursionError):
                continue  # garbage or another key's: the same to us
            return signed
        raise CommandError("bad_signature", "no command key of ours fits")

    def _load(self) -> None:
        self._jwt = importlib.import_module("jwt")
        serialization = importlib.import_module("cryptography.hazmat.primitives.serialization")
        try:
            blocks = self._path.read_bytes().split(_END)[:-1]
            keys = [
                serialization.load_pem_public_key(block.strip() + b"\n" + _END + b"\n") for block in blocks
            ]
        except (OSError, ValueError) as error:
            raise CommandError("no_command_key", f"{self._path}: {error}") from None
        if not keys or any(getattr(getattr(k, "curve", None), "name", "") != _CURVE for k in keys):
            raise CommandError("no_command_key", f"{self._path}: holds no P-256 public key in PEM")
        self._keys = keys
