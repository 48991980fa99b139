"""Which root to begin with, and the roots that were passed on the way to the present one."""

from pathlib import Path
from typing import Final

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata

from gateway.domain.update.model import Code
from gateway.errors import UpdateError
from gateway.update.trust.fetchers import Fetcher
from gateway.update.trust.memory import Known

_END: Final = ".root.json"
_KEPT: Final = "root.json"


class Witness(Fetcher):
    """Passes on what another fetcher has and remembers the roots among it."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._roots: dict[int, str] = {}

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return what the other one has."""
        data = self._fetcher.read(name, max_bytes)
        number = name.removesuffix(_END)
        if name.endswith(_END) and number.isdigit():
            self._roots[int(number)] = data.decode(errors="replace")
        return data

    def up_to(self, version: int) -> dict[int, str]:
        """Return the roots that were believed: those up to the present one."""
        return {number: text for number, text in self._roots.items() if number <= version}


def begin(known: Known, root: Path) -> Known:
    """Return what to begin with: what is known, unless the root that was installed says otherwise.

    A root that was believed before, or led to the present one, changes nothing. A newer one (of a newer
    image) takes over; all else stays, and what it does not believe will not count. An unknown one that is
    not newer belongs to somebody else: all begins anew with it.

    Raises:
        UpdateError: There is no usable root (UNTRUSTED).
    """
    try:
        installed = root.read_text()
        version = version_of(installed)
    except (OSError, ValueError) as error:
        if _KEPT in known.metadata:
            return known
        reason = getattr(error, "strerror", None) or "it is no root metadata"
        raise UpdateError(Code.UNTRUSTED, f"there is nobody to trust: {root}: {reason}") from None
    if _KEPT in known.metadata and installed in known.roots.values():
        return known
    if _KEPT in known.metadata and version > version_of(known.metadata[_KEPT]):
        return Known({**known.metadata, _KEPT: installed}, {**known.roots, version: installed})
    return Known({_KEPT: installed}, {version: installed})


def version_of(text: str) -> int:
    """Return the version of root metadata. Raises ValueError if they are none."""
    try:
        signed = Metadata.from_bytes(text.encode()).signed
    except RepositoryError as error:
        raise ValueError(str(error)) from None
    if signed.type != "root":
        raise ValueError(signed.type)
    return signed.version
