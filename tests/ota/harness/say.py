"""How far a long story has come, for who watches."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


def say(text: str) -> None:
    """Say it at once, past what pytest keeps back."""
    print(f"  {text}", file=sys.__stderr__, flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say how long it took."""
    start_s = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - start_s:.1f} s")
