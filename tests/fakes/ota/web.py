"""A server of files, in this process: ranges, and the ways in which servers break."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gateway.domain.update.model import Code
from gateway.errors import UpdateError
from gateway.update.ports import WebAnswer, WebRequest


@dataclass
class FileWeb:
    """Serves a folder as the port Web wants it.

    Args:
        folder: What is served.
        ranges: It knows Range.
        shift: It begins so many bytes beside what was asked, and says so.
        cut_after: The connection breaks after so many bytes of a body; None: never.
        ask_breaks: Small answers break, too, while `cut_after` is set.
        extra: It sends this after the end of each file.
        beyond: It sends this after the end of each range.
        says_length: It tells the length of a file beforehand.
        status: It answers this for everything, if not 0.
        piece_bytes: It sends so much at once.
        on_sent: Told how much it has sent.
    """

    folder: Path
    ranges: bool = True
    shift: int = 0
    cut_after: int | None = None
    ask_breaks: bool = True
    extra: bytes = b""
    beyond: bytes = b""
    says_length: bool = True
    status: int = 0
    piece_bytes: int = 10_000
    on_sent: Callable[[int], None] = lambda _: None
    asked: list[WebRequest] = field(default_factory=list)
    sent_bytes: int = 0

    def ask(self, request: WebRequest, *, timeout_s: float, max_bytes: int) -> WebAnswer:  # noqa: ARG002
        answer, body = self._answer(request)
        if self.cut_after is not None and self.ask_breaks:
            raise UpdateError(Code.UNREACHABLE, "the connection broke", passing=True)
        return WebAnswer(answer.status, body[:max_bytes], answer.headers)

    def read(
        self,
        request: WebRequest,
        sink: Callable[[bytes], None],
        *,
        stall_s: float,  # noqa: ARG002
        max_bytes: int,  # noqa: ARG002
        head: Callable[[WebAnswer], None] = lambda _: None,
    ) -> WebAnswer:
        answer, body = self._answer(request)
        head(answer)
        if answer.status // 100 != 2:
            return answer
        left = len(body) if self.cut_after is None else self.cut_after
        for begin in range(0, min(len(body), left), self.piece_bytes):
            piece = body[begin : min(begin + self.piece_bytes, left)]
            self.sent_bytes += len(piece)
            sink(piece)
            self.on_sent(self.sent_bytes)
        if left < len(body):
            raise UpdateError(Code.UNREACHABLE, "the connection broke", passing=True)
        return answer

    def _answer(self, request: WebRequest) -> tuple[WebAnswer, bytes]:
        self.asked.append(request)
        path = self.folder / request.path.lstrip("/")
        if self.status or not path.is_file():
            return WebAnswer(self.status or 404), b""
        data = path.read_bytes() + self.extra
        wanted = request.headers.get("range", "")
        if not wanted or not self.ranges:
            said = {"content-length": str(len(data))} if self.says_length else {}
            return WebAnswer(200, headers=said), data
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        begin, end = int(first) + self.shift, min(int(last or len(data)) + 1 + self.shift, len(data))
        if begin >= len(data):
            return WebAnswer(416, headers={"content-range": f"bytes */{len(data)}"}), b""
        span = f"bytes {begin}-{end - 1}/{len(data)}"
        return WebAnswer(206, headers={"content-range": span}), data[begin:end] + self.beyond
