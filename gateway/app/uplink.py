"""The way to the cloud as parts of the daemon: the link, and who keeps its certificates."""

import asyncio
import importlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from gateway.app.clock import WallClock, not_before_unix_s
from gateway.app.local import Local
from gateway.app.parts import Parts
from gateway.config.model import Config
from gateway.domain.events import LinkChanged
from gateway.domain.ports import Emit
from gateway.errors import ControlError
from gateway.link.blocking import run_blocking
from gateway.link.config import Config as LinkConfig
from gateway.link.credentials import Credentials
from gateway.link.host import Host

# at run time in a thread: importing takes tens of milliseconds, in which no valve would close
if TYPE_CHECKING:
    from gateway.app.credentials import Enrolled
    from gateway.app.keeper import Keeper

_LINK, _CREDENTIALS = "link", "credentials"
_READ_S = 2.0


class Uplink:
    """Starts and stops what `[link]` and `[identity]` ask for.

    Args:
        host: What the link needs of the gateway, but for its credentials.
        local: Shows the link, and passes on what local users want of it.
        emit: Takes what happens.
        clock: Tells whether certificates can be judged by time.
    """

    def __init__(
        self, host: Callable[[Credentials], Host], local: Local, emit: Emit, clock: WallClock
    ) -> None:
        self._host, self._local, self._emit, self._clock = host, local, emit, clock

    async def start(self, parts: Parts, config: Config) -> None:
        """Begin; without `[link]` there is nothing to begin."""
        if config.link is None:
            self._local.show_link(None)
            return
        await self._learn_time(config.link.cert_file or config.gateway.identity_dir / "current" / "cert.pem")
        if config.link.has_own_pair:
            await self._start_with_files(parts, config.link)
        else:
            await self._start_enrolled(parts, config, config.link)

    async def stop(self, parts: Parts) -> None:
        """End it; messages wait in the outbox."""
        await parts.stop(_CREDENTIALS)
        await parts.stop(_LINK)

    async def _learn_time(self, certificate: Path) -> None:
        """When our certificate begins is past; the disk may hang, and is not waited for."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_READ_S):
                self._clock.raise_floor(await run_blocking(partial(not_before_unix_s, certificate)))

    async def _start_with_files(self, parts: Parts, config: LinkConfig) -> None:
        link_module, files, _ = await _imported(
            "gateway.link.link", "gateway.link.tls", "gateway.link.session"
        )
        link = link_module.Link(config, self._host(files.Files(config, self._clock.trusted)))
        self._local.show_link(link.view, _own_files)
        self._emit(LinkChanged(up=False))
        parts.start(_LINK, link.run)

    async def _start_enrolled(self, parts: Parts, config: Config, link_config: LinkConfig) -> None:
        names = ("gateway.link.link", "gateway.app.credentials", "gateway.app.folder", "gateway.app.keeper")
        link_module, credentials, folder, keeping, _ = await _imported(*names, "gateway.link.session")
        slots = folder.Slots(config.gateway.identity_dir)
        keeper: Keeper = keeping.Keeper(slots, self._clock, self._emit)
        pairs = folder.Folder(slots)
        enrolled: Enrolled = credentials.Enrolled(config, pairs, self._clock, keeper)
        command_key_file = link_config.command_key_file or slots.command_key_file
        link = link_module.Link(replace(link_config, command_key_file=command_key_file), self._host(enrolled))
        self._local.show_link(link.view, keeper.nudge)
        self._emit(LinkChanged(up=False))
        parts.start(_LINK, link.run)
        parts.start(_CREDENTIALS, partial(keeper.run, enrolled, link))


async def _imported(*names: str) -> list[ModuleType]:
    return [await asyncio.to_thread(importlib.import_module, name) for name in names]


def _own_files() -> None:
    raise ControlError("NoCloud", "[link] names cert_file and key_file; remove them to use an enrolment")
