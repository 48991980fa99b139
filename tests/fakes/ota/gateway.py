"""One trusting process of a gateway: a disk, a clock and a server."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.domain.update.model import Code
from gateway.errors import UpdateError
from gateway.update.trust.fetchers import WebFetcher
from gateway.update.trust.target import Target
from gateway.update.trust.trusted import Trusted
from tests.fakes.ota.house import Vendor
from tests.fakes.ota.web import FileWeb

PATH = "os/reed-1.4.0.raucb"


class Gateway:
    """Trusts what a vendor has published; `folder` is its memory."""

    def __init__(self, vendor: Vendor, folder: Path) -> None:
        self.web = FileWeb(vendor.www)
        self.folder = folder
        self.root = vendor.root
        self.now: datetime | None = None

    def trusted(self) -> Trusted:
        return Trusted(self.folder, self.root, WebFetcher(self.web), lambda: self.now or datetime.now(UTC))

    def target(self, path: str = PATH, kind: str = "os", version: str = "1.4.0") -> Target:
        return self.trusted().target(path, kind, version)

    def refused(self, path: str = PATH, kind: str = "os", version: str = "1.4.0") -> str:
        with pytest.raises(UpdateError) as caught:
            self.target(path, kind, version)
        assert "\n" not in str(caught.value)
        assert caught.value.passing is (caught.value.code == Code.UNREACHABLE)
        return caught.value.code
