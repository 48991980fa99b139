"""The runner is killed around every single write of its record; the next one ends where it would have."""

import copy
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.app.update_guard import as_json
from gateway.domain.update.asked import as_json as order_json
from gateway.domain.update.model import Kind, Order, State
from gateway.update.record import Record
from tests.fakes.gateway import FakeGateway, served
from tests.fakes.updated import HEALTHY, Machine
from tests.fakes.updated_socket import ApplierServer

_ROOT = Path(__file__).parents[2]
_MOST_RUNS = 12


class World:
    """A machine, its daemon, and runners that come and go."""

    def __init__(self, home: Path, kind: Kind) -> None:
        self.home = home
        self.order = Order("u1", kind, f"{kind}/2", "2", "cloud", "operator")
        self.machine = Machine(on_restart=self._power)
        self.gateway = FakeGateway()
        self.gateway.state = copy.deepcopy(HEALTHY)
        self.gateway.order = order_json(self.order)
        self._runner: subprocess.Popen[bytes] | None = None

    def _power(self) -> None:
        if self._runner is not None:
            self._runner.kill()

    def run(self, kill_at: int = 0, when: str = "after") -> bool:
        """Start a runner and wait for its end; return whether it ended by itself."""
        boot = f"boot-{self.machine.boots}"
        words = ["tests.fakes.updating_process", str(self.home), boot, str(kill_at), when]
        with subprocess.Popen([sys.executable, "-m", *words], cwd=_ROOT) as self._runner:
            return self._runner.wait(60) == 0

    def run_out(self, kill_at: int, when: str) -> None:
        for _ in range(_MOST_RUNS):
            if self.run(kill_at, when):
                return
        raise AssertionError("it never ends")

    @property
    def writes(self) -> int:
        return (self.home / "writes").stat().st_size

    @property
    def end(self) -> tuple[str, str, str, bool]:
        saved = Record(self.home / "update").load()
        assert saved is not None
        update = saved.update
        return (
            update.state.value,
            update.code,
            self.machine.versions[self.order.kind.value],
            self.machine.trial,
        )


@contextmanager
def world(home: Path, kind: Kind) -> Iterator[World]:
    home.mkdir()
    made = World(home, kind)
    with served(home / "control", made.gateway), ApplierServer(home / "applier", made.machine):
        yield made


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("kind", "when"), [(Kind.OS, "after"), (Kind.OS, "before"), (Kind.APP, "after")], ids=str
)
def test_a_runner_that_is_killed_at_any_write_ends_where_it_would_have(folder: Path, kind: Kind, when: str):
    count = 0
    while True:
        count += 1
        with world(folder / f"{count}", kind) as one:
            one.run_out(count, when)
            assert one.end == ("succeeded", "", "2", False), f"killed {when} write {count}"
            assert "succeeded" in [report["state"] for report in one.gateway.reports]
            assert one.machine.calls.count("install") <= 2
            if one.writes < count:
                break
    assert count > 5


def test_a_report_over_the_socket_is_what_the_daemon_takes(folder: Path):
    with world(folder / "w", Kind.APP) as one:
        assert one.run()
        saved = Record(one.home / "update").load()
        assert saved is not None
        assert saved.update.state is State.SUCCEEDED
        assert one.gateway.reports[-1] == as_json(saved.update)
        assert one.gateway.asked[0] == "download"
