"""What the cloud asks of a broker, whichever it is: who may connect, and that denied ones are gone."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Stats:
    """What a broker says about itself.

    Args:
        version: As it names itself, e.g. "mosquitto version 2.0.21".
        granted: Gateways that may connect.
        connected: Connections that are open now, services' included; None where the broker does not tell.
    """

    version: str
    granted: int
    connected: int | None


class BrokerAdmin(Protocol):
    """One broker's access list. Every method may be repeated, and used from several threads and processes.

    All raise BrokerError: the broker cannot be reached in time or refuses; nothing is known then about how
    far it came, and calling again (or `reconcile` of the registry) puts it right.
    """

    def grant(self, gateway_id: str) -> None:
        """Let it publish and read what docs/protocol.md says, and nothing else; in force on return."""

    def grant_all(self, gateway_ids: Iterable[str]) -> None:
        """`grant` many, faster than one by one. Also lets our own services in, even with no gateway given."""

    def deny(self, gateway_id: str) -> None:
        """Take every right from it and end its connection; it cannot return to anything.

        The certificate is refused only with a CRL: see `install_crl`. Each alone is enough to keep it from
        publishing and reading; together not even its TLS handshake succeeds.
        """

    def kick(self, gateway_id: str) -> None:
        """End its connection, if there is one; it may come back at once."""

    def granted(self) -> set[str]:
        """Return the gateways that may connect and have exactly their rights."""

    def present(self, unwanted: Collection[str] = ()) -> set[str]:
        """Return everybody on the list who is no service of ours, whatever rights he has.

        Args:
            unwanted: Who should not be there: looked for even where the list is shared with others.
        """

    def install_crl(self, pem: bytes) -> None:
        """Refuse certificates as these CRLs say, from the next handshake on; live connections stay.

        Args:
            pem: One CRL of each authority of our chain, current, and naming the probe's certificate
                (`services/revoked-probe`), with which it is tried out. The caller keeps its own copy.

        Raises:
            BrokerError: Not such CRLs, or the broker does not follow them; the former ones hold again.
        """

    def stats(self) -> Stats:
        """Return what it says about itself."""

    def close(self) -> None:
        """Give back the connection; a later call of any method opens it again."""


@dataclass(frozen=True, slots=True)
class Drift:
    """How a broker differs from the registry.

    Args:
        missing: To be granted: absent, or with other rights than its own.
        surplus: To be denied: present, with whatever rights.
    """

    missing: frozenset[str]
    surplus: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.missing or self.surplus)


def drift(wanted: Iterable[str], granted: Iterable[str], present: Iterable[str]) -> Drift:
    """Compare what the registry wants with what the broker has."""
    wanted_ids, granted_ids = frozenset(wanted), frozenset(granted)
    return Drift(missing=wanted_ids - granted_ids, surplus=(granted_ids | frozenset(present)) - wanted_ids)


def reconcile(broker: BrokerAdmin, wanted: Iterable[str]) -> Drift:
    """Make the broker agree with the registry and return what was different; denials come first.

    Raises:
        BrokerError: As `BrokerAdmin`; what was done until then stays.
    """
    found = drift(wanted, broker.granted(), broker.present())
    for gateway_id in sorted(found.surplus):
        broker.deny(gateway_id)
    broker.grant_all(sorted(found.missing))
    return found
