"""Tells a running supervisor that another process of ours has changed something."""

import contextlib
import os
import signal

from cloud.home import Home
from cloud.run.single import is_running


def nudge(home: Home) -> bool:
    """Have the supervisor look at once at what is due; return whether one runs."""
    if not is_running(home):
        return False
    with contextlib.suppress(OSError, ValueError):
        os.kill(int(home.pid_file("reed-cloud").read_text()), signal.SIGHUP)
        return True
    return False
