"""The cloud's public keys, and what checking a command takes: loaded when the first command comes."""

import asyncio
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.errors import CommandError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey


class CommandKeys:
    """The keys in a file of PEM blocks; a second one is there while the cloud changes its key.

    cryptography, and msgspec for what commands say, cost 9 MiB and 50 ms of imports, which happen in a
    thread.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._keys: list[EllipticCurvePublicKey] = []

    def forget(self) -> None:
        """Read the file anew for the next command."""
        self._keys = []

    async def payload(self, token: bytes) -> bytes:
        """Return what was signed.

        Raises:
            CommandError: "bad_signature", or "no_command_key" if our file of keys is unusable.
        """
        if not self._keys:
            await asyncio.to_thread(self._load)
        from gateway.link import jws  # noqa: PLC0415  the thread has loaded it

        signed = jws.payload(token, self._keys)
        if signed is None:
            raise CommandError("bad_signature", "no command key of ours fits")
        return signed

    def _load(self) -> None:
        jws = importlib.import_module("gateway.link.jws")
        importlib.import_module("gateway.link.command")  # for the inbox, which needs it next
        if self._path is None:
            raise CommandError("no_command_key", "neither link.command_key_file nor an enrolment gives one")
        try:
            self._keys = jws.public_keys(self._path.read_bytes())
        except (OSError, ValueError) as error:
            raise CommandError("no_command_key", f"{self._path}: {error}") from None
