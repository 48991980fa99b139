"""Tries what a service might be abused for, and tells what came of it: `{"attempt": "done" | "EPERM" | ...}`.

Runs inside a unit's sandbox in the booted machine, with Debian's Python and nothing else.
"""

import contextlib
import ctypes
import errno
import json
import mmap
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

_CLONE_NEWUSER = 0x10000000
_PTRACE_ATTACH = 16
_SYSLOG_READ_ALL = 3
_SYS_INIT_MODULE = {"x86_64": 175, "aarch64": 105}

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result == -1:
        raise OSError(ctypes.get_errno(), "")


def _write(path: str) -> None:
    file = Path(path)
    file.write_text("x")
    file.unlink()


def _open_device(path: str) -> None:
    os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY))


def _namespace() -> None:
    child = os.fork()
    if child == 0:
        os._exit(ctypes.get_errno() if _libc.unshare(_CLONE_NEWUSER) else 0)
    if code := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise OSError(code, "")


def _ptrace() -> None:
    child = os.fork()
    if child == 0:
        time.sleep(60)
    try:
        _check(_libc.ptrace(_PTRACE_ATTACH, child, None, None))
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _socket(family: int, kind: int, protocol: int = 0) -> None:
    socket.socket(family, kind, protocol).close()


def _writable_code() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def _become_code() -> None:
    """Write a page first and have it executed then."""
    _libc.mmap.restype = ctypes.c_void_p
    page = _libc.mmap(None, ctypes.c_size_t(4096), 3, 0x22, -1, ctypes.c_long(0))
    _check(_libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(4096), 5))


def _see_others() -> None:
    Path("/proc/1/cmdline").read_bytes()


def _listen() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()


def _set_user_bit() -> None:
    path = Path(os.environ.get("STATE_DIRECTORY", "/var/tmp")) / "tool"
    path.write_text("x")
    try:
        path.chmod(0o4755)
    finally:
        path.unlink()


ATTEMPTS: dict[str, Callable[[], object]] = {
    "write /etc": lambda: _write("/etc/probe"),
    "write /usr": lambda: _write("/usr/bin/probe"),
    "write /var/lib": lambda: _write("/var/lib/probe"),
    "write /etc/reed": lambda: _write("/etc/reed/probe"),
    "write state": lambda: _write("/var/lib/reed/probe"),
    "write cloud": lambda: _write("/var/lib/reed-cloud/probe"),
    "write runtime": lambda: _write("/run/reed/probe"),
    "read /home": lambda: Path("/home/somebody/letter").read_text(),
    "other device": lambda: _open_device("/dev/other"),
    "serial port": lambda: _open_device("/dev/ttyS9"),
    "user namespace": _namespace,
    "trace a process": _ptrace,
    "raw socket": lambda: _socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    "packet socket": lambda: _socket(socket.AF_PACKET, socket.SOCK_RAW),
    "netlink socket": lambda: _socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "internet socket": lambda: _socket(socket.AF_INET, socket.SOCK_STREAM),
    "listen": _listen,
    "writable code": _writable_code,
    "become code": _become_code,
    "kernel log": lambda: _check(_libc.klogctl(_SYSLOG_READ_ALL, ctypes.create_string_buffer(16), 16)),
    "kernel module": lambda: _check(_libc.syscall(_SYS_INIT_MODULE[os.uname().machine], None, 0, b"")),
    "set the clock": lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()),
    "host name": lambda: socket.sethostname(socket.gethostname()),
    "priority": lambda: os.setpriority(os.PRIO_PROCESS, 0, -20),
    "other processes": _see_others,
    "become root": lambda: os.setuid(0),
    "set-user-ID": _set_user_bit,
}


def _outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error.errno))
    return "done"


def main() -> None:
    with contextlib.suppress(BrokenPipeError):
        json.dump({name: _outcome(attempt) for name, attempt in ATTEMPTS.items()}, sys.stdout)


if __name__ == "__main__":
    main()
