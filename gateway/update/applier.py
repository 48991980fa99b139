"""The privileged half, over its socket: one request, lines of JSON back (apply/protocol.py)."""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gateway.domain.model import Json
from gateway.domain.update.model import Code
from gateway.errors import UpdateError

_CONNECT_S = 10.0
_SILENT_S = {"install": 2400.0, "state": 120.0, "reboot": 60.0}
"""So long may it say nothing; an installation tells its percent."""
_OTHERS_SILENT_S = 1200.0
_MAX_LINE_BYTES = 1 << 20


class ApplierClient:
    """Its caller; each call is a connection and a process of its own.

    Args:
        path: Of its socket.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def call(
        self, verb: str, arguments: Mapping[str, Json], on_percent: Callable[[int], None] = lambda _: None
    ) -> Mapping[str, Json]:
        """Do one of its verbs and return its answer.

        Raises:
            UpdateError: As it says; BUSY if nobody answers, INTERRUPTED if it breaks off.
        """
        reader, writer = await self._connect()
        try:
            writer.write(json.dumps({"verb": verb, "arguments": dict(arguments)}).encode() + b"\n")
            silent_s = _SILENT_S.get(verb, _OTHERS_SILENT_S)
            return await self._answer(verb, reader, on_percent, silent_s)
        except (OSError, ValueError) as error:
            raise _broken(verb, str(error)) from None
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(_CONNECT_S):
                return await asyncio.open_unix_connection(self._path, limit=_MAX_LINE_BYTES)
        except OSError as error:
            said = error.strerror or error
            why = f"no answer on {self._path}: {said}; try: systemctl status reed-apply.socket"
            raise UpdateError(Code.BUSY, why, passing=True) from None

    async def _answer(
        self, verb: str, reader: asyncio.StreamReader, on_percent: Callable[[int], None], silent_s: float
    ) -> Mapping[str, Json]:
        while True:
            try:
                async with asyncio.timeout(silent_s):
                    line = await reader.readline()
            except TimeoutError:
                raise _broken(verb, f"it said nothing for {silent_s:g} s") from None
            if not line.endswith(b"\n"):
                raise _broken(verb, "it ended without an answer")
            match json.loads(line):
                case {"percent": int(percent)}:
                    on_percent(percent)
                case {"ok": dict(answer)}:
                    return answer
                case {"error": dict(error)}:
                    raise _refusal(error)


def _refusal(error: Mapping[str, Any]) -> UpdateError:
    code, detail = error.get("code"), error.get("detail")
    known = code if isinstance(code, str) and code in frozenset(Code) else Code.INSTALL_FAILED.value
    return UpdateError(known, str(detail or code), passing=error.get("passing") is True)


def _broken(verb: str, why: str) -> UpdateError:
    return UpdateError(Code.INTERRUPTED, f"{verb} broke off: {why}", passing=True)
