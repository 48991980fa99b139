"""RabbitMQ 4 as `BrokerAdmin`.

A user that is deleted loses its connections at once and is refused from then on (CONNACK 134, which RabbitMQ
holds back for three seconds). CRLs are not needed for that; with `crl_dir` the TLS handshake fails, too.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from cloud.brokers import crl
from cloud.brokers.files import replace
from cloud.brokers.interface import Stats
from cloud.brokers.names import INGEST, checked
from cloud.brokers.probe import is_open
from cloud.brokers.rabbitmq import crl_dir, rights, standing
from cloud.brokers.rabbitmq.api import Api
from cloud.brokers.rabbitmq.rights import Entry
from cloud.brokers.revocation import Revocation, installed_file
from cloud.brokers.settings import Settings
from cloud.errors import BrokerError
from cloud.home import Home

_BATCH = 500
_NO_HASH = "rabbit_password_hashing_sha256"
"""An import wants to be told how nothing was hashed."""
_POLL_S = 0.02
_IN_USE = (400, 405)
"""What deleting a queue answers while its connection ends, which takes the queue with it."""


class RabbitAdmin:
    """The RabbitMQ that the settings name. A connection lasts as long as a call."""

    def __init__(self, settings: Settings, home: Home) -> None:
        self._settings = settings
        self._home = home
        self._revocation = _revocation(settings, home) if settings.crl_dir else None

    def _api(self) -> Api:
        return Api(self._settings, self._home)

    def grant(self, gateway_id: str) -> None:
        """As `BrokerAdmin.grant`."""
        vhost, name = self._settings.vhost, checked(gateway_id)
        with self._api() as api:
            self._let_ingest_in(api)
            found = standing.one(api, name)
            standing.check_ours(name, found.tags)
            if found.tags is not None and found.has_too_much(vhost):
                api.delete("users", name)
            api.put("users", name, body=rights.user(name))
            api.put("topic-permissions", vhost, name, body=rights.topic_permission(name))
            api.put("permissions", vhost, name, body=rights.permission(name))

    def _let_ingest_in(self, api: Api) -> None:
        standing.check_ours(INGEST, standing.tags_of(api, INGEST), rights.SERVICE_TAG)
        api.put("users", INGEST, body=rights.ingest_user())
        api.put("topic-permissions", self._settings.vhost, INGEST, body=rights.ingest_topic_permission())
        api.put("permissions", self._settings.vhost, INGEST, body=rights.permission(INGEST))

    def grant_all(self, gateway_ids: Iterable[str]) -> None:
        """As `BrokerAdmin.grant_all`, by importing definitions; who is not ours keeps no other out."""
        ids = sorted({checked(each) for each in gateway_ids})
        with self._api() as api:
            self._let_ingest_in(api)
            ours, problem = self._made_ready(api, ids)
            for batch in _batches(ours):
                # Two imports, since one would give access to the virtual host before it limits the topics.
                users = [{**rights.user(each), "hashing_algorithm": _NO_HASH} for each in batch]
                topics = [self._owned(each, rights.topic_permission(each)) for each in batch]
                api.call("POST", "definitions", body={"users": users, "topic_permissions": topics})
                permissions = [self._owned(each, rights.permission(each)) for each in batch]
                api.call("POST", "definitions", body={"permissions": permissions})
        if problem is not None:
            raise problem

    def _made_ready(self, api: Api, ids: Sequence[str]) -> tuple[list[str], BrokerError | None]:
        """Take from these what no grant would, and return those that are ours, and why not the others."""
        known = standing.everybody(api) if ids else {}
        ours: list[str] = []
        problem: BrokerError | None = None
        for name in ids:
            found = known.get(name, standing.Standing())
            try:
                standing.check_ours(name, found.tags)
            except BrokerError as error:
                problem = error
                continue
            if found.tags is not None and found.has_too_much(self._settings.vhost):
                api.delete("users", name)
            ours.append(name)
        return ours, problem

    def _owned(self, name: str, permission: Entry) -> Entry:
        return {"user": name, "vhost": self._settings.vhost, **permission}

    def deny(self, gateway_id: str) -> None:
        """As `BrokerAdmin.deny`; what waited for it is deleted, too."""
        name = checked(gateway_id)
        with self._api() as api:
            standing.check_ours(name, standing.tags_of(api, name))
            api.delete("users", name)  # and with it its permissions and connections
            self._end_connections(api, name)
            for queue in rights.queues(name):
                api.delete("queues", self._settings.vhost, queue, allowed=_IN_USE)

    def kick(self, gateway_id: str) -> None:
        """As `BrokerAdmin.kick`."""
        with self._api() as api:
            self._end_connections(api, checked(gateway_id))

    def _end_connections(self, api: Api, name: str) -> None:
        """End those that are open now, and wait until they have ended."""
        open_now = self._connections(api, name)
        if not open_now:
            return
        api.delete("connections", "username", name)
        deadline_s = time.monotonic() + self._settings.timeout_s
        while open_now & self._connections(api, name):
            if time.monotonic() > deadline_s:
                raise BrokerError(f"RabbitMQ does not end the connection of {name}")
            time.sleep(_POLL_S)

    def _connections(self, api: Api, name: str) -> set[str]:
        return {each["name"] for each in api.get("connections", "username", name) or ()}

    def granted(self) -> set[str]:
        """As `BrokerAdmin.granted`; one whose rights are not exactly as they should be does not count."""
        vhost = self._settings.vhost
        with self._api() as api:
            found = standing.everybody(api)
        return {name for name, each in found.items() if each.is_exact(name, vhost)}

    def present(self, unwanted: Collection[str] = ()) -> set[str]:
        """As `BrokerAdmin.present`; users of others count only if they have an unwanted one's name."""
        with self._api() as api:
            users: list[Entry] = api.get("users") or []
        return {
            each["name"] for each in users if rights.TAG in each.get("tags", ()) or each["name"] in unwanted
        }

    def install_crl(self, pem: bytes) -> None:
        """As `BrokerAdmin.install_crl`, with `crl_dir`.

        Without, they are only checked: RabbitMQ may run elsewhere, and it is not the handshake that keeps a
        denied gateway out. Its certificate is then good for a handshake, and for nothing after it.
        """
        if self._revocation is None:
            crl.checked(pem, self._home)
        else:
            self._revocation.install(pem)

    def stats(self) -> Stats:
        """As `BrokerAdmin.stats`; counts every open connection."""
        with self._api() as api:
            overview = api.get("overview") or {}
        version = f"RabbitMQ {overview.get('rabbitmq_version', '?')}"
        return Stats(version, len(self.granted()), overview.get("object_totals", {}).get("connections"))

    def close(self) -> None:
        """As `BrokerAdmin.close`: nothing is open between calls."""


def _revocation(settings: Settings, home: Home) -> Revocation:
    address = (settings.bind or "localhost", settings.port)

    def place(pem: bytes) -> None:
        crl_dir.place(pem, Path(settings.crl_dir))
        replace(installed_file(home), pem)

    return Revocation(
        home,
        place=place,
        reload=lambda: is_open(address, settings.timeout_s),  # it looks into the folder at each handshake
        addresses=[address],
        timeout_s=settings.timeout_s,
    )


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _BATCH):
        yield ids[start : start + _BATCH]
