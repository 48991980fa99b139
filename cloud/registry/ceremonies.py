"""The authority's ceremonies with their place in the audit trail; CRLs follow at once."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from django.db.models import Max

from cloud.ca import ceremony, certificates
from cloud.errors import CloudError, SetupError
from cloud.registry import audit
from cloud.registry.models import Certificate
from cloud.registry.parts import parts
from cloud.registry.revocation import publish_quietly
from cloud.registry.settle import failed


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out of a ceremony.

    Args:
        certificate: Of the authority that it was about.
        problem: What did not follow (CRL, broker); it is tried again. "" if all did.
    """

    certificate: x509.Certificate
    problem: str = ""


def create_root(passphrase: str, *, actor: str) -> Outcome:
    """Make a root; gateways trust it once they have renewed.

    Raises:
        SetupError: The passphrase is too short.
    """
    with _held("root-created", "root", actor):
        root = ceremony.create_root(parts().home, passphrase=passphrase, now=parts().now())
        return _finished("root-created", root, actor)


def create_intermediate(
    passphrase: str, *, actor: str, offline: Path | None = None, at_once: bool = False
) -> Outcome:
    """Make an intermediate that issues from now on.

    Args:
        passphrase: Of the root's key.
        actor: Who does it.
        offline: Folder with the root's key; None is the one in the home.
        at_once: Even if gateways cannot know the root yet.

    Raises:
        SetupError: There is no such key, or the root is too new.
        SignerError: The passphrase is wrong, or the new key cannot be made.
    """
    own = parts()
    with _held("intermediate-created", "intermediate", actor):
        root = ceremony.root_key(own.home, offline or own.home.offline, passphrase)
        if not at_once:
            ceremony.check_known(own.home, own.policy, root.certificate, own.now())
        made = ceremony.create_intermediate(own.home, own.ca, own.policy, root, own.now(), _last_leaf_ends())
        return _finished("intermediate-created", made, actor)


def give_up_intermediate(passphrase: str, serial: int, *, actor: str, offline: Path | None = None) -> Outcome:
    """Trust an intermediate no more, because its key is lost or stolen; have another one ready before.

    Raises:
        SetupError: It is unknown, issues still, or the root's key is not there.
        SignerError: The passphrase is wrong.
    """
    own = parts()
    with _held("intermediate-given-up", f"{serial:x}", actor):
        below = ceremony.find_intermediate(own.home, serial).certificate
        root = ceremony.root_key(own.home, offline or own.home.offline, passphrase, below)
        lost = ceremony.revoke_intermediate(own.home, root, serial, own.now())
        return _finished("intermediate-given-up", lost, actor)


def drop_root(key_id: str, *, actor: str) -> Outcome:
    """Trust a root no more.

    Args:
        key_id: Beginning of its subject key identifier.
        actor: Who does it.

    Raises:
        SetupError: It is unknown, or certificates under it are in use.
    """
    own = parts()
    with _held("root-dropped", key_id, actor):
        root = ceremony.find_root(own.home, key_id)
        ceremony.drop_root(own.home, root, own.now())
        return _finished("root-dropped", root, actor)


def _last_leaf_ends() -> datetime | None:
    """Return when the last certificate ends that the issuing intermediate has signed."""
    above = parts().issuer.intermediates()[:1]
    issued = Certificate.objects.filter(issuer__in=[certificates.key_id(each) for each in above])
    last: datetime | None = issued.aggregate(last=Max("not_after"))["last"]
    return last


@contextmanager
def _held(action: str, subject: str, actor: str) -> Iterator[None]:
    """Keep others from holding a ceremony at the same time, and record one that fails."""
    path = parts().home.ca / "ceremony.lock"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
    except BlockingIOError:
        raise SetupError("somebody else holds a ceremony just now; wait until it has ended") from None
    except OSError as error:
        failed(action, subject, error, actor)
        raise SetupError(f"{parts().home.ca}: {error.strerror or error}") from None
    except CloudError as error:
        failed(action, subject, error, actor)
        raise


def _finished(action: str, certificate: x509.Certificate, actor: str) -> Outcome:
    parts().forget_issuer()
    audit.record(
        action,
        certificates.key_id(certificate)[:16],
        actor=actor,
        name=certificate.subject.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        until=certificate.not_valid_after_utc.isoformat(),
    )
    # before the first certificate of a new authority is shown: without a list of its own it would be refused
    is_founding = not parts().home.crl_file.exists()  # services come next, then the first lists
    problem = "" if is_founding else publish_quietly()
    return Outcome(certificate, problem)
