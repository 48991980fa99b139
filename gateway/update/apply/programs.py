"""Other programs, run to their end with a bound, an environment of ours and no standard input."""

import pwd
import subprocess
from dataclasses import dataclass

from gateway.domain.update.model import Code
from gateway.errors import UpdateError

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SHOWN_CHARS = 400


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program has ended; `said` is all that it wrote."""

    status: int
    said: str

    @property
    def last_words(self) -> str:
        """What is most likely the reason, in one line."""
        lines = [line.strip() for line in self.said.splitlines() if line.strip()]
        return "; ".join(lines[-3:])[-_SHOWN_CHARS:] or f"exit status {self.status}"


def run(*words: str, timeout_s: float, user: str = "") -> Ended:
    """Run a program, as root or as somebody else, and return how it ended.

    Raises:
        UpdateError: INSTALL_FAILED, passing, if it cannot be run or does not end in time.
    """
    try:
        uid, gid = _ids(user)
        done = subprocess.run(  # noqa: S603  # each word is ours or was checked
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(),
            timeout=timeout_s,
            check=False,
            errors="replace",
            encoding="utf-8",
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
        )
    except subprocess.TimeoutExpired:
        detail = f"{words[0]} has not come to its end within {timeout_s:g} s"
        raise UpdateError(Code.INSTALL_FAILED, detail, passing=True) from None
    except (OSError, KeyError) as error:
        raise UpdateError(Code.INSTALL_FAILED, f"{words[0]} cannot be run: {error}", passing=True) from None
    return Ended(done.returncode, done.stdout)


def must(*words: str, timeout_s: float) -> str:
    """Run a program that has to work; return what it said. Raises UpdateError (INSTALL_FAILED)."""
    ended = run(*words, timeout_s=timeout_s)
    if ended.status:
        raise UpdateError(Code.INSTALL_FAILED, f"{' '.join(words[:2])}: {ended.last_words}")
    return ended.said


def _ids(user: str) -> tuple[int | None, int | None]:
    if not user:
        return None, None
    entry = pwd.getpwnam(user)
    return entry.pw_uid, entry.pw_gid


def _environment() -> dict[str, str]:
    return {
        "PATH": _PATH,
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
        "DEBIAN_PRIORITY": "critical",
        "NEEDRESTART_SUSPEND": "1",
    }
