"""Who is at the other end of a Unix socket, as the kernel says (unix(7): SO_PEERCRED, SO_PEERGROUPS)."""

import errno
import grp
import os
import socket
import struct
from dataclasses import dataclass

_UCRED = struct.Struct("3i")
_GID = struct.Struct("I")

# <asm-generic/socket.h>, Linux 4.13; the socket module does not name it. Asked of the socket because
# /proc/<pid>/status may by now describe another process with the same pid.
_SO_PEERGROUPS = 59
_MAX_GROUPS = 256  # the socket module takes 1 KiB at most


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that connected, at the moment when it did."""

    pid: int
    uid: int
    groups: frozenset[int]


def of(connection: socket.socket) -> Peer:
    """Return the peer of a connected Unix socket. Raises OSError if the kernel cannot tell.

    Of a user in more than 256 groups only the primary one counts: less is allowed, never more.
    """
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, gid = _UCRED.unpack(credentials)
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MAX_GROUPS * _GID.size)
    except OSError as error:
        if error.errno != errno.ERANGE:
            raise
        raw = b""
    return Peer(pid, uid, frozenset(group for (group,) in _GID.iter_unpack(raw)) | {gid})


def group_id(name: str) -> int | None:
    """Return the id of a system group, or None if there is no such group."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def may_actuate(peer: Peer, group: int | None) -> bool:
    """Return True for root, for whom the gateway runs as, and for members of the group."""
    return peer.uid in {0, os.geteuid()} or group in peer.groups
