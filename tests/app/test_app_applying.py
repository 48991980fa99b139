"""The privileged half, before it has a request."""

import os

import pytest

from gateway.app import applying
from gateway.domain.update.model import Code
from gateway.errors import UpdateError


@pytest.mark.parametrize("begun", [b"", b'{"verb": "sta'])
def test_who_connects_and_asks_for_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, begun: bytes):
    monkeypatch.setattr(applying, "_REQUEST_S", 0.2)
    reads, writes = os.pipe()
    os.write(writes, begun)
    with os.fdopen(reads, "rb") as given, pytest.raises(UpdateError, match="no request came") as caught:
        applying._request(given)
    os.close(writes)
    assert caught.value.code == Code.INVALID


def test_a_request_that_comes_is_not_cut_off_later(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(applying, "_REQUEST_S", 0.2)
    reads, writes = os.pipe()
    os.write(writes, b'{"verb": "state"}\n')
    with os.fdopen(reads, "rb") as given:
        assert applying._request(given).verb == "state"
        assert applying.signal.getitimer(applying.signal.ITIMER_REAL) == (0.0, 0.0)
    os.close(writes)
