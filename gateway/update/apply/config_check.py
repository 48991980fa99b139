"""Has a configuration checked by the daemon's own checker, as the daemon's own user."""

from pathlib import Path

from gateway.domain.update.model import Code
from gateway.errors import ConfigError, UpdateError
from gateway.update.apply import programs

USER = "reed-gateway"

_COMMAND = "/usr/bin/reed-gateway"

_CHECK_S = 60.0
_UNSAFE = 77
"""EX_NOPERM: valid, and it lowers protection."""


def check(offered: Path, current: Path) -> None:
    """Return if it is valid and lowers no protection.

    Raises:
        UpdateError: INVALID, UNSAFE; INSTALL_FAILED if it could not be checked.
    """
    words = (_COMMAND, "check-config", str(offered), "--against", str(current))
    ended = programs.run(*words, timeout_s=_CHECK_S, user=USER)
    if not ended.status:
        return
    said = ended.said.replace("reed-gateway: ", "").replace(str(offered), current.name)
    detail = "; ".join(line for line in said.splitlines() if line.strip())[:1000]
    match ended.status:
        case ConfigError.exit_status:
            raise UpdateError(Code.INVALID, detail)
        case status if status == _UNSAFE:
            raise UpdateError(Code.UNSAFE, detail)
    raise UpdateError(Code.INSTALL_FAILED, f"the configuration could not be checked: {ended.last_words}")
