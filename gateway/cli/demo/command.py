"""`reed-gateway demo`: broker, cloud, building and gateway on this machine, with a live view or a story."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what the demo needs is imported when it runs, so that `--help` stays quick
    from gateway.cli.demo.tell import Teller

_FOLDER = Path("var/demo")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "demo",
        help="a simulated building, a real broker and the gateway, live",
        description="Without a terminal, with --script or with DEMO=script in the environment, it plays a "
        "story by itself in under a minute and ends with 0 only if every step of it held.",
    )
    parser.add_argument("--script", action="store_true", help="play the story, print each step")
    parser.add_argument(
        "--folder",
        type=Path,
        default=_FOLDER,
        help=f"certificates, state and logs of the demo (default: ./{_FOLDER})",
    )


def run(args: argparse.Namespace) -> int:
    """Run the demo until it is over.

    Raises:
        GatewayError: The scene cannot be set, or a step did not hold.
    """
    is_script = args.script or os.environ.get("DEMO") == "script"
    is_script = is_script or not (sys.stdin.isatty() and sys.stdout.isatty())
    return asyncio.run(_until_signalled(args.folder, is_script))


async def _until_signalled(folder: Path, is_script: bool) -> int:
    """Play; return 128 + its number when a signal ended it. The scene is taken down in any case."""
    from gateway.cli.demo.tell import Teller  # noqa: PLC0415

    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    received: list[signal.Signals] = []

    def stop(number: signal.Signals) -> Callable[[], None]:
        def on_signal() -> None:
            received.append(number)
            if task is not None and len(received) == 1:  # taking down is under way and has its own bounds
                task.cancel()

        return on_signal

    for number in _SIGNALS:
        loop.add_signal_handler(number, stop(number))
    try:
        await _play(folder, is_script, Teller())
    except asyncio.CancelledError:
        if not received:
            raise
        return 128 + received[0]
    return 0


async def _play(folder: Path, is_script: bool, tell: "Teller") -> None:
    from gateway.cli.demo import live, story  # noqa: PLC0415
    from gateway.cli.demo.place import occupied  # noqa: PLC0415

    with occupied(folder) as place:
        await (story.play(place, tell) if is_script else live.show(place, tell))
