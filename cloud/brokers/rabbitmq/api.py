"""RabbitMQ's HTTP API (management plugin; rabbitmq.com/docs/http-api-reference)."""

import base64
import http.client
import json
import ssl
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlsplit

from cloud.brokers.settings import Settings
from cloud.errors import BrokerError
from cloud.home import Home

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ABSENT = 404
_UNAUTHORISED = (401, 403)
_SUCCESS = range(200, 300)
_LONGEST_REASON = 200
_STUMBLED = 500
"""What a list answers when somebody on it is deleted while RabbitMQ 4.0 makes it; the next one is right."""
_ATTEMPTS = 4
_PAUSE_S = 0.1


class Api:
    """One connection, open within `with`, for one thread.

    Raises:
        BrokerError: From every method: no connection, no answer in time, or refused.
    """

    def __init__(self, settings: Settings, home: Home) -> None:
        self._url = settings.api_url
        self._user = settings.api_user
        self._authorisation = _basic(settings)
        self._connection = _connection(settings, home)
        self._status = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, *path: str) -> Any:  # noqa: ANN401  # whatever JSON it is
        """Return what is there; None if nothing is."""
        for _ in range(_ATTEMPTS - 1):
            found = self.call("GET", *path, allowed=(_ABSENT, _STUMBLED))
            if self._status != _STUMBLED:
                return found
            time.sleep(_PAUSE_S)
        return self.call("GET", *path, allowed=(_ABSENT,))

    def put(self, *path: str, body: object) -> None:
        """Create or replace."""
        self.call("PUT", *path, body=body)

    def delete(self, *path: str, allowed: Collection[int] = ()) -> None:
        """Delete; nothing to delete is fine."""
        self.call("DELETE", *path, allowed=(_ABSENT, *allowed))

    def call(self, method: str, *path: str, body: object = None, allowed: Collection[int] = ()) -> Any:  # noqa: ANN401
        """Do a request and return its JSON; None if there is none, or if the status is an allowed failure.

        Args:
            method: Of HTTP.
            path: Parts of the path below /api, not yet quoted.
            body: What JSON can say.
            allowed: Statuses besides 2xx that are no failure.
        """
        target = "/api/" + "/".join(quote(part, safe="") for part in path)
        content = None if body is None else json.dumps(body)
        headers = {"Authorization": self._authorisation, "Content-Type": "application/json"}
        try:
            self._connection.request(method, target, content, headers)
            response = self._connection.getresponse()
            said = response.read()
            self._status = response.status
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise BrokerError(f"RabbitMQ at {self._url} cannot be reached: {error!r}") from error
        if response.status not in _SUCCESS:
            if response.status in allowed:
                return None
            raise BrokerError(self._refusal(method, target, response.status, said))
        return _parsed(said)

    def _refusal(self, method: str, target: str, status: int, said: bytes) -> str:
        if status in _UNAUTHORISED:
            return f"RabbitMQ refuses its administrator {self._user!r} ({status}); see [broker] in cloud.toml"
        reason = said[:_LONGEST_REASON].decode(errors="replace")
        return f"RabbitMQ answers {status} to {method} {target}: {reason}"


def _parsed(said: bytes) -> Any:  # noqa: ANN401  # whatever JSON it is
    try:
        return json.loads(said) if said else None
    except ValueError as error:
        raise BrokerError(f"RabbitMQ does not answer in JSON: {error}") from error


def _basic(settings: Settings) -> str:
    try:
        password = Path(settings.api_password_file).read_text().strip()
    except OSError as error:
        raise BrokerError(
            f"RabbitMQ's password (broker.api_password_file) cannot be read: {error}"
        ) from error
    return "Basic " + base64.b64encode(f"{settings.api_user}:{password}".encode()).decode()


def _connection(settings: Settings, home: Home) -> http.client.HTTPConnection:
    url = urlsplit(settings.api_url)
    if url.hostname is None or url.scheme not in ("https", "http"):
        raise BrokerError(f"broker.api_url is {settings.api_url!r}; write https://HOST:15671")
    if url.scheme == "http":
        if url.hostname not in _LOOPBACK:
            raise BrokerError("broker.api_url sends the password unencrypted to another host; use https")
        return http.client.HTTPConnection(url.hostname, url.port, timeout=settings.timeout_s)
    try:
        context = ssl.create_default_context(cafile=settings.api_ca_file or str(home.roots_file))
    except OSError as error:
        raise BrokerError(f"RabbitMQ's authority (broker.api_ca_file) cannot be read: {error}") from error
    return http.client.HTTPSConnection(url.hostname, url.port, timeout=settings.timeout_s, context=context)
