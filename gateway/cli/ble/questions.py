"""Questions of `ble learn`: to a person at a terminal, or answered by options."""

import re
import sys
from collections.abc import Callable, Sequence

from gateway.errors import ConfigError


def at_terminal() -> bool:
    """Return True if somebody can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def ask(
    option: str, question: str, default: str = "", wrong: Callable[[str], str] = lambda _answer: ""
) -> str:
    """Return a person's answer, asked again while `wrong` says what is wrong with it.

    Raises:
        ConfigError: Nobody can be asked; names the option to give.
    """
    if not at_terminal():
        raise ConfigError((option, "missing; nobody can be asked here"))
    while True:
        answer = _typed(f"{question}{f' [{default}]' if default else ''}: ") or default
        if not (problem := wrong(answer)):
            return answer
        print(f"  {problem}")


def _typed(prompt: str) -> str:
    try:
        return input(prompt).strip()
    except EOFError:  # Ctrl-D
        raise KeyboardInterrupt from None
    except UnicodeDecodeError:
        return "\ufffd"  # which nothing allows


def yes(question: str) -> bool:
    """Return True if a person agrees; False where nobody can be asked."""
    return at_terminal() and _typed(f"{question} [y/N]: ").lower() in ("y", "yes")


def choose(option: str, question: str, choices: Sequence[str], labels: Sequence[str] = ()) -> str:
    """Return one of the choices. Raises ConfigError as `ask` does."""
    for number, label in enumerate(labels or choices, 1):
        print(f"  {number}  {label}")

    def wrong(answer: str) -> str:
        if answer in choices or (re.fullmatch("[0-9]{1,3}", answer) and 1 <= int(answer) <= len(choices)):
            return ""
        return f"give 1 to {len(choices)}"

    answer = ask(option, question, choices[0] if len(choices) == 1 else "", wrong)
    return answer if answer in choices else choices[int(answer) - 1]
