"""Entry point of `reed-ota`; it is also installed with the gateway's tools, which need less."""

import sys

_UNAVAILABLE = 69
"""EX_UNAVAILABLE of sysexits.h."""


def main() -> int:
    """Run one command and return its exit status; say so if what it needs is not installed."""
    try:
        from ota.cli import main as run  # noqa: PLC0415  only now is it known whether it can be
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == __package__:
            raise
        advice = "apt install python3-tuf python3-cryptography, or pip install '.[update]'"
        print(f"reed-ota: {missing} is missing; install it with: {advice}", file=sys.stderr)  # noqa: T201
        return _UNAVAILABLE
    return run()


if __name__ == "__main__":
    sys.exit(main())
