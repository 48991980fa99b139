"""The gateway's half of attestation in a machine, one step at a time: JSON lines in and out, bytes in base64.

python3 -m tests.system.harness.tpm_talk TCTI
"""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Self

from tests.system.harness.machine import Machine

KEY_FILE = Path("/tmp/device.pem")


class Talk:
    """Talks to the program in the machine; lives within `with`.

    Args:
        machine: Where the TPM is.
        tcti: How it is reached there.
    """

    def __init__(self, machine: Machine, tcti: str) -> None:
        command = machine.command("python3", "-m", "tests.system.harness.tpm_talk", tcti)
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def create(self) -> None:
        """Have the TPM make the gateway's key."""
        self._ask("create", {})

    def csr(self, gateway_id: str) -> bytes:
        """Return a request, signed in the TPM."""
        return self._ask("csr", {"gateway_id": gateway_id.encode()})["csr"]

    def begin(self) -> dict[str, bytes]:
        """Return what the TPM says of itself."""
        return self._ask("begin", {})

    def answer(self, challenge: dict[str, bytes]) -> dict[str, bytes]:
        """Return the TPM's answer."""
        return self._ask("answer", challenge)

    def _ask(self, task: str, given: dict[str, bytes]) -> dict[str, bytes]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"task": task, **_texts(given)}) + "\n")
        self._process.stdin.flush()
        said = json.loads(self._process.stdout.readline())
        assert "problem" not in said, said["problem"]
        return _bytes(said)


def _texts(values: dict[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(value).decode() for name, value in values.items()}


def _bytes(values: dict[str, str]) -> dict[str, bytes]:
    return {name: base64.b64decode(value) for name, value in values.items()}


def main() -> None:
    """Serve until the input ends."""
    from gateway.errors import GatewayError  # noqa: PLC0415  # in the machine only
    from gateway.identity.config import Config  # noqa: PLC0415
    from gateway.identity.keys import open_keys  # noqa: PLC0415

    keys = open_keys(Config(tcti=sys.argv[1]))
    attester = keys.attester()
    assert attester is not None
    for line in sys.stdin:
        asked = json.loads(line)
        task, given = asked.pop("task"), _bytes(asked)
        said: dict[str, bytes] = {}
        try:
            if task == "create":
                keys.create(KEY_FILE)
            elif task == "csr":
                said = {"csr": keys.csr(KEY_FILE, given["gateway_id"].decode())}
            elif task == "begin":
                said = dict(attester.begin(KEY_FILE))
            else:
                said = dict(attester.answer(given))
        except GatewayError as error:
            print(json.dumps({"problem": str(error)}), flush=True)  # noqa: T201
            continue
        print(json.dumps(_texts(said)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
