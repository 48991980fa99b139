"""The world outside the gateway in two lines: what really happens in the building, what the cloud knows."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gateway.cli.view.panels import STYLE

LINES = 4

_LIGHT = {
    "auto": "steady",
    "override": "blinks slowly",
    "alarm": "blinks fast",
    "trouble": "a flash at times",
    "cloud_denied": "double flashes",
    "countdown": "nearly steady",
    "press_short": "one flash",
    "press_long": "two flashes",
    "press_very_long": "three flashes",
    "denied": "flickers: refused",
}
"""What a person sees of each pattern of gateway/domain/indicator.py."""


@dataclass(frozen=True, slots=True)
class World:
    """What is to be seen there.

    Args:
        look: The building, see gateway/sim/look.py.
        burst: Pipes that leak, whether or not water comes out of them now.
        is_connected: The network between gateway and broker works.
        gateway: What its process does, in a word.
        held: Messages that the cloud holds.
        copies: Messages that came to it more than once.
        last: What it heard last.
        light: What the status light shows, as the gateway calls it.
        sounder: The same for the sounder.
    """

    look: Mapping[str, Any]
    burst: Collection[str]
    is_connected: bool
    gateway: str
    held: int
    copies: int
    last: str
    light: str
    sounder: str


def render(world: World) -> Panel:
    """Return the panel; it takes `LINES` lines."""
    lines = Table.grid(padding=(0, 1), expand=True)
    lines.add_column(no_wrap=True)
    lines.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    lines.add_row(Text("pipes", "dim"), _pipes(world))
    lines.add_row(Text("cloud", "dim"), _cloud(world))
    title = f"outside: status light {_LIGHT.get(world.light, world.light)}, sounder {world.sounder}"
    return Panel(lines, title=title, title_align="left", padding=(0, 1), border_style="blue", height=LINES)


def _pipes(world: World) -> Text:
    pipes = world.look["pipes"]
    text = Text(f"{sum(pipe['leaked_l'] for pipe in pipes.values()):.1f} l lost")
    for name, pipe in pipes.items():
        flow = pipe["leak_l_per_min"]
        text.append("   ")
        if flow:
            text.append(f"{name} LEAKS {flow:.0f} l/min", STYLE["alarm"])
        elif name in world.burst:
            text.append(f"{name} burst, dry", STYLE["trouble"])
        else:
            text.append(f"{name} tight", STYLE["normal"])
    return text


def _cloud(world: World) -> Text:
    text = Text()
    if world.is_connected:
        text.append("network ok", STYLE["up"])
    else:
        text.append("network CUT", STYLE["down"])
    if world.gateway != "runs":
        text.append(f"   gateway {world.gateway}", STYLE["down"])
    text.append(f"   {world.held} messages")
    if world.copies:
        text.append(f", {world.copies} copies")
    return text.append(f"   last: {world.last}" if world.last else "")
