"""The socket of an aiomqtt client, watched by the loop alone.

paho connects in a thread and tells of its socket there. aiomqtt hands readers, writers and a task over to the
loop unseen, also for a connection that was given up meanwhile. Here the loop decides when it comes to it.
"""

import asyncio
import ssl
from typing import Any

import aiomqtt
from paho.mqtt import client as paho

# paho leaves what its callbacks pass through, and its sockets, untyped
Unused = Any


class Watched(aiomqtt.Client):
    """A connection whose socket is read and written in the loop.

    Attributes:
        _dropped: Nobody waits for it any more; nothing is begun for it.
        _writing: Somebody writes at once himself: two system calls less than by way of the selector.
    """

    _dropped = False
    _writing = False

    def _on_socket_open(self, _client: paho.Client, _userdata: Unused, sock: Unused) -> None:
        self._loop.call_soon_threadsafe(self._watch_read, sock)

    def _watch_read(self, sock: Unused) -> None:
        present = self._client.socket()
        if present is sock and present is not None and not self._dropped:
            self._loop.add_reader(present.fileno(), self._read)
            self._misc_task = self._loop.create_task(self._misc_loop())

    def _read(self) -> None:
        try:
            self._client.loop_read()
            while (sock := self._client.socket()) is not None and _has_more(sock):
                self._client.loop_read()
        except Exception as error:  # noqa: BLE001  # whatever it is, this connection is over
            self._broken(error)

    def _on_socket_register_write(self, _client: paho.Client, _userdata: Unused, sock: Unused) -> None:
        if self._writing:
            return
        # in the loop a detour would cost another system call, and may find the socket closed
        if self._is_in_loop():
            self._loop.add_writer(sock.fileno(), self._write)
        else:
            self._loop.call_soon_threadsafe(self._watch_write, sock)

    def _watch_write(self, sock: Unused) -> None:
        present = self._client.socket()
        if present is sock and present is not None:  # else closed meanwhile, and its number reused
            self._loop.add_writer(present.fileno(), self._write)

    def _write(self) -> None:
        try:
            self._client.loop_write()
            if self._client.want_write():
                self._watch_write(self._client.socket())
        except Exception as error:  # noqa: BLE001  # whatever it is, this connection is over
            self._broken(error)

    def _broken(self, error: Exception) -> None:
        if not self._disconnected.done():
            self._disconnected.set_exception(error)

    def _is_in_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False


def _has_more(sock: Unused) -> bool:
    """Tell whether TLS holds bytes of which the selector knows nothing."""
    return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
