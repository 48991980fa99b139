"""SoftHSM 2: a security module in software, with tokens in a folder of the test."""

import os
import shutil
import subprocess
from pathlib import Path

LIBRARIES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so")


def library() -> str:
    """Return the module's path; tests fail without it, they are not skipped."""
    found = [each for each in LIBRARIES if Path(each).exists()]
    assert found, "SoftHSM is missing; install it with: apt install softhsm2"
    return found[0]


def configure(folder: Path) -> None:
    """Let this process keep its tokens there. The library reads this once, when it is first loaded."""
    (folder / "tokens").mkdir()
    settings = folder / "softhsm2.conf"
    settings.write_text(
        f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    os.environ["SOFTHSM2_CONF"] = str(settings)


def make_token(label: str, pin: str) -> None:
    """Make an empty token."""
    tool = shutil.which("softhsm2-util")
    assert tool, "softhsm2-util is missing; install it with: apt install softhsm2"
    words = [tool, "--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", "12345678"]
    subprocess.run(words, check=True, capture_output=True, timeout=30)
