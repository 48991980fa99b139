"""What holds now, as messages that are neither queued nor counted (docs/protocol.md, section 3)."""

from collections.abc import Iterator

from gateway.domain.model import Channel
from gateway.link import snapshot, wire
from gateway.link.host import Host


class State:
    """Speaks for one session; `topic` is where.

    Args:
        host: Knows the site.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._number = int(host.now().mono_s * 1000)
        self.topic = wire.up_topic(host.origin.gateway, Channel.STATE)

    def snapshot(self, packet_max_bytes: int) -> Iterator[bytes]:
        """Yield the present state of the site in parts that the broker takes."""
        most_bytes = min(snapshot.PART_MAX_BYTES, packet_max_bytes // 2)
        stamp = self._host.now()  # the parts of one snapshot share it
        for body in snapshot.parts(self._host.snapshot(), most_bytes):
            yield wire.encode(self._host.origin, None, "snapshot", body, stamp)

    def status(self, *, online: bool, reason: str) -> bytes:
        """Return that we are there, or go."""
        body = wire.status_body(online=online, session=self._number, reason=reason)
        return wire.encode(self._host.origin, None, "status", body, self._host.now())
