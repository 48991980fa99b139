"""Give a broker new CRLs and see that it obeys them.

mosquitto fails open: told to reload a CRL file that is missing or garbage, it logs an error and lets revoked
certificates in; and an expired one makes it refuse everybody (both seen with 2.0.11 and 2.0.21). So a set of
CRLs is checked, put in place in one step, reloaded, and tried with a certificate that every CRL names.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from cloud.brokers import crl
from cloud.brokers.names import ADMIN, PROBE
from cloud.brokers.probe import Verdict, judge
from cloud.errors import BrokerError
from cloud.home import Home

_LOCK_POLL_S = 0.02


class Revocation:
    """The CRLs of one broker.

    Args:
        home: Has the chain, and the certificates to try with.
        place: Puts CRLs where the broker finds them, and into `installed_file`; raises OSError.
        reload: Has the broker read them; false if it does not run: then it reads them at its start.
        addresses: Where it listens.
        timeout_s: How long it may take to show that it obeys.
    """

    def __init__(
        self,
        home: Home,
        *,
        place: Callable[[bytes], None],
        reload: Callable[[], bool],
        addresses: Sequence[tuple[str, int]],
        timeout_s: float,
    ) -> None:
        self._home = home
        self._file = installed_file(home)
        self._place = place
        self._reload = reload
        self._addresses = addresses
        self._timeout_s = timeout_s

    def install(self, pem: bytes) -> None:
        """Put these CRLs into force. Raises BrokerError; then the former ones are in force."""
        try:
            with self._locked():
                former = self._file.read_bytes() if self._file.exists() else None
                self._check(pem, former or b"")
                self._place(pem)
                try:
                    self._enforce()
                except BrokerError as error:
                    self._put_back(former, error)
        except OSError as error:
            raise BrokerError(f"the CRL cannot be written to {self._file.parent}: {error}") from error

    def _check(self, pem: bytes, former: bytes) -> None:
        crls = crl.checked(pem, self._home)
        if crl.is_older(crls, crl.parse_or_none(former), datetime.now(UTC)):
            raise BrokerError("a newer CRL is in force already; publish again")

    def _enforce(self) -> None:
        if not self._reload():
            return
        deadline_s = time.monotonic() + self._timeout_s
        for address in self._addresses:
            # mosquitto sees the signal between two rounds of its loop, and a handshake takes more than one.
            # So whoever begins a handshake after this one has ended meets the new CRLs. This one itself may
            # still meet the former, and be refused by a bad one that is being taken back: that says nothing.
            with suppress(BrokerError):
                self._judge(address, ADMIN, deadline_s)
        for address in self._addresses:
            if self._judge(address, PROBE, deadline_s) is Verdict.ACCEPTED:
                raise BrokerError("the broker does not obey the new CRL: it lets a revoked certificate in")
            if self._judge(address, ADMIN, deadline_s) is Verdict.REVOKED:
                raise BrokerError(
                    f"the new CRL names the certificate of {ADMIN}; renew that, or publish again"
                )

    def _judge(self, address: tuple[str, int], service: str, deadline_s: float) -> Verdict:
        files = self._home.cert_file(service), self._home.key_file(service)
        return judge(address, *files, max(deadline_s - time.monotonic(), 0.1))

    def _put_back(self, former: bytes | None, cause: BrokerError) -> None:
        if former is None:
            raise BrokerError(f"{cause}; there is no former CRL") from cause
        self._place(former)
        try:
            self._enforce()
        except BrokerError as error:
            raise BrokerError(f"{cause}; nor does it obey the former CRL: {error}") from cause
        raise BrokerError(f"{cause}; the former CRL holds again") from cause

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Wait for other processes that install, and keep them waiting. Raises BrokerError, OSError."""
        descriptor = os.open(self._file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        deadline_s = time.monotonic() + 2 * self._timeout_s
        try:
            while not _try_lock(descriptor):
                if time.monotonic() > deadline_s:
                    raise BrokerError("another process has been installing a CRL for too long")
                time.sleep(_LOCK_POLL_S)
            yield
        finally:
            os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def installed_file(home: Home) -> Path:
    """Return our own copy of the CRLs in force: only `install_crl` writes it, and only obeyed ones stay."""
    return home.broker / "crl.pem"
