import os
import signal
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.__main__ import main
from gateway.domain.events import AcknowledgeRequested, ValveRequested
from tests.fakes.gateway import LEAK, FakeGateway, served
from tests.fakes.terminal import Terminal


@pytest.fixture
def at(tmp_path: Path) -> Path:
    return tmp_path / "control"


@pytest.fixture
def terminal(at: Path) -> Iterator[Terminal]:
    shown = Terminal(["top", "--socket", str(at)])
    yield shown
    shown.close()


def test_the_view_is_drawn_and_q_leaves_the_terminal_as_it_was(at: Path, terminal: Terminal):
    with served(at):
        terminal.until("Plant room")
        terminal.press("q")
        terminal.until_true(lambda: terminal.process.poll() is not None, "end")

    assert terminal.process.returncode == 0
    assert termios.tcgetattr(terminal.slave) == terminal.before
    assert terminal.shown.rstrip().endswith("\x1b[?25h") or "\x1b[?1049l" in terminal.shown


def test_a_valve_is_closed_only_after_a_choice_and_a_yes(at: Path, terminal: Terminal):
    with served(at) as gateway:
        terminal.until("Plant room")
        terminal.press("c")
        terminal.until("close which")
        terminal.press("1")
        terminal.until("close main\\?")
        assert gateway.gateway.events == []
        terminal.press("y")
        terminal.until("close main: executing")

    [event] = gateway.gateway.events
    assert isinstance(event, ValveRequested)
    assert event.valve_id == "main"


def test_an_alarm_is_acknowledged_and_the_view_follows(at: Path, terminal: Terminal):
    with served(at) as gateway:
        terminal.until("Plant room")
        terminal.press("a1y")
        terminal.until("acknowledge leak/zone/plant-room: succeeded")

    assert isinstance(gateway.gateway.events[0], AcknowledgeRequested)
    assert gateway.gateway.events[0].alarm_id == LEAK


def test_a_change_is_drawn_without_a_key(at: Path, terminal: Terminal):
    with served(at) as gateway:
        terminal.until("Plant room")
        gateway.do(lambda: gateway.gateway.publish("valve", {"valve_id": "main", "state": "sluggish"}))

        terminal.until("sluggish")


def test_a_gateway_that_dies_is_said_and_found_again(at: Path, terminal: Terminal):
    terminal.until("NOT CONNECTED")
    with served(at):
        terminal.until("Plant room")
    terminal.until("NOT CONNECTED")
    again = FakeGateway()
    again.state["gateway"]["id"] = "back-again"
    with served(at, again):
        terminal.until("back-again")


def test_a_resized_window_is_redrawn(at: Path, terminal: Terminal):
    with served(at):
        terminal.until("Plant room")
        terminal.resize(30, 120)
        os.kill(terminal.process.pid, signal.SIGWINCH)

        terminal.until("─{110}")


def test_an_interrupt_leaves_the_terminal_as_it_was(at: Path, terminal: Terminal):
    with served(at):
        terminal.until("Plant room")
        terminal.process.send_signal(signal.SIGINT)
        terminal.until_true(lambda: terminal.process.poll() is not None, "end")

    assert terminal.process.returncode == 0
    assert termios.tcgetattr(terminal.slave) == terminal.before


def test_without_a_terminal_it_says_what_to_use_instead(at: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["top", "--socket", str(at)]) == 64
    assert "use `status` or `events --follow`" in capsys.readouterr().err
