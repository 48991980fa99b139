"""Enrolment on PostgreSQL 17: what must happen once happens once there, too."""

import os
import subprocess
import sys
from pathlib import Path

from tests.system.test_system_postgresql import server  # noqa: F401  # the fixture

REPOSITORY = Path(__file__).parents[2]


def test_enrolment_does_on_postgresql_what_it_does_on_sqlite(server: str):  # noqa: F811
    files = [f"tests/cloud/test_cloud_{name}.py" for name in ("est", "est_recovery", "est_attestation")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
        cwd=REPOSITORY,
        env={**os.environ, "REED_TEST_DATABASE_URL": server},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
    assert " passed" in done.stdout
