"""What must hold with Debian 13's own Python and packages: tests that run in there."""

from pathlib import Path

import pytest

from tests.system.harness.machine import SOURCE, Machine

_TPM = sorted(path.name for path in (Path(__file__).parents[1] / "tpm").glob("test_*.py"))
_LIMIT_S = 300.0


def report_of(machine: Machine, *what: str) -> str:
    """Run these tests of the checkout in the machine; return what pytest said.

    Its pytest-asyncio (0.25) leaves loops unclosed, and whichever test comes next would be blamed for it.

    Raises:
        AssertionError: One of them failed; the message has the end of the report.
    """
    pytest_there = f'cd {SOURCE} && exec python3 -m pytest -q -p no:cacheprovider "$@"'
    lenient = ("-W", "ignore::pytest.PytestUnraisableExceptionWarning")
    words = ("sh", "-c", pytest_there, "pytest", *lenient, *what)
    # the checkout is read-only in there
    done = machine.run(*words, timeout_s=_LIMIT_S, HYPOTHESIS_STORAGE_DIRECTORY="/tmp/hypothesis")
    return done.stdout


@pytest.mark.parametrize("file", _TPM)
def test_the_tpm_does_what_we_say_of_it(machine: Machine, file: str):
    assert " passed" in report_of(machine, f"tests/tpm/{file}")


@pytest.mark.parametrize("folder", ["identity", "link"])
def test_its_versions_of_python_and_packages_do(machine: Machine, folder: str):
    assert " passed" in report_of(machine, f"tests/{folder}")
