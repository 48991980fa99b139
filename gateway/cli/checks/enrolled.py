"""Checks of our enrolment: the pair in use, the last renewal, and whether the broker takes it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Thread

from gateway.cli.checks import cloud
from gateway.cli.checks.finding import Finding, fail, ok, warn
from gateway.config.model import Config
from gateway.errors import IdentityError
from gateway.identity import keys, tls
from gateway.identity.pair import Pair
from gateway.identity.slots import Slots

_ENROL = "reed-gateway enrol --url https://HOST --token TOKEN"


def inspect(config: Config, now: datetime) -> list[Finding]:
    """Look at the identity folder and, with what is there, at the broker."""
    slots = Slots(config.gateway.identity_dir)
    try:
        current = slots.current()
        if current is None:
            return [fail("identity", "not enrolled; alarms stay in this building", _ENROL)]
        return [*_pair(slots, current, now), *_broker(config, slots, current)]
    except IdentityError as error:
        return [warn("identity", str(error), "run doctor with sudo")]


def _pair(slots: Slots, current: Pair, now: datetime) -> Iterator[Finding]:
    cloud_file = slots.cloud
    where = "" if cloud_file is None else f" at {cloud_file.est_url}"
    if keys.in_tpm(current.key_file):
        yield ok("identity", f"enrolled{where}, slot {current.slot}, the key is in the TPM")
    else:
        text = f"enrolled{where}, slot {current.slot}, but the key lies in a file"
        yield warn("identity", text, "fit a TPM: whoever copies the card can pass for this gateway")
    yield from cloud.lifetime("certificate", current.cert_file, now, "see: reed-gateway identity")
    yield from cloud.lifetime("broker's authority", slots.ca_file, now, "the cloud renews it; see its log")
    if slots.trial() is not None:
        yield warn("renewal", "a new certificate waits to be tried", "is the gateway running, and connected?")
    attempt = slots.attempt
    if attempt is not None and attempt.outcome in ("failed", "rejected"):
        at = datetime.fromtimestamp(attempt.at_unix_s, UTC)
        text = f"the last one ({at:%Y-%m-%d}) {attempt.outcome}: {attempt.detail}"
        yield warn("renewal", text, "it is tried again by itself; at once: reed-gateway renew")


def _broker(config: Config, slots: Slots, current: Pair) -> list[Finding]:
    link, enrolled_at = config.link, slots.cloud
    if link is not None and link.host is not None:
        host, port = link.host, link.port
    elif enrolled_at is not None:
        host, port = enrolled_at.host, enrolled_at.port
    else:
        return [fail("broker", "nobody knows where it is", _ENROL)]
    ca_file: Path = (link.ca_file if link is not None else None) or slots.ca_file
    context = partial(tls.client_context, ca_file, current, tcti=config.identity.tcti)
    found: list[Finding] = []
    # in a thread: a TPM that hangs has no time-out of its own
    asking = Thread(target=lambda: found.extend(cloud.reach(host, port, context)), daemon=True)
    asking.start()
    asking.join(config.identity.tpm_timeout_s + 3 * cloud.CONNECT_TIMEOUT_S)
    return found or [
        fail("broker", f"{host}:{port}: not tried, the TPM does not answer", "restart the machine")
    ]
