"""A real mosquitto with the demo's access rules, for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.cli.demo import devca
from gateway.cli.demo.broker import Broker, find_mosquitto
from gateway.cli.demo.devca import DevCa

needs_mosquitto = pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")

__all__ = ["Broker", "DevCa", "needs_mosquitto", "running_broker"]


@contextmanager
def running_broker(
    folder: Path, gateway_id: str = "house-7", extra: str = ""
) -> Iterator[tuple[Broker, DevCa]]:
    """Run a broker and its authority in `folder`; `extra` goes into mosquitto's configuration."""
    ca = devca.ensure(folder / "ca", gateway_id)
    with Broker(ca, folder / "broker", extra=extra) as broker:
        yield broker, ca
