"""The child process: does one task with the TPM and ends. Run by `calls`; its wire is described there."""

import base64
import importlib
import json
import signal
import sys
from collections.abc import Mapping

from gateway.errors import IdentityError, TpmError
from gateway.identity.tpm import faults

_TASKS = {
    "create": ("device_key", "create"),
    "request": ("device_key", "request"),
    "sign": ("device_key", "sign"),
    "check": ("device_key", "check"),
    "begin": ("attestation", "begin"),
    "answer": ("attestation", "answer"),
    "seal": ("sealed", "seal"),
    "unseal": ("sealed", "unseal"),
}
_ORPHANED_AFTER_S = 5.0


def main() -> int:
    """Read the task from standard input, write its outcome to standard output."""
    asked = json.load(sys.stdin)
    # whoever waits for us kills us earlier; if they are dead, nobody does
    signal.setitimer(signal.ITIMER_REAL, asked["timeout_s"] + _ORPHANED_AFTER_S)
    given = {name: base64.b64decode(value) for name, value in asked["given"].items()}
    try:
        result = _do(asked["task"], asked["tcti"], given)
    except TpmError as error:
        outcome: Mapping[str, object] = {"trouble": str(error)}
    except IdentityError as error:
        outcome = {"refusal": str(error)}
    else:
        outcome = {"result": {name: base64.b64encode(value).decode() for name, value in result.items()}}
    json.dump(outcome, sys.stdout)
    return 0


def _do(task: str, tcti: str, given: Mapping[str, bytes]) -> Mapping[str, bytes]:
    try:
        from tpm2_pytss import TSS2_Exception  # noqa: PLC0415  # where it is missing, say so

        from gateway.identity.tpm.chip import Chip  # noqa: PLC0415
    except ImportError as error:
        raise TpmError(
            f"the programs for the TPM are missing; run: apt install python3-tpm2-pytss ({error})"
        ) from None
    module, name = _TASKS[task]
    perform = getattr(importlib.import_module(f"gateway.identity.tpm.{module}"), name)
    try:
        with Chip(tcti) as chip:
            result: Mapping[str, bytes] = perform(chip, given)
            return result
    except TSS2_Exception as error:
        raise TpmError(faults.explain(error.rc, tcti)) from None


if __name__ == "__main__":
    raise SystemExit(main())
