"""libest's EST server with an authority of OpenSSL's behind it, in a machine."""

import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from tests.cloud.front import free_port
from tests.system.harness.machine import Machine

USER, PASSWORD = "estuser", "estpwd"  # what the program has built in
_START_S = 10.0
_FOLDER = "/tmp/est"
_CONFIG = """\
[ca]
default_ca = own
[own]
dir = {folder}
database = {folder}/index.txt
new_certs_dir = {folder}
certificate = {folder}/root.pem
private_key = {folder}/root.key
serial = {folder}/serial
default_md = sha256
default_days = 30
policy = names
unique_subject = no
x509_extensions = client
[names]
commonName = supplied
[client]
basicConstraints = critical,CA:FALSE
keyUsage = digitalSignature
extendedKeyUsage = clientAuth
[req]
distinguished_name = nobody
[nobody]
"""
_SETUP = """
set -eu
cd {folder}
: >index.txt
echo 1000 >serial
curve="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc"
openssl req -x509 $curve -keyout root.key -out root.pem -days 30 -subj "/CN=Other root" \
    -addext keyUsage=critical,keyCertSign,cRLSign
openssl req -x509 -CA root.pem -CAkey root.key $curve -keyout server.key -out server.pem -days 30 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE
openssl ca -config ca.cnf -gencrl -crldays 30 -out crl.pem
"""


class EstServer:
    """Runs within `with`.

    Args:
        machine: Where.
    """

    def __init__(self, machine: Machine) -> None:
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self._machine = machine
        self._process: subprocess.Popen[bytes] | None = None

    def file(self, name: str) -> Path:
        """Return where we see one of its files, e.g. "root.pem"."""
        return self._machine.path(f"{_FOLDER}/{name}")

    def __enter__(self) -> Self:
        self.file("").mkdir()
        self.file("ca.cnf").write_text(_CONFIG.format(folder=_FOLDER))
        self._machine.run("sh", "-c", _SETUP.format(folder=_FOLDER))
        credentials = ["-c", f"{_FOLDER}/server.pem", "-k", f"{_FOLDER}/server.key", "-r", "reed"]
        with self.file("log").open("wb") as log:
            self._process = self._machine.start(
                "estserver",
                *credentials,
                "-o",  # a client certificate is enough, where there is one
                *("-p", str(self.port)),
                output=log,
                EST_TRUSTED_CERTS=f"{_FOLDER}/root.pem",
                EST_CACERTS_RESP=f"{_FOLDER}/root.pem",
                EST_OPENSSL_CACONFIG=f"{_FOLDER}/ca.cnf",
            )
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _wait(self) -> None:
        assert self._process is not None
        deadline_s = time.monotonic() + _START_S
        while time.monotonic() < deadline_s and self._process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1):
                    return
            except OSError:
                time.sleep(0.02)
        raise AssertionError(
            f"estserver did not start: {self.file('log').read_text(errors='replace')[-2000:]}"
        )
