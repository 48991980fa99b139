"""What a certificate says beside its key. Sources: RFC 5280 section 4.2.1, RFC 6125."""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from cloud.ca.policy import Policy


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of leaf, for one holder.

    Args:
        name: Common name.
        hosts: Names and addresses (subject alternative names).
        server: May be shown by a server; otherwise by a client.
        not_before: Beginning.
        not_after: End; cut at the end of the authority.
    """

    name: str
    hosts: tuple[str, ...]
    server: bool
    not_before: datetime
    not_after: datetime

    @property
    def usage(self) -> x509.ObjectIdentifier:
        """Return what the key may be used for (extended key usage)."""
        return ExtendedKeyUsageOID.SERVER_AUTH if self.server else ExtendedKeyUsageOID.CLIENT_AUTH

    @property
    def alternative_names(self) -> x509.SubjectAlternativeName:
        """Return the hosts, addresses as such."""
        return x509.SubjectAlternativeName([_general_name(host) for host in self.hosts])


def gateway_profile(gateway_id: str, policy: Policy, now: datetime) -> Profile:
    """Return what a gateway gets."""
    begin = now - timedelta(seconds=policy.backdate_s)
    return Profile(gateway_id, (gateway_id,), False, begin, now + timedelta(days=policy.gateway_days))


def service_profile(name: str, hosts: tuple[str, ...], policy: Policy, now: datetime) -> Profile:
    """Return what one of our own services gets: a server if it has hosts, otherwise a client."""
    begin = now - timedelta(seconds=policy.backdate_s)
    return Profile(name, hosts or (name,), bool(hosts), begin, now + timedelta(days=policy.service_days))


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
