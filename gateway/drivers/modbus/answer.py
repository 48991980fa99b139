"""Finds the answer to a request in what was heard on the line (Modbus over serial line 1.02, 2.5.1).

    request   unit | function        | start, 2 bytes | count, 2 bytes | CRC, 2 bytes
    answer    unit | function        | bytes          | registers      | CRC, 2 bytes
    refusal   unit | function + 0x80 | code           | CRC, 2 bytes

Only a whole frame with the right address, function, length and CRC counts. So neither the echo of the
request, nor the late answer of another device, nor noise is ever taken for a register.
"""

import struct
from dataclasses import dataclass

from gateway.domain.ports import Failure
from gateway.drivers.modbus.blocks import Block

FUNCTIONS = {"input": 4, "holding": 3}
REQUEST_BYTES = 8

_REFUSED = 0x80
_REFUSAL_BYTES = 5
_REFUSALS = {
    1: "it does not know this function",
    2: "it has no such register; is it the right profile?",
    3: "it does not give so many registers at once",
    4: "it has an internal fault",
    5: "it is still working on the last request",
    6: "it is busy",
    10: "the way to it is not available",
    11: "the device behind it does not answer",
}


@dataclass(frozen=True, slots=True)
class Refusal(Failure):
    """The device is there and says no."""


def crc(data: bytes) -> bytes:
    """Return the two bytes that end a frame."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
    return value.to_bytes(2, "little")


def find(heard: bytes, unit: int, block: Block) -> bytes | None:
    """Return the first frame that answers or refuses the request; None if there is none yet."""
    function = FUNCTIONS[block.table]
    heads = (
        (bytes((unit, function, 2 * block.count)), block.answer_bytes),
        (bytes((unit, function | _REFUSED)), _REFUSAL_BYTES),
    )
    for at in range(len(heard) - _REFUSAL_BYTES + 1):
        for head, size in heads:
            frame = heard[at : at + size]
            if len(frame) == size and frame.startswith(head) and is_whole(frame):
                return frame
    return None


def is_whole(frame: bytes) -> bool:
    """Tell whether the frame ends with its CRC."""
    return crc(frame[:-2]) == frame[-2:]


def read(frame: bytes, block: Block) -> list[int] | Refusal:
    """Return the registers in a frame that `find` found, or why there are none."""
    if frame[1] & _REFUSED:
        code = frame[2]
        where = f"{block.table} {block.start}" + (f"-{block.start + block.count - 1}" * (block.count > 1))
        return Refusal(f"{where}: refused with code {code}: {_REFUSALS.get(code, 'the code is unknown')}")
    return list(struct.unpack(f">{block.count}H", frame[3:-2]))


def problem(heard: bytes, request: bytes, unit: int) -> str:
    """Return in words what was heard instead of an answer."""
    heard = heard.removeprefix(request)
    if not heard:
        return "no answer"
    if heard[0] != unit and any(is_whole(heard[:end]) for end in range(_REFUSAL_BYTES, len(heard) + 1)):
        return f"unit {heard[0]} answered instead; do two devices have one address, or is one too slow?"
    if heard[:1] == request[:1] and len(heard) > 1 and heard[1] & ~_REFUSED == request[1]:
        return "the answer is damaged (wrong CRC or cut off); check cable, termination and bias"
    return "garbage on the line; check baud, parity and that A and B are not swapped"


def request(unit: int, block: Block) -> bytes:
    """Return the request as it goes over the line."""
    frame = struct.pack(">BBHH", unit, FUNCTIONS[block.table], block.start, block.count)
    return frame + crc(frame)
