"""Every certificate of our own: roots, intermediates, services."""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from cloud.ca.certificates import key_id
from cloud.ca.folder import Folder
from cloud.errors import SetupError
from cloud.home import Home
from cloud.registry.parts import parts


@dataclass(frozen=True, slots=True)
class Held:
    """One of them.

    Args:
        kind: "root", "intermediate" or "service".
        name: Its subject.
        key_id: Subject key identifier, its beginning; "" for services.
        serial: In hexadecimal.
        until: Its end.
        note: What else there is to say, e.g. "issues".
    """

    kind: str
    name: str
    key_id: str
    serial: str
    until: datetime
    note: str

    def plain(self) -> dict[str, str]:
        """Return it for JSON."""
        return {
            "kind": self.kind,
            "name": self.name,
            "id": self.key_id,
            "serial": self.serial,
            "until": self.until.isoformat(),
            "note": self.note,
        }


def certificates(home: Home) -> list[Held]:
    """Return all of them. Raises SetupError if one is damaged."""
    folder = Folder(home)
    roots = [_held("root", root, "") for root in folder.roots()]
    current, now = folder.current_name(), parts().now()
    between = [
        _held(
            "intermediate",
            each.certificate,
            _standing(each.key.folder.name == current, each.lost, each.in_use(now)),
        )
        for each in folder.intermediates()
    ]
    return [*roots, *between, *_services(home)]


def _standing(is_current: bool, is_lost: bool, in_use: bool) -> str:
    if is_lost:
        return "given up"
    if is_current:
        return "issues"
    return "what it issued is valid" if in_use else "ended"


def _services(home: Home) -> list[Held]:
    found = []
    for path in sorted(home.services.glob("*.pem")):
        if path == home.command_public_file:
            continue
        try:
            leaf = x509.load_pem_x509_certificates(path.read_bytes())[0]
        except (ValueError, IndexError):
            raise SetupError(
                f"{path}: is no certificate; remove it, `reed-cloud run` makes a new one"
            ) from None
        found.append(_held("service", leaf, "revoked on purpose" if path.stem == "revoked-probe" else ""))
    return found


def _held(kind: str, certificate: x509.Certificate, note: str) -> Held:
    return Held(
        kind=kind,
        name=certificate.subject.rfc4514_string().removeprefix("CN="),
        key_id="" if kind == "service" else key_id(certificate)[:16],
        serial=f"{certificate.serial_number:x}",
        until=certificate.not_valid_after_utc,
        note=note,
    )
