"""One example of each kind of sensor: the contract test, the fuzzer and whoever adds a kind start from these.

A new kind gets one entry in EXAMPLES (docs/adding-a-sensor.md).
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.domain.ports import Advert, Failure, InputSpec, Register
from tests.fakes.board import FakeBoard
from tests.fakes.frames import (
    ADDRESS,
    bthome,
    bthome_keyed,
    mibeacon,
    mibeacon_keyed,
    mibeacon_object,
)

_PATIENCE_MS = 10_000

Heard = Advert | bool | float | Mapping[Register, int]
"""What reaches a sensor: an advertisement, the level of its line, a ratio, the registers of its device."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """A sensor that says dry, then wet.

    Args:
        keys: The keys of `[sensor.<id>]` that have no default, with a value each.
        dry: What it hears or sends while dry.
        wet: The same while wet.
        keyed: A wet frame signed with frames.KEY, for a kind whose Config has `key`.
    """

    keys: Mapping[str, object]
    dry: Heard
    wet: Heard
    keyed: Advert | None = None


def _registers(status: int) -> dict[Register, int]:
    return {Register("input", address): value for address, value in enumerate((status, 12, 0))}


def _switchbot(flags: str) -> Advert:
    data = bytes.fromhex(f"c43430374c7a184e{flags}675e94513c0500000000")
    return Advert(ADDRESS, {0xFD3D: b"&\x00d"}, {0x0969: data})


def _mocreo(flags: str) -> Advert:
    return Advert(
        ADDRESS, manufacturer_data={0x8201: bytes.fromhex(f"1580e40000000000{flags}000086f6000000")}
    )


EXAMPLES: Mapping[str, Example] = {
    "bthome": Example(
        keys={"address": ADDRESS},
        dry=bthome(bytes.fromhex("0008 0161 0C750B 2000 5303616263")),
        wet=bthome(bytes.fromhex("0009 0161 0C750B 2001 5303616263")),
        keyed=bthome_keyed(bytes.fromhex("0161 02CA09 2001"), 7),
    ),
    "contact": Example(keys={"line": "leak-1"}, dry=True, wet=False),
    "loop": Example(keys={"adc": "loops", "channel": 0}, dry=0.689, wet=0.319),
    "mibeacon": Example(
        keys={"address": ADDRESS},
        dry=mibeacon(0x0863, mibeacon_object(0x1014, b"\x00")),
        wet=mibeacon(0x0863, mibeacon_object(0x1014, b"\x01")),
        keyed=mibeacon_keyed(0x6375, mibeacon_object(0x4806, b"\x01"), 7),
    ),
    "mocreo": Example(keys={"address": ADDRESS}, dry=_mocreo("00"), wet=_mocreo("01")),
    "modbus": Example(
        keys={"port": "ropes", "unit": 2, "profile": "rle-ld1500"}, dry=_registers(0), wet=_registers(1)
    ),
    "switchbot": Example(keys={"address": ADDRESS}, dry=_switchbot("98"), wet=_switchbot("99")),
}
"""By the name of the kind's file. SwitchBot's and MOCREO's are recorded ones with the leak bit changed."""


def adverts() -> list[Advert]:
    """Return all frames of all kinds."""
    return [
        frame
        for example in EXAMPLES.values()
        for frame in (example.dry, example.wet, example.keyed)
        if isinstance(frame, Advert)
    ]


class ExampleBoard(FakeBoard):
    """A board that carries what an example says to whoever listens, whatever the transport.

    Args:
        at_first: Also the level of every line until another is fed.
    """

    def __init__(self, at_first: Heard) -> None:
        super().__init__()
        self._level = at_first is True
        self.told_failure = False

    @property
    def is_attached(self) -> bool:
        """Somebody listens, watches, samples or polls."""
        return bool(self.listening or self.watched or self.sampling or self.polling)

    async def attached(self) -> None:
        """Wait until a sensor has prepared itself."""
        for _ in range(_PATIENCE_MS):
            if self.is_attached:
                return
            await asyncio.sleep(0.001)
        raise AssertionError(
            "the sensor does not listen: run() must stay within `with board...` until cancelled"
        )

    @contextmanager
    def watch(self, spec: InputSpec, on_level: Callable[[bool], None]) -> Iterator[bool]:
        self.levels.setdefault(spec.line, self._level)
        with super().watch(spec, on_level) as level:
            yield level

    def feed(self, heard: Heard | Failure) -> None:
        """Let everybody who listens on a transport that can carry it hear this."""
        if isinstance(heard, Advert):
            self.hear(heard)
        elif isinstance(heard, bool):
            for spec, _ in list(self.watched):
                self.drive(spec.line, heard)
        elif isinstance(heard, Mapping):
            for poll, on_answer in list(self.polling):
                on_answer({register: heard[register] for register in poll.registers})
        else:
            self._feed_number(heard)

    def _feed_number(self, heard: float | Failure) -> None:
        listeners = [on_sample for _, on_sample in self.sampling]
        if isinstance(heard, Failure):
            listeners += [on_answer for _, on_answer in self.polling]
            self.told_failure |= bool(listeners)
        for listener in listeners:
            listener(heard)
