"""Who may do what on mosquitto, as its dynamic-security plugin writes it. Pure.

One role for each gateway: the plugin of 2.0 does not expand %u. A literal filter would not do for
subscriptions: a gateway may subscribe to `cmd/#` or to anything below it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cloud.brokers.names import ADMIN, INGEST

CONTROL_TOPIC = "$CONTROL/dynamic-security/v1"
RESPONSE_TOPIC = f"{CONTROL_TOPIC}/response"

Entry = dict[str, Any]
"""One object of the plugin's JSON."""

DEFAULT_ACCESS = {
    "publishClientSend": False,
    "publishClientReceive": False,  # 2.0.11 would allow it: `setDefaultACLAccess` leaves it out there
    "subscribe": False,
    "unsubscribe": True,
}


def role_name(client: str) -> str:
    """Return the name of the role that only this client has."""
    return f"only-{client}"


def _acl(kind: str, topic: str) -> Entry:
    return {"acltype": kind, "topic": topic, "priority": 0, "allow": True}


def _role(client: str, *, writes: Iterable[str], reads: Iterable[str]) -> Entry:
    acls = [_acl("publishClientSend", topic) for topic in writes]
    for topic in reads:
        acls += [_acl("publishClientReceive", topic), _acl("subscribePattern", topic)]
    return {"rolename": role_name(client), "acls": acls}


def gateway_role(gateway_id: str) -> Entry:
    """Return what docs/protocol.md section 1 grants a gateway, and nothing else."""
    base = f"reed/v1/{gateway_id}"
    return _role(gateway_id, writes=[f"{base}/up/#"], reads=[f"{base}/cmd/#"])


def client(name: str) -> Entry:
    """Return a client that has its role; it has no password: its certificate lets it in."""
    return {"username": name, "roles": [{"rolename": role_name(name)}]}


def _service_roles() -> list[Entry]:
    return [
        _role(ADMIN, writes=[CONTROL_TOPIC], reads=[RESPONSE_TOPIC]),
        _role(INGEST, writes=["reed/v1/+/cmd/#"], reads=["reed/v1/+/up/#"]),
    ]


def document(gateway_ids: Iterable[str]) -> Entry:
    """Return the plugin's whole file: our services, and these gateways."""
    ids = sorted(set(gateway_ids))
    return {
        "defaultACLAccess": DEFAULT_ACCESS,
        "clients": [client(name) for name in (ADMIN, INGEST, *ids)],
        "groups": [],
        "roles": [*_service_roles(), *map(gateway_role, ids)],
    }


def same_role(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Tell whether a role that the plugin reports grants exactly what is wanted."""
    return _grants(found.get("acls", [])) == _grants(wanted["acls"])


def _grants(acls: Sequence[Mapping[str, Any]]) -> set[tuple[Any, ...]]:
    return {(acl.get("acltype"), acl.get("topic"), acl.get("allow")) for acl in acls}


def same_client(found: Mapping[str, Any], gateway_id: str) -> bool:
    """Tell whether a client that the plugin reports has its one role, and may log in."""
    roles = [role.get("rolename") for role in found.get("roles", [])]
    return roles == [role_name(gateway_id)] and not found.get("groups") and not found.get("disabled")
