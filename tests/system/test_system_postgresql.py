"""The registry on PostgreSQL 17: the same tests as on SQLite, against a server in Debian 13."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.mosquitto import free_ports
from tests.system.harness.machine import Machine

REPOSITORY = Path(__file__).parents[2]
REGISTRY = ["registry", "registry_renewal", "registry_deny", "audit", "crl", "ca", "database"]
_LIMIT_S = 300.0
_START_S = 30.0


@pytest.fixture
def server(machine: Machine) -> Iterator[str]:
    """Return the URL of an administrator on a fresh server; only this test and the loopback reach it."""
    (port,) = free_ports(1)
    programs, data = "/usr/lib/postgresql/17/bin", "/var/lib/postgresql/test"
    as_postgres = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
    machine.run(*as_postgres, f"{programs}/initdb", "--auth=trust", "--no-sync", "-D", data)
    options = ["listen_addresses=127.0.0.1", f"port={port}", "unix_socket_directories=/tmp", "fsync=off"]
    flags = [word for option in options for word in ("-c", option)]
    with machine.path("/tmp/postgresql.log").open("wb") as log:
        running = machine.start(*as_postgres, f"{programs}/postgres", "-D", data, *flags, output=log)
        _wait_until_ready(machine, port)
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        running.kill()  # what enters the machine; the server ends with the machine
        running.wait()


def _wait_until_ready(machine: Machine, port: int) -> None:
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s:
        asked = machine.run("pg_isready", "--host=127.0.0.1", f"--port={port}", check=False)
        if asked.returncode == 0:
            return
        time.sleep(0.05)
    raise AssertionError(machine.path("/tmp/postgresql.log").read_text()[-2000:])


def test_the_registry_does_on_postgresql_what_it_does_on_sqlite(server: str):
    files = [f"tests/cloud/test_cloud_{name}.py" for name in REGISTRY]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
        cwd=REPOSITORY,
        env={**os.environ, "REED_TEST_DATABASE_URL": server},
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
