"""Who may do what on RabbitMQ, in the words of its HTTP API. Pure.

MQTT topics are routing keys of one exchange, with dots for slashes. **A user without topic permission may use
every topic**, so it is given before the permission to the virtual host, which is what lets a user in at all.
"""

from typing import Any

from cloud.brokers.names import INGEST

Entry = dict[str, Any]

EXCHANGE = "amq.topic"
TAG = "reed-gateway"
"""Marks the users that are gateways; means nothing to RabbitMQ. Without it a user is not ours to touch."""
SERVICE_TAG = "reed-service"
"""The same for our own services."""


def user(gateway_id: str) -> Entry:
    """Return a user that no password lets in: its certificate does."""
    return {"name": gateway_id, "password_hash": "", "tags": TAG}


def ingest_user() -> Entry:
    """Return the user of our ingest."""
    return {**user(INGEST), "tags": SERVICE_TAG}


def ingest_topic_permission() -> Entry:
    """Return what lets the ingest hear every gateway and send each its commands."""
    base = r"^reed\.v1\.[^.]+"
    return {"exchange": EXCHANGE, "write": rf"{base}\.cmd\..*$", "read": rf"{base}\.up\..*$"}


def queues(gateway_id: str) -> tuple[str, str]:
    """Return the queues that the MQTT plugin makes for a client."""
    return f"mqtt-subscription-{gateway_id}qos0", f"mqtt-subscription-{gateway_id}qos1"


def permission(gateway_id: str) -> Entry:
    """Return what lets it in: its own queues, and the exchange of all topics."""
    own = f"mqtt-subscription-{gateway_id}qos[01]"
    both = rf"^({own}|amq\.topic)$"
    return {"configure": f"^{own}$", "write": both, "read": both}


def topic_permission(gateway_id: str) -> Entry:
    """Return what docs/protocol.md section 1 grants a gateway, and nothing else."""
    base = rf"^reed\.v1\.{gateway_id}"
    return {"exchange": EXCHANGE, "write": rf"{base}\.up\..*$", "read": rf"{base}\.cmd\..*$"}


def is_as(found: Entry, wanted: Entry) -> bool:
    """Tell whether what RabbitMQ reports says what is wanted, beside what else it reports."""
    return all(found.get(key) == value for key, value in wanted.items())
