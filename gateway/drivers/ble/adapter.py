"""One adapter: brought up, made to listen, watched; a part for a bulkhead, run again after each failure.

    bluetoothd there? adapter there? powered? -> scan -> watch: all still true? is anything heard?
            no: DriverError, says what to do                    gone: DriverError; deaf: up the ladder

A deaf adapter goes on listening while it counts as failed: a quiet place may look deaf, and the sensor that
breaks the silence must be heard. So the bus connection outlives that failure, and no other.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection

from gateway.domain.ports import Advert
from gateway.drivers.ble import recovery
from gateway.drivers.ble.bus import BLUEZ, Bus, CallError
from gateway.drivers.ble.config import Config
from gateway.drivers.ble.ladder import Ladder, Rung
from gateway.drivers.ble.presence import PROPERTIES, Presence, power
from gateway.drivers.ble.reception import DEVICE, Reception
from gateway.drivers.ble.scan import ADAPTER, Scan
from gateway.errors import DriverError

log = logging.getLogger(__name__)

WAIT_S = 4.0
"""A part that has run for 5 s counts as recovered, so whatever is missing must have come before that."""

LOOK_EVERY_S = 0.25
PROBE_S = 30.0
"""After silence, listen this long to strangers, too, before the adapter is taken for deaf."""

TICK_S = 2.0
FORGET_AFTER_S = 300.0
"""A passive scan does not tell of a sender that repeats itself, unless BlueZ has forgotten what it said."""

SUDDEN_S = 10.0
"""bluetoothd that ends this soon after a passive scan began may have ended because of it."""

_OFF_S = 1.0


class Adapter:
    """Listens with one adapter.

    Args:
        name: "hci0", or its address.
        config: How to listen.
        wanted: Addresses to listen to; may change, `wake` tells.
        hear: Takes each advertisement.
    """

    def __init__(
        self, name: str, config: Config, wanted: Collection[str], hear: Callable[[Advert], None]
    ) -> None:
        self._name, self._config, self._wanted, self._hear = name, config, wanted, hear
        self._woken = asyncio.Event()
        self._now = asyncio.get_running_loop().time
        self._ladder = Ladder()
        self._bus: Bus | None = None
        self._is_deaf = False
        self._quiet_from_s = self._stepped_s = self._now()
        self._presence = Presence(name, self._now)
        self._scan_from_s = self._now()
        self._distrust = ""

    def wake(self) -> None:
        """Look at once what has changed."""
        self._woken.set()

    async def run(self) -> None:
        """Listen until cancelled.

        Raises:
            DriverError: bluetoothd or the adapter is missing, off, refuses or hears nothing; run it again.
        """
        keep = False
        try:
            if self._bus is None:
                await self._bring_up()
            if self._is_deaf:
                await self._wait_for_life()
            await self._watch()
        except DriverError as error:
            keep = self._is_deaf and self._bus is not None and not self._problem()
            raise DriverError(f"{self._name}: {error}") from None
        finally:
            if not keep and self._bus is not None:
                self._bus.close()
                self._bus = None

    # --- bring it up ----------------------------------------------------------------------------------

    async def _bring_up(self) -> None:
        self._is_deaf = False  # what was deaf is gone; the ladder remembers
        self._reception = Reception(self._hear, self.wake, self._now)
        self._bus = bus = Bus(self._reception.on_message)
        await bus.open()
        await bus.match(self._reception.rules())
        objects = await self._presence.find(bus, self._reception, WAIT_S)
        self._interfaces = objects[self._reception.path]
        self._scan = Scan(bus, self._reception.path, self._config.scan, self._distrust)
        self._reception.on_call = self._scan.answer
        await self._follow_wanted(bus)
        self._reception.remember(objects)
        self._quiet_from_s = self._now()
        await self._start_scan()

    async def _start_scan(self) -> None:
        how = await self._scan.start(self._interfaces)
        self._reception.discovering = True
        self._scan_from_s = self._now()
        self._reception.duplicates = not self._scan.passive
        log.info("%s: %s", self._name, how)

    # --- watch it -------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            if problem := self._problem():
                raise DriverError(problem)
            await self._look_after_scan()
            await self._judge_silence()
            await self._pause(TICK_S)

    def _problem(self) -> str:
        """Return what is missing now, or ""."""
        if self._bus is None or not self._bus.connected:
            return "the system bus went away; systemctl status dbus"
        if self._reception.owner is None:
            if self._scan.passive and self._now() - self._scan_from_s < SUDDEN_S:
                # a monitor can crash it; once is enough
                self._distrust = "bluetoothd died of the advertisement monitor"
            return "bluetoothd went away; systemctl status bluetooth"
        if not self._reception.path:
            return "the adapter was removed; is it plugged in? bluetoothctl list"
        if not self._reception.powered:
            return "was switched off; rfkill list, bluetoothctl power on"
        return ""

    async def _look_after_scan(self) -> None:
        if self._bus is not None:
            await self._follow_wanted(self._bus)
            await self._keep_scanning()
            await self._refresh(self._bus)

    async def _follow_wanted(self, bus: Bus) -> None:
        self._reception.want(self._wanted)
        await bus.match(self._reception.rules())

    async def _keep_scanning(self) -> None:
        lost = self._scan.released if self._scan.passive else not self._reception.discovering
        if (lost or not self._scan.started) and self._ladder.may_restart(self._now()):
            log.warning("%s: the scan was ended; it is started again", self._name)
            await self._scan.stop()
            await self._start_scan()

    async def _refresh(self, bus: Bus) -> None:
        """Make BlueZ forget senders that it does not tell of, so that their next advertisement is told."""
        if not self._scan.passive:
            return
        late = self._reception.silent_since(self._now() - FORGET_AFTER_S)
        for path in late:
            with contextlib.suppress(CallError):  # unknown to BlueZ, or gone meanwhile
                # one by one: among thousands of strangers, all that BlueZ has would take too long to read
                [paired] = await bus.call(BLUEZ, path, (PROPERTIES, "Get"), "ss", DEVICE, "Paired")
                if not paired.value:
                    await bus.call(BLUEZ, self._reception.path, (ADAPTER, "RemoveDevice"), "o", path)

    async def _pause(self, length_s: float) -> None:
        self._woken.clear()
        try:
            async with asyncio.timeout(length_s):
                await self._woken.wait()
        except TimeoutError:
            return

    # --- is it deaf? ----------------------------------------------------------------------------------

    async def _judge_silence(self) -> None:
        now_s = self._now()
        reception = self._reception
        self._quiet_from_s = max(self._quiet_from_s, reception.heard_s)
        if reception.heard_s > self._stepped_s:
            self._ladder.heard()
            self._is_deaf = False
        if not self._wanted or now_s - self._quiet_from_s < self._config.silence_s:
            reception.wide = False
        elif not reception.wide:
            reception.wide = True
            if self._bus is not None:
                await self._follow_wanted(self._bus)
            self._stepped_s = self._now()
        elif now_s - self._stepped_s >= PROBE_S:
            await self._step(now_s)

    async def _step(self, now_s: float) -> None:
        """Try the next rung; when none is left, say that a person is needed."""
        deaf_s = now_s - self._quiet_from_s
        self._is_deaf = self._ladder.exhausted
        rung = self._ladder.climb(now_s)
        self._stepped_s = now_s
        if rung is not None:
            log.warning("%s: has heard nothing for %.0f s; %s", self._name, deaf_s, rung.value)
            await self._take(rung)
        if self._is_deaf:
            raise DriverError(self._deafness())

    def _deafness(self) -> str:
        quiet_min = (self._now() - self._quiet_from_s) / 60
        return (
            f"has heard nobody for {quiet_min:.0f} min; restart of the scan, power cycle and reset did not "
            "help; check the antenna, unplug and replug the adapter, or reboot"
        )

    async def _take(self, rung: Rung) -> None:
        if self._bus is None:
            return
        await self._scan.stop()
        if rung is Rung.POWER_CYCLE:
            await power(self._bus, self._reception, self._name, on=False)
            await asyncio.sleep(_OFF_S)
            await power(self._bus, self._reception, self._name, on=True)
        if rung is Rung.RESET:
            adapter = self._reception.path.rpartition("/")[2]
            try:
                how = await asyncio.to_thread(recovery.reset, adapter)
                log.warning("%s: %s", self._name, how)
            except DriverError as error:
                log.warning("%s: %s", self._name, error)
        if self._reception.path and self._reception.powered:
            await self._start_scan()

    async def _wait_for_life(self) -> None:
        """Return if something is heard soon. Raises DriverError: the adapter is as deaf as before."""
        until_s = self._now() + WAIT_S
        while self._now() < until_s:
            if problem := self._problem():
                self._is_deaf = False
                raise DriverError(problem)
            if self._reception.heard_s > self._quiet_from_s:
                log.warning("%s: hears again", self._name)
                self._ladder.heard()
                self._is_deaf = False
                return
            await self._look_after_scan()
            await self._pause(LOOK_EVERY_S)
        await self._judge_silence()
        raise DriverError(self._deafness())
