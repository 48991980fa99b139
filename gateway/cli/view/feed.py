"""Follows the gateway for a live view, and comes back by itself when the gateway does."""

import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gateway.control.client import Client
from gateway.errors import ControlError

SHOWN_MESSAGES = 100
RETRY_S = 0.5
INTERVAL_MS = 250
SILENCE_S = 5.0
"""A live gateway speaks every INTERVAL_MS; this long without a word and it counts as gone."""


class Feed:
    """The last view of the gateway and what led to it; `problem` says why there is no newer one."""

    def __init__(self, socket: Path) -> None:
        self.view: dict[str, Any] | None = None
        self.messages: deque[Mapping[str, Any]] = deque(maxlen=SHOWN_MESSAGES)
        self.problem = "connecting"
        self._socket = socket
        self._client: Client | None = None
        self._replies: Iterator[dict[str, Any]] = iter(())
        self._next_try_s = 0.0
        self._heard_s = 0.0

    def fileno(self) -> int | None:
        """Return the descriptor to wait on; None while there is no connection."""
        return self._client.fileno() if self._client is not None else None

    def poll(self) -> bool:
        """Take in what has arrived, without waiting; (re)connect if due. True if anything changed."""
        now_s = time.monotonic()
        try:
            if self._client is None:
                return self._connect(now_s)
            changed = False
            while self._client.ready(0):
                self._take(next(self._replies), now_s)
                changed = True
            if now_s - self._heard_s > SILENCE_S:
                self._lose("the gateway does not answer")
        except (ControlError, StopIteration) as error:
            self._lose(str(error) or "the gateway ended the live view")
            return True
        return changed or bool(self.problem)

    def close(self) -> None:
        """Leave."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connect(self, now_s: float) -> bool:
        if now_s < self._next_try_s:
            return False
        self._next_try_s = now_s + RETRY_S
        self._client = Client(self._socket)
        self._replies = self._client.stream("Watch", interval_ms=INTERVAL_MS, timeout_s=SILENCE_S)
        self._take(next(self._replies), now_s, anew=True)
        return True

    def _take(self, reply: Mapping[str, Any], now_s: float, *, anew: bool = False) -> None:
        if anew:
            self.messages.clear()
        self.view, self.problem, self._heard_s = reply["view"], "", now_s
        self.messages.extend(reply["messages"])

    def _lose(self, problem: str) -> None:
        self.close()
        self.problem = problem
