"""What the link is let in with: the certificates of our enrolment, the one in use and the one to be tried.

Implements gateway.link.credentials.Credentials. `make` and `look` touch the disk and the TPM: they run in
threads and may hang. What came of an attempt is known at once in memory; the keeper writes it down.
"""

import ssl
import time
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from gateway.app.clock import WallClock
from gateway.app.folder import Folder, Known
from gateway.app.pairs import Choice, Role
from gateway.config.model import Config
from gateway.errors import DeniedError, GatewayError, IdentityError, TpmError
from gateway.identity import tls
from gateway.identity.pair import Pair
from gateway.link.config import Config as LinkConfig
from gateway.link.credentials import Access

NOT_ENROLLED: Final = "not enrolled; run: reed-gateway enrol --url https://HOST --token TOKEN"

_NO_REASON: Final = "the broker ends the connection without a reason, and goes on taking the pair in use"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be written down about a pair: in use from now on, or (with a reason) refused.

    Args:
        pair: Its files.
        mark: Their content, when it was judged.
        refused_because: "" if it works.
    """

    pair: Pair
    mark: str
    refused_because: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """What there is now.

    Args:
        is_other: A session should make room: it is not with what it should be with.
        is_new: There is something that was never tried: worth an attempt at once.
        current: What is in use, if we are enrolled.
    """

    is_other: bool
    is_new: bool
    current: Known | None


class Scribe(Protocol):
    """Writes down and tells, in its own time."""

    def decide(self, verdict: Verdict) -> None:
        """Write this down soon."""

    def wake(self) -> None:
        """Look at what has changed."""


class Enrolled:
    """Provides the pairs of the identity folder.

    Args:
        config: Who we are, where the TPM is; what `[link]` gives outranks what the enrolment says.
        folder: Where the pairs are.
        clock: Without its trust no certificate counts as ended, theirs or ours.
        scribe: Takes what is to be written down.

    Attributes:
        problem: Why nothing of ours can be used; "" if there is no such problem, or no enrolment yet.
    """

    def __init__(self, config: Config, folder: Folder, clock: WallClock, scribe: Scribe) -> None:
        self.problem = ""
        self.limit_s = config.identity.tpm_timeout_s
        self._id, self._identity, self._link = config.gateway.id, config.identity, config.link or LinkConfig()
        self._folder, self._clock, self._scribe = folder, clock, scribe
        self._choice = Choice()
        self._tried: set[str] = set()
        self._used: Known | None = None
        self._used_version = self._adopted = ""

    @property
    def uses_tpm(self) -> bool:
        """See Credentials."""
        return self._used is not None and bool(self._used.in_tpm)

    # --- in a thread --------------------------------------------------------------------------------

    def make(self) -> Access:
        """See Credentials."""
        found = self._folder.read(self._clock.trusted_unix_s())
        host, port = self._broker()
        problem = IdentityError(NOT_ENROLLED)
        left = {mark: one.candidate for mark, one in found.items()}
        while wanted := self._choice.order([*left.values()], time.monotonic()):
            known = found[wanted[0].mark]
            self._tried.add(wanted[0].mark)
            self._used, self._used_version = known, self._folder.version()
            try:
                return self._access(known, host, port)
            except IdentityError as error:
                problem = error
                self._cannot_use(known, error)
                del left[wanted[0].mark]
        raise problem

    def look(self) -> Look:
        """Return what has changed since the last `make`. Raises IdentityError."""
        found = self._folder.read(self._clock.trusted_unix_s())
        used = "" if self._used is None else self._used.candidate.mark
        candidates = [one.candidate for one in found.values()]
        now_s = time.monotonic()
        wanted = {one.mark for one in self._choice.order(candidates, now_s)}
        moved = bool(used) and self._folder.version() != self._used_version
        role = found[used].candidate.role if used in found else None
        is_other = moved or role is None or (role is Role.FORMER and used != self._adopted)
        others = [one for one in candidates if one.mark != used]
        return Look(
            is_other=bool(found) and (is_other or self._choice.is_due(others, now_s)),
            is_new=bool(wanted - self._tried) or moved,
            current=next((one for one in found.values() if one.candidate.role is Role.CURRENT), None),
        )

    def _broker(self) -> tuple[str, int]:
        cloud = self._folder.slots.cloud
        if cloud is not None and cloud.gateway != self._id:
            raise IdentityError(f"enrolled as {cloud.gateway}, but gateway.id is {self._id}; enrol again")
        if self._link.host is not None:
            return self._link.host, self._link.port
        if cloud is None:
            raise IdentityError(NOT_ENROLLED)
        return cloud.host, cloud.port

    def _access(self, known: Known, host: str, port: int) -> Access:
        check_time = self._clock.trusted()
        ca_file = self._link.ca_file or self._folder.slots.ca_file
        context = tls.client_context(ca_file, known.pair, tcti=self._identity.tcti, check_time=check_time)
        context.options |= ssl.OP_NO_RENEGOTIATION  # else the broker could make the loop sign
        return Access(
            host=host,
            port=port,
            context=context,
            pair=known.pair.slot,
            is_trial=known.candidate.role is not Role.CURRENT,
            in_tpm=bool(known.in_tpm),
            checks_time=check_time,
            # a TPM has room for three keys, and loses them when it is restarted: none stays there between two
            # handshakes
            release=partial(tls.release, context),
        )

    def _cannot_use(self, known: Known, error: IdentityError) -> None:
        """Note that a pair is of no use here, before any broker has seen it."""
        if isinstance(error, TpmError):
            self._choice.failed(known.candidate, time.monotonic())
            return
        self._choice.refused(known.candidate, time.monotonic())
        if known.candidate.role is Role.TRIAL:
            self._scribe.decide(Verdict(known.pair, known.candidate.mark, str(error)))

    # --- in the loop's thread -----------------------------------------------------------------------

    def useless(self, error: IdentityError) -> None:
        """See Credentials."""
        self._complain("" if str(error) == NOT_ENROLLED else str(error))

    def worked(self, _access: Access) -> None:
        """See Credentials."""
        self._complain("")
        known = self._used
        if known is None:
            return
        given_up = self._choice.worked(known.candidate, time.monotonic())
        if known.candidate.role is not Role.CURRENT:
            self._adopted = known.candidate.mark
            self._scribe.decide(Verdict(known.pair, known.candidate.mark))
        if given_up and (trial := self._folder.pair(given_up)) is not None:
            self._scribe.decide(Verdict(trial, given_up, _NO_REASON))
        if known.valid is not None:
            self._clock.raise_floor(known.valid.begin_unix_s)

    def refused(self, access: Access, error: DeniedError) -> bool:
        """See Credentials."""
        known, now_s = self._used, time.monotonic()
        if known is None:
            return False
        if error.expired and not known.has_ended(self._clock.trusted_unix_s()):
            # the broker's own list of revocations has ended, or its clock is wrong: that says nothing of us
            return self.failed(access, error)
        if known.candidate.role is Role.TRIAL:
            self._scribe.decide(Verdict(known.pair, known.candidate.mark, str(error)))
        return self._choice.refused(known.candidate, now_s)

    def _complain(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            self._scribe.wake()

    def failed(self, _access: Access, _error: GatewayError) -> bool:
        """See Credentials."""
        known = self._used
        return known is not None and self._choice.failed(known.candidate, time.monotonic())
