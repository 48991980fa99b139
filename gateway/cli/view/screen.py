"""The whole live view for a terminal of any size; works from 80 x 24, and shows less below that.

header   gateway, worst state, link, outbox, clock
zones    | valves
alarms
sensors  | last events
footer   keys, a question, or what just happened
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.layout import Layout
from rich.text import Text

from gateway.cli.table import duration
from gateway.cli.view import panels

WIDE_COLUMNS = 70
"""Below this, panels stand one above the other and the less urgent ones are left out."""

_FRAME_LINES = 2
_FEWEST_LINES = 3


@dataclass(frozen=True, slots=True)
class Frame:
    """What to draw beside the view.

    Args:
        messages: The last messages, oldest first.
        footer: Keys, a question, or what just happened.
        problem: Why the view is old; "" while the gateway answers.
    """

    messages: Sequence[Mapping[str, Any]] = ()
    footer: str = ""
    problem: str = ""


def render(view: Mapping[str, Any] | None, size: tuple[int, int], frame: Frame) -> RenderableType:
    """Return the screen.

    Args:
        view: As in org.reed.Gateway.varlink; None if there has not been one yet.
        size: Columns and lines of the terminal.
        frame: What else to draw.
    """
    columns, lines = size
    screen = Layout()
    body = Layout(Text("\n  waiting for the gateway"), name="body")
    if view is not None:
        body = _body(view, columns, max(_FEWEST_LINES, lines - 2), frame)
    screen.split_column(
        Layout(_header(view, frame.problem), size=1), body, Layout(Text(frame.footer, "reverse"), size=1)
    )
    return screen


def _header(view: Mapping[str, Any] | None, problem: str) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    if problem:
        text.append(f" NOT CONNECTED: {problem} ", "bold white on red")
    if view is None:
        return text
    state = str(view["state"])
    text.append(f" {view['gateway'].get('id', '?')} ", "bold")
    text.append(f" {state.upper()} ", panels.STYLE.get(state, ""))
    link = view["link"]
    since = f" {duration(link['since_s'])}" if link.get("since_s") is not None else ""
    word = "DENIED" if link.get("denied") else str(link.get("state", "?"))
    text.append("  link ").append(word, panels.STYLE.get(word, "")).append(since)
    text.append(f"  outbox {_queued(view['store'])}")
    if view["occupancy"] != "occupied":
        text.append(f"  {view['occupancy']}")
    if not view["clock"].get("trusted"):
        text.append("  clock not trusted", panels.STYLE["trouble"])
    return text.append(f"  up {duration(view['gateway'].get('uptime_s'))}")


def _queued(store: Mapping[str, Any]) -> str:
    queued = store.get("queued")
    if not isinstance(queued, Mapping):
        return f"{queued if queued is not None else '?'}"
    waiting = [f"{count} {channel}" for channel, count in queued.items() if count]
    return ", ".join(waiting) or "empty"


def _body(view: Mapping[str, Any], columns: int, lines: int, frame: Frame) -> Layout:
    body = Layout(name="body")
    if columns < WIDE_COLUMNS:
        body.split_column(*_narrow(view, lines))
        return body
    alarms = _lines(len(view["alarms"]), lines // 3)
    top = _lines(
        max(len(view["zones"]), len(view["valves"]) + len(view["meters"])),
        max(_FEWEST_LINES, (lines - alarms) // 2),
    )
    rest = lines - top - alarms
    upper, lower = Layout(size=top), Layout(size=max(1, rest))
    upper.split_row(Layout(panels.zones(view, top)), Layout(panels.valves(view, top)))
    lower.split_row(Layout(panels.sensors(view, rest)), Layout(panels.events(frame.messages, rest)))
    body.split_column(upper, Layout(panels.alarms(view, alarms), size=alarms), lower)
    return body


def _narrow(view: Mapping[str, Any], lines: int) -> list[Layout]:
    alarms = _lines(len(view["alarms"]), max(_FEWEST_LINES, lines // 3))
    parts = [Layout(panels.alarms(view, alarms), size=alarms)]
    left = lines - alarms
    valves = min(left, _lines(len(view["valves"]) + len(view["meters"]), max(_FEWEST_LINES, left // 2)))
    if left >= _FEWEST_LINES:
        parts.append(Layout(panels.valves(view, valves), size=valves))
    left -= valves
    if left >= _FEWEST_LINES:
        parts.append(Layout(panels.zones(view, left), size=left))
    return parts


def _lines(rows: int, most: int) -> int:
    """Return how many lines a panel takes: as many as it has rows, framed, but not over `most`."""
    return max(_FEWEST_LINES, min(rows + _FRAME_LINES, most))
