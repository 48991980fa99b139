"""What systemd hears, over a real socket."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from gateway.app.notify import Notifier, watchdog_interval_s


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(2)
        yield listener


def test_ready_comes_with_its_status(manager: socket.socket):
    with closing(Notifier.from_environment({"NOTIFY_SOCKET": manager.getsockname()})) as notifier:
        notifier.ready("normal")

    assert manager.recv(1024) == b"READY=1\nSTATUS=normal"


def test_reload_carries_the_monotonic_time(manager: socket.socket):
    with closing(Notifier(manager.getsockname())) as notifier:
        notifier.reloading()

    first, second = manager.recv(1024).decode().split("\n")
    assert first == "RELOADING=1"
    assert int(second.removeprefix("MONOTONIC_USEC=")) > 0


def test_abstract_address_is_understood():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + f"reed-test-{os.getpid()}")
        listener.settimeout(2)

        with closing(Notifier(f"@reed-test-{os.getpid()}")) as notifier:
            notifier.watchdog()

        assert listener.recv(1024) == b"WATCHDOG=1"


def test_line_break_in_a_status_adds_no_field(manager: socket.socket):
    with closing(Notifier(manager.getsockname())) as notifier:
        notifier.status("bad\nWATCHDOG=trigger")

    assert manager.recv(1024) == b"STATUS=bad WATCHDOG=trigger"


def test_nobody_listening_is_no_failure(tmp_path: Path):
    with closing(Notifier("")) as notifier:
        notifier.ready("normal")
    with closing(Notifier(str(tmp_path / "gone"))) as notifier:
        notifier.stopping()


@pytest.mark.parametrize(
    ("environment", "interval_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 10.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "42"}, 10.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "43"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
    ],
)
def test_watchdog_is_pinged_three_times_in_its_limit(environment: dict[str, str], interval_s: float | None):
    assert watchdog_interval_s(environment, pid=42) == interval_s


def test_same_status_is_sent_once(manager: socket.socket):
    with closing(Notifier(manager.getsockname())) as notifier:
        notifier.ready("normal")
        notifier.status("normal")
        notifier.status("alarm")

    assert [manager.recv(1024) for _ in range(2)] == [b"READY=1\nSTATUS=normal", b"STATUS=alarm"]


def test_readiness_reaches_a_manager_that_was_busy(manager: socket.socket):
    with closing(Notifier(manager.getsockname())) as notifier:
        for _ in range(1000):
            notifier.watchdog()
        notifier.ready("normal")
        manager.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                assert manager.recv(1024) == b"WATCHDOG=1"
        notifier.watchdog()

        assert manager.recv(1024) == b"READY=1\nWATCHDOG=1"
