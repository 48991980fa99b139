"""Which frames of a sensor count: authenticity, and our own strictly increasing replay counter.

    keyed sensor     MIC good, counter larger        accepted
                     MIC good, counter equal         repeated: the same frame heard again, feeds nothing
                     MIC good, counter smaller       replayed
                     MIC bad, or values and no MIC   forged
                     no MIC and no values            empty: some makes identify themselves like this
    plain sensor     the packet id only tells a repeat of the last frame from news

BTHome leaves the replay check to the receiver (bthome.io/encryption), MiBeacon has none. The counter is
on disk before a change between wet and dry counts as done, otherwise with the next batch: what can be
replayed after a power cut only says again what was true when it was lost.
"""

from enum import StrEnum

from gateway.domain.model import Reading


class Verdict(StrEnum):
    """What a frame is worth."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"
    REPLAYED = "replayed"
    FORGED = "forged"
    EMPTY = "empty"


def judge(reading: Reading, last: Reading | None, counter: int | None, *, keyed: bool) -> Verdict:
    """Return what this frame is worth.

    Args:
        reading: The decoded frame.
        last: The last accepted frame since the start.
        counter: The largest counter that was accepted; None if any will do.
        keyed: Only frames with a verified MIC count.
    """
    if reading.authentic is False:
        return Verdict.FORGED
    if not keyed:
        is_repeat = reading.counter is not None and reading == last
        return Verdict.REPEATED if is_repeat else Verdict.ACCEPTED
    if reading.authentic is None:
        says_nothing = reading == Reading(reading.format, counter=reading.counter)
        return Verdict.EMPTY if says_nothing else Verdict.FORGED
    if reading.counter is None:
        return Verdict.REPLAYED
    if counter is None or reading.counter > counter:
        return Verdict.ACCEPTED
    return Verdict.REPEATED if reading.counter == counter else Verdict.REPLAYED
