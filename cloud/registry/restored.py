"""Notices that the database came back from a backup: what was denied since then, it does not know.

The published CRLs are younger then, and name certificates that the database would let in again.
"""

from collections.abc import Iterable

from cryptography import x509

from cloud.ca import crl
from cloud.ca.authority import Revoked
from cloud.registry.models import Certificate
from cloud.registry.parts import parts

_NAMED = 10


def forgotten(former: Iterable[x509.CertificateRevocationList], revoked: Iterable[Revoked]) -> str:
    """Return what to tell a person about entries of the former lists that are missing now; "" if none are.

    Args:
        former: The published lists, which are younger than the database.
        revoked: What the database knows.
    """
    listed = {(crl.signer_id(each), f"{entry.serial_number:x}") for each in former for entry in each}
    gone = listed - {(each.issuer, f"{each.serial:x}") for each in revoked}
    names: set[str] = set()
    unknown = set(gone)
    rows = Certificate.objects.values_list("issuer", "serial", "name", "not_after")
    for issuer, serial, name, not_after in rows.iterator() if gone else ():
        unknown.discard((issuer, serial))
        if (issuer, serial) in gone and not_after > parts().now():
            names.add(name)
    said = []
    if names:
        shown = ", ".join(sorted(names)[:_NAMED]) + (" and others" if len(names) > _NAMED else "")
        said.append(f"deny again: {shown}")
    if unknown:
        said.append(f"{len(unknown)} revoked certificates are unknown to it")
    return "; ".join(said)
