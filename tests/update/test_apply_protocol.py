"""What the applier reads and answers."""

import io
import json

import pytest

from gateway.domain.update.model import Code
from gateway.errors import UpdateError
from gateway.update.apply.protocol import MAX_REQUEST_BYTES, Answers, read_request


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"{",
        b"[]",
        b"7",
        b'"install"',
        b'{"verb": 7}',
        b'{"arguments": {}}',
        b'{"verb": "state", "arguments": []}',
        b"\xff\xfe",
        b"[" * 60_000,
        b"x" * (MAX_REQUEST_BYTES + 1),
    ],
)
def test_what_is_no_request_is_refused_in_one_line(line: bytes):
    with pytest.raises(UpdateError) as caught:
        read_request(io.BytesIO(line))
    assert caught.value.code == Code.INVALID
    assert "\n" not in str(caught.value)


def test_arguments_have_types():
    request = read_request(
        io.BytesIO(b'{"verb": "install", "arguments": {"kind": "os", "downgrade": "yes"}}\n')
    )
    assert request.text("kind") == "os"
    assert request.text("id", "") == ""
    for ask in (lambda: request.flag("downgrade"), lambda: request.text("target")):
        with pytest.raises(UpdateError):
            ask()


def test_percent_is_told_when_it_changes_and_an_error_with_its_code():
    stream = io.BytesIO()
    answers = Answers(stream)
    for percent in (1, 1, 2):
        answers.percent(percent)
    answers.error(UpdateError(Code.BUSY, "later", passing=True))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    error = {"error": {"code": "busy", "detail": "later", "passing": True}}
    assert lines == [{"percent": 1}, {"percent": 2}, error]


def test_nobody_has_to_listen():
    class Gone(io.BytesIO):
        def flush(self) -> None:
            raise BrokenPipeError

    Answers(Gone()).ok({})
