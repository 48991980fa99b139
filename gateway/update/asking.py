"""Asks the server for a target, or for a stretch of it.

Facts: RFC 9110, sections 13.1.5 (If-Range), 14.2 (Range) and 14.4 (Content-Range).
"""

import re
from typing import Final, NoReturn

from gateway.domain.update.model import Code
from gateway.errors import UpdateError
from gateway.update import chunks
from gateway.update.part import Part
from gateway.update.ports import Web, WebAnswer, WebRequest
from gateway.update.trust.target import Target

_STALL_S: Final = 60.0
_MORE_BYTES: Final = 1 << 20
"""So much too much still comes to `Part`, which says what is wrong."""
_OK: Final = 200
_PARTIAL: Final = 206
_NOT_SATISFIABLE: Final = 416
_IDENTITY: Final = {"accept-encoding": "identity"}
_DIGITS_MAX: Final = 19
_RANGE: Final = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", re.ASCII)


class NoRange(Exception):  # noqa: N818  # a turn, not a failure
    """What the server offers cannot be appended."""


class Asking:
    """One target of one server.

    Attributes:
        come_bytes: So much has come, of the target and its list.
    """

    def __init__(self, web: Web, target: Target) -> None:
        self._web = web
        self._target = target
        self.come_bytes = 0

    def list_of_chunks(self) -> bytes:
        """Return the list beside the target, whatever it holds; nothing if it cannot be had now."""
        request = WebRequest(chunks.list_of(self._target.server_path), headers=_IDENTITY)
        try:
            answer = self._web.ask(request, timeout_s=_STALL_S, max_bytes=chunks.LIST_MAX_BYTES)
        except UpdateError:  # without it, the target comes whole
            return b""
        self.come_bytes += len(answer.body)
        return answer.body if answer.status == _OK else b""

    def append(self, part: Part, until_bytes: int) -> None:
        """Append what lies between the end of `part` and there; all, from the start, of one without ranges.

        Raises:
            NoRange: It offers something else.
            UpdateError: UNREACHABLE (passing), or UNTRUSTED: it has more than was signed.
            Stopped: `part` was told to stop.
            OSError: The disk does not take it.
        """
        whole_bytes, begun = self._target.length_bytes, part.size_bytes
        is_part = begun > 0 or until_bytes < whole_bytes
        end_bytes = until_bytes

        def head(answer: WebAnswer) -> None:
            nonlocal end_bytes
            if answer.status == _OK:
                _require_length(answer, whole_bytes)
                part.restart()
                end_bytes = whole_bytes
            elif answer.status == _PARTIAL and is_part:
                _require_range(answer, (begun, until_bytes), whole_bytes)
            else:
                self._refuse(answer, is_part=is_part)

        def take(data: bytes) -> None:
            self.come_bytes += len(data)
            if end_bytes < whole_bytes and part.size_bytes + len(data) > end_bytes:
                raise NoRange
            part.take(data)

        answer = self._web.read(
            self._request(begun, until_bytes),
            take,
            stall_s=_STALL_S,
            max_bytes=whole_bytes + _MORE_BYTES,
            head=head,
        )
        if answer.status not in (_OK, _PARTIAL):
            self._refuse(answer, is_part=is_part)
        if part.size_bytes < end_bytes:
            detail = f"{self._target.path}: {part.size_bytes} of {whole_bytes} bytes have come"
            raise UpdateError(Code.UNREACHABLE, detail, passing=True)

    def _request(self, begun: int, until_bytes: int) -> WebRequest:
        # no If-Range is needed: the name is the digest, so that another content has another address
        headers = dict(_IDENTITY)
        if until_bytes < self._target.length_bytes:
            headers["range"] = f"bytes={begun}-{until_bytes - 1}"
        elif begun:
            headers["range"] = f"bytes={begun}-"
        return WebRequest(self._target.server_path, headers=headers)

    def _refuse(self, answer: WebAnswer, *, is_part: bool) -> NoReturn:
        if is_part and answer.status == _NOT_SATISFIABLE:
            raise NoRange
        detail = f"the server answers {answer.status} for {self._target.server_path}"
        raise UpdateError(Code.UNREACHABLE, detail, passing=True)


def _require_length(answer: WebAnswer, length_bytes: int) -> None:
    said = answer.headers.get("content-length", "")
    is_number = said.isascii() and said.isdigit()
    if is_number and (len(said) > _DIGITS_MAX or int(said) > length_bytes):
        detail = f"the server has {said[:20]} bytes, and {length_bytes} were signed"
        raise UpdateError(Code.UNTRUSTED, detail)


def _require_range(answer: WebAnswer, wanted: tuple[int, int], length_bytes: int) -> None:
    """Raise NoRange unless the answer begins where it should and goes no further."""
    found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
    if found is None or found[3] not in ("*", str(length_bytes)):
        raise NoRange
    if int(found[1]) != wanted[0] or int(found[2]) >= wanted[1]:
        raise NoRange
