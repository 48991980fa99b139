"""What the services work with: the authority, the broker, the settings, the clock.

`cloud.project.setup.start` installs them once for a process; tests exchange single ones.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cloud.brokers.interface import BrokerAdmin
from cloud.brokers.names import RESERVED
from cloud.ca.authority import Issuer
from cloud.ca.config import Config as Ca
from cloud.ca.policy import Policy
from cloud.errors import SetupError
from cloud.home import Home
from cloud.registry.config import Enrolment, Public


def wall_clock() -> datetime:
    """Return the present time."""
    return datetime.now(UTC)


@dataclass(kw_only=True)
class Parts:
    """Everything outside the database that the services need.

    Args:
        home: Where the files are.
        public: Names and ports.
        enrolment: Who may become a gateway.
        policy: What is certified.
        ca: Where the authority's keys are.
        broker_port: Where gateways connect.
        taken: Names that no gateway may have: of our services, our hosts, the broker's administrator.
        open_issuer: Makes the authority ready; called when it is first needed.
        open_broker: The same for the broker.
        now: The clock.
    """

    home: Home
    public: Public
    enrolment: Enrolment
    policy: Policy
    ca: Ca
    broker_port: int
    taken: frozenset[str] = RESERVED
    open_issuer: Callable[[], Issuer]
    open_broker: Callable[[], BrokerAdmin]
    now: Callable[[], datetime] = wall_clock
    failing: dict[tuple[str, str], str] = field(default_factory=dict)
    """What fails again and again (action, subject), as the audit trail was told it."""
    _issuer: Issuer | None = None
    _broker: BrokerAdmin | None = None
    _opening: threading.Lock = field(default_factory=threading.Lock)

    @property
    def issuer(self) -> Issuer:
        """Return the authority.

        Raises:
            SignerError: Its key cannot be had.
        """
        with self._opening:
            if self._issuer is None:
                self._issuer = self.open_issuer()
            return self._issuer

    @property
    def broker(self) -> BrokerAdmin:
        """Return the broker's administration; it connects when it is used."""
        with self._opening:
            if self._broker is None:
                self._broker = self.open_broker()
            return self._broker

    def forget_issuer(self) -> None:
        """Open the authority anew when it is next needed: a ceremony has changed it."""
        with self._opening:
            self._issuer = None


_installed: list[Parts] = []


def install(parts: Parts) -> None:
    """Make these the parts of this process."""
    _installed[:] = [parts]


def parts() -> Parts:
    """Return the parts of this process.

    Raises:
        SetupError: Nobody has installed any.
    """
    if not _installed:
        raise SetupError("the registry was not started; call cloud.project.setup.start first")
    return _installed[0]
