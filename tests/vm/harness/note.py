"""What a story measured, for whoever runs it: pytest would hide it."""

import sys


def note(text: str) -> None:
    """Show a line at once, also for a story that succeeds."""
    print(f"\n  {text}", end="", file=sys.__stderr__, flush=True)
