"""Figures that a test has measured, kept beside the trees: var/system/times.md."""

from tests.system.harness.tree import CACHE


def note(text: str) -> None:
    """Add a line."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "times.md").open("a") as file:
        file.write(f"* {text}\n")
