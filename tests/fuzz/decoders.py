"""One input for every radio decoder: bytes become an advertisement that the kind is likely to claim.

Run under atheris by tests/fuzz/run.py, and with fewer inputs by the test suite. No input may raise anything
but DecodeError, and no frame may pass for authentic without the right MIC.

    python -m tests.fuzz.decoders KIND CORPUS_FOLDER [libFuzzer options]
"""

import sys
from collections.abc import Callable
from pathlib import Path

from gateway.domain.ports import Advert
from gateway.drivers.sensors import kinds, load
from gateway.errors import DecodeError
from tests.fakes.examples import adverts
from tests.fakes.frames import ADDRESS, KEY

FRAMES = adverts()
COMPANIES = sorted({company for frame in FRAMES for company in frame.manufacturer_data})
UUIDS = sorted({uuid for frame in FRAMES for uuid in frame.service_data})

SAMPLES = tuple(
    data for frame in FRAMES for data in (*frame.service_data.values(), *frame.manufacturer_data.values())
)
"""Good frames of each format, from which a fuzzer finds the way into it."""

_KEYED, _MODEL = 1, 2


def radio_kinds() -> tuple[str, ...]:
    """Return the kinds that decode advertisements."""
    return tuple(kind for kind in kinds() if load(kind).decode)


def advert_of(body: bytes, *, with_model: bool) -> Advert:
    """Put the same bytes wherever a decoder looks; SwitchBot's model is optional."""
    services = {uuid: body for uuid in UUIDS if uuid != 0xFD3D or with_model}
    return Advert(ADDRESS, services, dict.fromkeys(COMPANIES, body), "")


def target(kind: str) -> Callable[[bytes], None]:
    """Return the function to fuzz: the first byte chooses, the others are the frame."""
    decode = load(kind).decode
    if decode is None:
        raise SystemExit(f"{kind} decodes no advertisements")

    def fuzz_one(data: bytes) -> None:
        choice, body = (data[0], data[1:]) if data else (0, b"")
        try:
            reading = decode(
                advert_of(body, with_model=bool(choice & _MODEL)), KEY if choice & _KEYED else None
            )
        except DecodeError as error:
            if not str(error) or "\n" in str(error):
                raise AssertionError("a problem is one line") from error
            return
        if reading.authentic is False and reading.wet is not None:
            raise AssertionError("a forged frame says something")

    return fuzz_one


def main() -> None:
    """Fuzz one kind until libFuzzer's limits; kinds without a radio have nothing to fuzz."""
    import atheris  # noqa: PLC0415  only `make fuzz` has it

    kind, corpus = sys.argv[1], Path(sys.argv[2])
    with atheris.instrument_imports(include=["gateway.drivers"]):
        if load(kind).decode is None:
            return
    corpus.mkdir(parents=True, exist_ok=True)
    for number, sample in enumerate(SAMPLES):
        for choice in range(4):
            (corpus / f"sample-{number}-{choice}").write_bytes(bytes([choice]) + sample)
    atheris.Setup([sys.argv[0], str(corpus), *sys.argv[3:]], target(kind))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
