"""Keys of `[control]`: the local socket and who may actuate through it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The local control socket.

    Args:
        socket: Path of the Unix socket. Any local user may read from it.
        group: Members of this system group (and root) may actuate. A group that does not exist has no
            members.
        max_clients: Connections at the same time; the next one is turned away with an error.
        max_clients_per_user: The same for each user but root, so that nobody locks the others out.
        idle_s: A connection that asks nothing for so long is closed (a live view counts as asking).
    """

    socket: Path = Path("/run/reed/org.reed.Gateway")
    group: str = "reed"
    max_clients: int = 32
    max_clients_per_user: int = 16
    idle_s: float = 300.0
