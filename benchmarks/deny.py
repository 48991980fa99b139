"""Deny with 10,000 gateways in the registry: our own time, sizes of CRL and database.

python -m benchmarks.deny

The broker is one in memory that takes no time: what real ones need is measured by tests/system.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.report import Row, at_most, show
from cloud.ca.certificates import key_id
from cloud.home import Home
from cloud.project.setup import migrate, prepare, start
from cloud.registry.parts import parts
from tests.fakes.broker_admin import ModelBroker

GATEWAYS = 10_000
ROUNDS = 7
BY = {"actor": "bench", "reason": "measured"}


def _found(folder: Path) -> Home:
    """Return a home with authority, tables and gateways, each with one certificate."""
    home = Home(folder / "home")
    prepare(home)
    start(home)
    from cloud.registry import services  # noqa: PLC0415  # models can be imported only after start
    from cloud.registry.models import Gateway, Site  # noqa: PLC0415

    parts()._broker = ModelBroker()  # noqa: SLF001
    migrate()
    services.create_root("a-passphrase-of-a-benchmark", actor="bench")
    services.create_intermediate("a-passphrase-of-a-benchmark", actor="bench")
    now = datetime.now(UTC)
    site = Site.objects.create(name="Bench")
    names = [f"gw-{number:05}" for number in range(GATEWAYS)]
    told = {"site": site, "state": "enrolled", "created_at": now, "changed_at": now, "changed_by": "bench"}
    Gateway.objects.bulk_create([Gateway(pk=name, **told) for name in names], batch_size=500)
    _certify(names, now)
    parts().broker.grant_all(names)
    services.publish_crl()
    return home


def _certify(names: list[str], now: datetime) -> None:
    """Record one certificate for each; serial numbers are as long as real ones."""
    from cloud.registry.models import Certificate  # noqa: PLC0415

    issuer = key_id(parts().issuer.intermediates()[0])
    rows = [
        Certificate(
            serial=f"{x509.random_serial_number():x}",
            issuer=issuer,
            name=name,
            gateway_id=name,
            fingerprint=f"{number:064x}",
            key_fingerprint=f"{number:064x}",
            not_before=now,
            not_after=now + timedelta(days=30),
        )
        for number, name in enumerate(names)
    ]
    Certificate.objects.bulk_create(rows, batch_size=500)


def _hold_all() -> None:
    """Have all but the first hundred on the list, as after a theft of everything."""
    from cloud.registry import services  # noqa: PLC0415
    from cloud.registry.models import Certificate, Gateway  # noqa: PLC0415

    Certificate.objects.filter(name__gte="gw-00100").update(
        revoked_at=datetime.now(UTC), revoked_reason="certificateHold"
    )
    Gateway.objects.filter(pk__gte="gw-00100").update(state="denied")
    services.publish_crl()


def _floor_s(entries: int) -> float:
    """Return how long it takes to build and sign a bare list of this size with `cryptography`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "floor")])
    now = datetime.now(UTC)
    serials = [x509.random_serial_number() for _ in range(entries)]
    reason = x509.CRLReason(x509.ReasonFlags.certificate_hold)
    begin_s = time.perf_counter()
    listed = [
        x509.RevokedCertificateBuilder(serial, now).add_extension(reason, critical=False).build()
        for serial in serials
    ]
    builder = x509.CertificateRevocationListBuilder(name, now, now + timedelta(days=7), [], listed)
    builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return time.perf_counter() - begin_s


def _deny_s(first: int) -> list[float]:
    from cloud.registry import services  # noqa: PLC0415

    taken = []
    for number in range(first, first + ROUNDS):
        begin_s = time.perf_counter()
        services.deny(f"gw-{number:05}", **BY)
        taken.append(time.perf_counter() - begin_s)
    return taken


def _rows(home: Home) -> Iterator[Row]:
    few_s = _deny_s(0)
    yield at_most("deny, 10,000 gateways, few of them denied", max(few_s), 1.0, "s", _times(few_s))
    _hold_all()
    all_s, floors_s = [], []
    for round_ in range(ROUNDS):
        floors_s.append(_floor_s(GATEWAYS))
        all_s += _deny_s(20 + ROUNDS * round_)[:1]
    yield at_most("deny, 10,000 gateways, nearly all denied", max(all_s), 1.0, "s", _times(all_s))
    ratio = statistics.median(all_s) / statistics.median(floors_s)
    detail = f"bare: build and sign in {statistics.median(floors_s) * 1e3:.0f} ms"
    yield at_most("the same / a bare CRL of that size", ratio, 4, detail=detail)
    yield Row("CRL file with all of them (PEM)", home.crl_file.stat().st_size / 1e3, "kB")
    yield Row("database with 10,000 gateways and certificates", _database_bytes(home) / 1e6, "MB")


def _times(taken_s: list[float]) -> str:
    return f"worst of {len(taken_s)}; median {statistics.median(taken_s) * 1e3:.0f} ms"


def _database_bytes(home: Home) -> int:
    from django.db import connection  # noqa: PLC0415

    connection.close()  # writes the log back into the file
    return home.database_file.stat().st_size


def measure() -> Iterator[Row]:
    """Yield the rows of the table."""
    with tempfile.TemporaryDirectory(dir=".", prefix=".bench-") as folder:
        yield from _rows(_found(Path(folder).absolute()))


def main() -> int:
    """Print the rows."""
    show(measure())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
