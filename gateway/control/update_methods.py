"""The methods by which the process that carries updates out asks the daemon and tells it.

They are for root and for the user that the gateway runs as: whoever may hold an update up or say that one
succeeded could keep a gateway from being mended.
"""

import asyncio
import os
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from gateway.control import varlink
from gateway.control.connection import INTERFACE, Method, Ongoing
from gateway.control.daemon import Daemon
from gateway.control.peer import Peer
from gateway.domain.update.words import Kind, State, Step

DISK_WAIT_S = 10.0
"""A report that is not on disk by then has failed; the runner knows what that means for it."""

_Words = Annotated[str, msgspec.Meta(max_length=200)]
_Text = Annotated[str, msgspec.Meta(max_length=4000)]


class _Nothing(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _Step(msgspec.Struct, forbid_unknown_fields=True):
    step: Step


class _Update(msgspec.Struct, frozen=True):
    """As in the message `update` (docs/protocol.md)."""

    update_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    kind: Kind
    version: _Words
    state: State
    target: _Words = ""
    from_version: _Words = ""
    code: _Words = ""
    detail: _Text = ""
    percent: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    waits_for: Literal["", "download", "install", "reboot"] = ""
    source: _Words = "local"
    actor: _Words = ""


class _Report(msgspec.Struct, forbid_unknown_fields=True):
    update: _Update


class UpdateMethods:
    """Those methods, for one daemon."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def table(self) -> Mapping[str, Method]:
        """Return the methods by their full names."""
        methods: dict[str, Method] = {
            "RequestLease": self._request_lease,
            "GetUpdate": self._get_update,
            "ReportUpdate": self._report_update,
        }
        return {f"{INTERFACE}.{name}": method for name, method in methods.items()}

    def _request_lease(self, ongoing: Ongoing) -> None:
        wanted = varlink.parse_parameters(ongoing.call, _Step)
        if _permitted(ongoing):
            ongoing.reply(self._daemon.lease(wanted.step))

    def _get_update(self, ongoing: Ongoing) -> None:
        varlink.parse_parameters(ongoing.call, _Nothing)
        if _permitted(ongoing):
            ongoing.reply(self._daemon.update())

    def _report_update(self, ongoing: Ongoing) -> None:
        told = varlink.parse_parameters(ongoing.call, _Report).update
        if not _permitted(ongoing):
            return

        def on_disk() -> None:
            ongoing.reply({})

        def give_up() -> None:
            message = f"the disk has not taken it within {DISK_WAIT_S:g} s"
            ongoing.fail("Failed", command_id="", reason="store_unavailable", message=message)

        patience = asyncio.get_running_loop().call_later(DISK_WAIT_S, give_up)
        ongoing.closing.callback(patience.cancel)
        self._daemon.report_update(msgspec.to_builtins(told), on_disk)


def _permitted(ongoing: Ongoing) -> bool:
    if _is_own(ongoing.peer):
        return True
    ongoing.fail("NotPermitted", message="only root and the gateway's own user may do this")
    return False


def _is_own(peer: Peer) -> bool:
    return peer.uid in {0, os.geteuid()}
