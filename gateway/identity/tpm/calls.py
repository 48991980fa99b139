"""Tasks for the TPM, each in a child process that is killed when it takes too long.

A TPM may hang, and with it whatever thread speaks to it, forever. A child can be left to its fate. On its
standard input: {"task", "tcti", "timeout_s", "given": {name: base64}}; on its standard output one of
{"result": {name: base64}}, {"trouble": line} (TpmError) and {"refusal": line} (IdentityError).
"""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import gateway
from gateway.errors import IdentityError, TpmError

_REAP_S: Final = 1.0
"""A killed child that the kernel holds for a driver's sake does not end; nobody waits longer for it."""


def call(task: str, tcti: str, timeout_s: float, **given: bytes) -> Mapping[str, bytes]:
    """Return what the task returns (see `worker`). Blocks for `timeout_s` and a second at most.

    Raises:
        TpmError: The TPM is missing, hangs or refuses, or the programs for it are missing.
        IdentityError: What was given cannot be used with this TPM.
    """
    encoded = {name: base64.b64encode(value).decode() for name, value in given.items()}
    asked = {"task": task, "tcti": tcti, "timeout_s": timeout_s, "given": encoded}
    output, errors = _run(json.dumps(asked).encode(), tcti, timeout_s)
    try:
        outcome = json.loads(output)
    except ValueError:  # killed by somebody else, or a defect: its last words tell
        last = (errors.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
        raise TpmError(f"the task for the TPM ended without a result: {last}") from None
    match outcome:
        case {"trouble": str(line)}:
            raise TpmError(line)
        case {"refusal": str(line)}:
            raise IdentityError(line)
    return {name: base64.b64decode(value) for name, value in outcome["result"].items()}


def _run(asked: bytes, tcti: str, timeout_s: float) -> tuple[bytes, bytes]:
    try:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "gateway.identity.tpm.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
        )
    except OSError as error:
        raise TpmError(
            f"the task for the TPM cannot be started: {error.strerror or error}; try again later"
        ) from None
    try:
        return child.communicate(asked, timeout_s)
    except subprocess.TimeoutExpired:
        raise TpmError(
            f"{tcti}: no answer of the TPM within {timeout_s:g} s; if that lasts, switch the power off and on"
        ) from None
    finally:
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    with suppress(subprocess.TimeoutExpired):
        child.wait(_REAP_S)
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()


def _environment() -> dict[str, str]:
    """Return ours, with this very package found first, and libtss2 kept from writing to standard error."""
    here = str(Path(gateway.__file__).parents[1])
    others = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": f"{here}{os.pathsep}{others}" if others else here,
        "TSS2_LOG": "all+none",
    }
