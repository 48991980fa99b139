"""What RabbitMQ knows of a user: is it one of ours, and are its rights exactly as they should be?"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

from cloud.brokers.rabbitmq import rights
from cloud.brokers.rabbitmq.api import Api
from cloud.brokers.rabbitmq.rights import Entry
from cloud.errors import BrokerError


@dataclass(slots=True)
class Standing:
    """One user, over all virtual hosts.

    Args:
        tags: What marks it; None if there is no such user.
        permissions: Its rights in virtual hosts.
        topics: Its limits on topics.
    """

    tags: Collection[str] | None = None
    permissions: list[Entry] = field(default_factory=list)
    topics: list[Entry] = field(default_factory=list)

    def is_exact(self, name: str, vhost: str) -> bool:
        """Tell whether it has a gateway's rights, and no others."""
        return (
            self._is_marked_only()
            and _only(self.permissions, {"vhost": vhost, **rights.permission(name)})
            and _only(self.topics, {"vhost": vhost, **rights.topic_permission(name)})
        )

    def has_too_much(self, vhost: str) -> bool:
        """Tell whether it may do what no grant gives, and no grant would take away."""
        elsewhere = [each for each in self.permissions if each["vhost"] != vhost]
        other_topics = [
            each for each in self.topics if (each["vhost"], each["exchange"]) != (vhost, rights.EXCHANGE)
        ]
        return not self._is_marked_only() or bool(elsewhere or other_topics)

    def _is_marked_only(self) -> bool:
        return self.tags is not None and set(self.tags) == {rights.TAG}


def one(api: Api, name: str) -> Standing:
    """Ask about one. Raises BrokerError."""
    user: Entry | None = api.get("users", name)
    if user is None:
        return Standing()
    return Standing(
        _tags(user),
        api.get("users", name, "permissions") or [],
        api.get("users", name, "topic-permissions") or [],
    )


def everybody(api: Api) -> dict[str, Standing]:
    """Ask about all. Raises BrokerError."""
    found: defaultdict[str, Standing] = defaultdict(Standing)
    for user in api.get("users") or ():
        found[user["name"]].tags = _tags(user)
    for each in api.get("permissions") or ():
        found[each["user"]].permissions.append(each)
    for each in api.get("topic-permissions") or ():
        found[each["user"]].topics.append(each)
    return {name: standing for name, standing in found.items() if standing.tags is not None}


def check_ours(name: str, tags: Collection[str] | None, mark: str = rights.TAG) -> None:
    """Go on if there is no such user, or we made it. Raises BrokerError: it is somebody else's."""
    if tags is not None and mark not in tags:
        raise BrokerError(
            f"RabbitMQ has a user {name!r} that reed did not make (no tag {mark!r}), and leaves it alone; "
            "remove that user, or give the gateway another id"
        )


def tags_of(api: Api, name: str) -> Collection[str] | None:
    """Return what marks a user; None if there is none. Raises BrokerError."""
    user: Entry | None = api.get("users", name)
    return None if user is None else _tags(user)


def _tags(user: Entry) -> Collection[str]:
    """Return its tags: a list since RabbitMQ 3.9, a text with commas before."""
    tags: Collection[str] = user.get("tags", ())
    return [each.strip() for each in tags.split(",")] if isinstance(tags, str) else tags


def _only(found: list[Entry], wanted: Entry) -> bool:
    return len(found) == 1 and rights.is_as(found[0], wanted)
