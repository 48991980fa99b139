"""Web over http.client with a client certificate, for tests of what speaks through it."""

import http.client
import ssl
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from gateway.domain.update.model import Code
from gateway.errors import UpdateError
from gateway.update.ports import WebAnswer, WebRequest


class PlainWeb:
    """One server, one connection for each request; counts them."""

    def __init__(self, url: str, cert_file: Path, key_file: Path, trust: Path) -> None:
        parts = urlsplit(url)
        self._place = (parts.hostname or "", parts.port or 443)
        self._context = ssl.create_default_context(cafile=str(trust))
        self._context.load_cert_chain(cert_file, key_file)
        self.asked: list[WebRequest] = []

    def ask(self, request: WebRequest, *, timeout_s: float, max_bytes: int) -> WebAnswer:
        """Return a small answer whole."""
        self.asked.append(request)
        connection = http.client.HTTPSConnection(*self._place, timeout=timeout_s, context=self._context)
        try:
            connection.request(request.method, request.path, request.body, dict(request.headers))
            response = connection.getresponse()
            body = response.read(max_bytes + 1)
        except (OSError, http.client.HTTPException) as error:
            raise UpdateError(Code.UNREACHABLE, str(error) or type(error).__name__, passing=True) from None
        finally:
            connection.close()
        if len(body) > max_bytes:
            raise UpdateError(Code.UNREACHABLE, "its answer is too long", passing=True)
        return WebAnswer(response.status, body, {key.lower(): value for key, value in response.getheaders()})

    def read(
        self, request: WebRequest, sink: Callable[[bytes], None], *, stall_s: float, max_bytes: int
    ) -> WebAnswer:
        """Hand over the body; hawkBit's source never reads one so."""
        answer = self.ask(request, timeout_s=stall_s, max_bytes=max_bytes)
        sink(answer.body)
        return WebAnswer(answer.status, b"", answer.headers)
