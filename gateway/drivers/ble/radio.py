"""All Bluetooth adapters of one gateway; implements ports.Radio.

Who listens is kept here, over every failure of an adapter. An advertisement that two adapters hear reaches
its listeners twice; the core ignores repeats.
"""

import asyncio
import functools
import importlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gateway.domain.ports import Advert
from gateway.drivers.ble.config import Config

if TYPE_CHECKING:
    from gateway.drivers.ble.adapter import Adapter


class BleRadio:
    """Hears sensors through BlueZ.

    Args:
        config: Which adapters, and how they listen.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._listeners: dict[str, list[Callable[[Advert], None]]] = {}
        self._adapters: dict[str, Adapter] = {}

    @contextmanager
    def listen(self, address: str, on_advert: Callable[[Advert], None], /) -> Iterator[None]:
        """See ports.Radio."""
        self._listeners.setdefault(address, []).append(on_advert)
        self._listeners_changed()
        try:
            yield
        finally:
            self._listeners[address].remove(on_advert)
            if not self._listeners[address]:
                del self._listeners[address]
            self._listeners_changed()

    def parts(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """Return one part for each adapter, to run in a bulkhead of its own."""
        return {f"bluetooth/{name}": functools.partial(self._run, name) for name in self._config.adapters}

    async def _run(self, name: str) -> None:
        """Listen with one adapter until cancelled. Raises DriverError; run again later."""
        if name not in self._adapters:
            # in a thread: the import takes tenths of a second, in which no valve would close
            module = await asyncio.to_thread(importlib.import_module, "gateway.drivers.ble.adapter")
            self._adapters[name] = module.Adapter(name, self._config, self._listeners, self._hear)
        await self._adapters[name].run()

    def _hear(self, advert: Advert) -> None:
        for on_advert in tuple(self._listeners.get(advert.address, ())):
            on_advert(advert)

    def _listeners_changed(self) -> None:
        for adapter in self._adapters.values():
            adapter.wake()
