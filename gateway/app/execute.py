"""Executes what the core decided, in its order: coils first, then everything that can wait."""

import logging
import time
from collections.abc import Callable, Iterable

from gateway.app.clock import WallClock
from gateway.app.hardware import Hardware
from gateway.app.messages import Messages
from gateway.domain.commands import AnswerRequest, Command, Indicate, Publish, Record, Remember, SetCoil
from gateway.domain.events import CoilFailed, Event
from gateway.errors import DriverError
from gateway.store.store import Store

log = logging.getLogger(__name__)


class Executor:
    """Hands each command to the part that can do it; none of them blocks.

    Args:
        emit_soon: Takes the event that a coil failed, after the present commands.
    """

    def __init__(
        self,
        hardware: Hardware,
        store: Store,
        messages: Messages,
        clock: WallClock,
        emit_soon: Callable[[Event], None],
    ) -> None:
        self._hardware = hardware
        self._store = store
        self._messages = messages
        self._clock = clock
        self._emit_soon = emit_soon

    def execute(self, commands: Iterable[Command]) -> bool:
        """Execute each as it comes; return whether the cloud was told something.

        A coil that fails does not keep the others waiting.
        """
        told = False
        for command in commands:
            match command:
                case SetCoil():
                    self._set_coil(command)
                case Indicate():
                    self._hardware.show(command)
                case Publish():
                    self._messages.publish(command)
                    told = True
                case AnswerRequest():
                    self._messages.answer(command)
                case Record():
                    self._record(command)
                case Remember():
                    self._store.remember(command)
        return told

    def _set_coil(self, command: SetCoil) -> None:
        try:
            self._hardware.drive(command)
        except DriverError as error:
            self._emit_soon(CoilFailed(command.valve_id, str(error)))
        except Exception as error:
            # a bug in one line's driver must not keep the other valves open, nor end the process before them
            log.exception("valve %s: driving its %s line crashed", command.valve_id, command.coil)
            self._emit_soon(CoilFailed(command.valve_id, f"{type(error).__name__}: {error}"))

    def _record(self, record: Record) -> None:
        unix_s, trusted = self._clock.now_unix_s(), self._clock.trusted()
        self._store.record(record, time.monotonic(), unix_s, clock_trusted=trusted)
