"""Where metadata come from: the repository's server, or a folder that somebody else has filled."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from tuf.api.exceptions import DownloadHTTPError, DownloadLengthMismatchError
from tuf.ngclient.fetcher import FetcherInterface

from gateway.domain.update.model import Code
from gateway.errors import UpdateError
from gateway.update.ports import Web, WebRequest
from gateway.update.trust.plain import open_plain

BASE: Final = "metadata/"
"""What python-tuf puts in front of names."""
_TIMEOUT_S: Final = 30.0
_OK: Final = 200
_NOT_FOUND: Final = 404


class Fetcher(FetcherInterface):
    """Gives one file of metadata by name, e.g. "timestamp.json" or "3.root.json"."""

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """Return the file, of `max_length` bytes at most.

        Raises:
            DownloadHTTPError: There is none.
            DownloadLengthMismatchError: It is longer.
            UpdateError: It cannot be had now (UNREACHABLE).
        """
        data = self.read(url.removeprefix(BASE), max_length)
        if len(data) > max_length:
            raise DownloadLengthMismatchError(f"{url} is longer than {max_length} bytes")
        return data

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return the file; one byte more than `max_bytes` shows that it is longer."""
        raise NotImplementedError

    def _fetch(self, url: str) -> Iterator[bytes]:
        raise NotImplementedError  # of targets, which fetch.py fetches


class WebFetcher(Fetcher):
    """Asks the server for `metadata/NAME`."""

    def __init__(self, web: Web) -> None:
        self._web = web

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return what the server has."""
        request = WebRequest(f"/{BASE}{name}", headers={"accept-encoding": "identity"})
        answer = self._web.ask(request, timeout_s=_TIMEOUT_S, max_bytes=max_bytes + 1)
        if answer.status != _OK:
            raise DownloadHTTPError(f"the server answers {answer.status} for {name}", answer.status)
        return answer.body


class FolderFetcher(Fetcher):
    """Reads a folder that belongs to somebody else: plain files only, and none that waits for a writer."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return what lies in the folder."""
        try:
            with open_plain(self._folder / name) as file:
                return _read(file, max_bytes + 1)
        except FileNotFoundError:
            raise DownloadHTTPError(f"{name} was not fetched", _NOT_FOUND) from None
        except OSError as error:
            detail = f"{name} cannot be read: {error.strerror}"
            raise UpdateError(Code.UNREACHABLE, detail, passing=True) from None


def _read(file: BinaryIO, max_bytes: int) -> bytes:
    """Read it all: what has no buffer gives what it has at once, which may be less."""
    data = b""
    while len(data) < max_bytes and (more := file.read(max_bytes - len(data))):
        data += more
    return data
