"""`reed-gateway top`: a live, full-screen view of the building and the gateway."""

import argparse
import io
import sys
import time
from pathlib import Path

from gateway.cli.access import add_options
from gateway.cli.view.feed import Feed
from gateway.cli.view.prompt import IDLE, KEYS, Action, Prompt, Verb, press
from gateway.control.client import Client
from gateway.errors import ControlError

REDRAW_S = 0.5
REMARK_S = 6.0


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "top",
        help="live view of zones, sensors, valves, alarms, link and outbox",
        description="Live view. Keys: q quits, a acknowledges an alarm, c closes a valve (both ask first).",
    )
    add_options(parser, as_json=False)


def run(args: argparse.Namespace) -> int:
    """Show the view until `q` or Ctrl-C. Raises ControlError where there is no terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ControlError("NoTerminal", "top needs a terminal; use `status` or `events --follow`", 64)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without Unicode shows "?", not a traceback
    feed = Feed(args.socket)
    try:
        _show(args.socket, feed)
    except KeyboardInterrupt:
        pass
    finally:
        feed.close()
    return 0


def _show(socket: Path, feed: Feed) -> None:
    from rich.console import Console  # noqa: PLC0415  # not for the commands that only print
    from rich.live import Live  # noqa: PLC0415

    from gateway.cli.view.keyboard import keyboard  # noqa: PLC0415
    from gateway.cli.view.screen import Frame, render  # noqa: PLC0415

    console = Console()
    dialogue = Dialogue(socket)
    with keyboard() as keys, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            feed.poll()
            frame = Frame(list(feed.messages), dialogue.footer(), feed.problem)
            live.update(render(feed.view, (console.width, console.height), frame), refresh=True)
            for key in keys.wait(REDRAW_S, feed.fileno()):
                if dialogue.quits(key):
                    return
                dialogue.press(key, feed)


class Dialogue:
    """The footer: the keys, the question that stands, and for some seconds what came of it.

    Args:
        socket: Where the gateway is asked.
        keys: What the footer says while there is nothing else.

    Attributes:
        keys: The same; may change with the terminal's width.
    """

    def __init__(self, socket: Path, keys: str = KEYS) -> None:
        self.keys = keys
        self._socket = socket
        self._prompt: Prompt = IDLE
        self._remark = ""
        self._remark_until_s = 0.0

    def footer(self) -> str:
        """Return the line to show."""
        if self._prompt == IDLE and time.monotonic() < self._remark_until_s:
            return f" {self._remark}"
        return self._prompt.text(self.keys)

    @property
    def is_idle(self) -> bool:
        """No question stands: any key may mean something else."""
        return self._prompt == IDLE

    def say(self, remark: str) -> None:
        """Show this for some seconds."""
        self._remark, self._remark_until_s = remark, time.monotonic() + REMARK_S

    def quits(self, key: str) -> bool:
        """Return True if this key ends the view (it does not answer a question)."""
        return key == "q" and self._prompt == IDLE

    def press(self, key: str, feed: Feed) -> None:
        """Take a key."""
        self._prompt, outcome = press(self._prompt, key, feed.view)
        if isinstance(outcome, Action):
            outcome = perform(outcome, self._socket)
        if outcome:
            self.say(outcome)


def perform(action: Action, socket: Path) -> str:
    """Ask the gateway and return in a few words what it said first."""
    method, parameters = {
        Verb.ACKNOWLEDGE: ("AcknowledgeAlarm", {"alarm": action.target}),
        Verb.CLOSE: ("ActuateValve", {"valve": action.target, "wish": "close"}),
    }[action.verb]
    try:
        with Client(socket) as client:
            answer = next(client.stream(method, timeout_s=5.0, **parameters, cause="live view"))
    except ControlError as error:
        return f"{action.verb} {action.target}: {error}"
    return f"{action.verb} {action.target}: {answer['state']} {answer['detail']}".rstrip()
